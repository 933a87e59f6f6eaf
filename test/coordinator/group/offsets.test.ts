/** Offsets: committed, fetched, deleted, expired, and there again after a restart. */
import t from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import {
  encodeCoordinatorKey,
  encodeCoordinatorValue,
} from '../../../protocol/state/coordinator-frame.ts'
import {
  groupMetadataKey,
  groupMetadataValue,
  offsetCommitKey,
  offsetCommitValue,
} from '../../../protocol/state/offset-records.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import { decodeGroupRecord } from '../../../src/coordinator/group/records.ts'
import { Asked, allOffsets, GroupStory, offsetsOf } from './group-story.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

t.test('a consumer without a group commits and fetches', async (t) => {
  const story = new GroupStory()
  t.same(await story.offsets(), {})
  t.equal(await story.commitError({ offset: 7, metadata: 'm' }), 0)
  t.equal(await story.commitError({ offset: 8, partition: 1, metadata: null }), 0)
  t.equal(await story.commitError({ groupId: '', offset: 9 }), 0, 'even in a group without a name')
  const named = {
    ...allOffsets('g'),
    topics: [{ name: 't', topicId: zeroUuid, partitionIndexes: [0, 1, 2] }],
  }
  const fetched = await story.now(story.groups.fetchOffsets(named))
  t.same(fetched.topics[0]?.partitions, [
    { partitionIndex: 0, committedOffset: 7, committedLeaderEpoch: 3, metadata: 'm', errorCode: 0 },
    { partitionIndex: 1, committedOffset: 8, committedLeaderEpoch: 3, metadata: '', errorCode: 0 },
    {
      partitionIndex: 2,
      committedOffset: -1,
      committedLeaderEpoch: -1,
      metadata: '',
      errorCode: 0,
    },
  ])
  t.equal(await story.state(), 'Empty')
  t.equal(await story.commitError({ metadata: 'x'.repeat(4096) }), 0)
  t.equal(
    await story.commitError({ metadata: 'x'.repeat(4097) }),
    errors.OFFSET_METADATA_TOO_LARGE.code,
  )
  await story.replay(t)
})

t.test('an offset belongs to the topic with the id that it was committed for', async (t) => {
  const story = new GroupStory()
  const [older, newer] = ['AAAAAAAAAAAAAAAAAAAAAQ', 'AAAAAAAAAAAAAAAAAAAAAg']
  const partitions = [
    {
      partitionIndex: 0,
      committedOffset: 5,
      commitTimestamp: -1,
      committedLeaderEpoch: -1,
      committedMetadata: '',
    },
  ]
  await story.now(story.commit({ topics: [{ name: 't', topicId: older, partitions }] }, 10))
  const fetch = async (topicId: string) => {
    const topics = [{ name: 't', topicId, partitionIndexes: [0] }]
    return offsetsOf(await story.now(story.groups.fetchOffsets({ ...allOffsets('g'), topics })))
  }
  t.same(await fetch(older), { 't-0': 5 })
  t.same(await fetch(newer), { 't-0': -1 })
  t.same(await fetch(zeroUuid), { 't-0': 5 })
  await story.replay(t)
})

t.test('what is not committed is not told; what is refused never was', async (t) => {
  const story = new GroupStory()
  await story.commitError({ offset: 1 })
  story.log.isHolding = true
  const commit = new Asked(story.commit({ offset: 2 }))
  const fetch = new Asked(story.groups.fetchOffsets(allOffsets('g')))
  await story.pass(100)
  t.notOk(commit.isAnswered || fetch.isAnswered)
  story.log.held[0]?.refuse(new KafkaError(errors.NOT_ENOUGH_REPLICAS))
  await story.pass(10)
  t.equal(commit.value?.topics[0]?.partitions[0]?.errorCode, errors.COORDINATOR_NOT_AVAILABLE.code)
  t.equal(fetch.value?.errorCode, errors.NOT_COORDINATOR.code, 'which old consumers understand')
  story.log.isHolding = false
  t.same(await story.offsets(), { 't-0': 1 })
  story.log.failure = new KafkaError(errors.NOT_LEADER_OR_FOLLOWER)
  t.equal(await story.commitError({ groupId: 'new' }), errors.NOT_COORDINATOR.code)
  t.equal(await story.state('new'), 'Dead')
  story.log.failure = null
  await story.replay(t)
})

t.test('deleting offsets, topics and groups', async (t) => {
  const story = new GroupStory()
  for (const topic of ['t', 'u', 'v']) {
    for (const groupId of ['g', 'h']) await story.commitError({ groupId, topic })
  }
  const topics = [{ name: 'u', partitions: [{ partitionIndex: 0 }, { partitionIndex: 9 }] }]
  const deleted = await story.now(story.groups.deleteOffsets({ groupId: 'g', topics }))
  t.match(deleted, { errorCode: 0, topics: [{ partitions: [{ errorCode: 0 }, { errorCode: 0 }] }] })
  t.same(await story.offsets(), { 't-0': 42, 'v-0': 42 })
  await story.deleteTopics('t', 'x')
  t.same(await story.offsets(), { 'v-0': 42 })
  t.same(await story.offsets('h'), { 'u-0': 42, 'v-0': 42 })
  const groups = await story.now(story.groups.deleteGroups(['h', 'nobody', 'h']))
  t.same(
    groups.results.map(({ errorCode }) => errorCode),
    [0, errors.GROUP_ID_NOT_FOUND.code],
  )
  t.equal(await story.state('h'), 'Dead')
  t.same(await story.offsets('h'), {})
  await story.replay(t)
  const connect = story.member({ groupId: 'c', protocolType: 'connect' })
  await story.stable(connect)
  const offsets = story.groups.deleteOffsets({ groupId: 'c', topics })
  t.equal((await story.now(offsets)).errorCode, errors.NON_EMPTY_GROUP.code)
  const nameless = story.groups.deleteOffsets({ groupId: '', topics })
  t.equal((await story.now(nameless)).errorCode, errors.INVALID_GROUP_ID.code)
})

t.test('describing and listing', async (t) => {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 })
  await story.stable(story.member({ clientId: 'me' }))
  await story.commitError({ groupId: 'simple' })
  const list = async (statesFilter: string[], typesFilter: string[]) => {
    const { groups } = await story.now(story.groups.listGroups({ statesFilter, typesFilter }))
    return groups.map(({ groupId }) => groupId).sort()
  }
  t.same(await list([], []), ['g', 'simple'])
  t.same(await list(['stable', 'Dead'], []), ['g'])
  t.same(await list([' EMPTY '], ['Classic']), ['simple'])
  t.same(await list([], ['consumer']), [])
  const { groups } = await story.now(story.groups.describeGroups(['g', 'simple', 'nobody'], 6))
  t.match(groups, [
    {
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
      members: [{ clientId: 'me', clientHost: '/192.0.2.1', memberAssignment: /^part of me-/ }],
    },
    { groupState: 'Empty', protocolType: '', members: [] },
    { groupState: 'Dead', errorCode: errors.GROUP_ID_NOT_FOUND.code, errorMessage: /nobody/ },
  ])
  await story.replay(t)
})

t.test('offsets of a group without members expire after the commit', async (t) => {
  const story = new GroupStory()
  await story.commitError({ topic: 't' })
  await story.pass(4 * dayMs)
  await story.commitError({ topic: 'u' })
  await story.pass(2.9 * dayMs)
  t.same(await story.offsets(), { 't-0': 42, 'u-0': 42 })
  await story.pass(0.2 * dayMs)
  t.same(await story.offsets(), { 'u-0': 42 })
  t.equal(await story.state(), 'Empty')
  await story.pass(4 * dayMs)
  t.equal(await story.state(), 'Dead', 'the last offset takes the group with it')
  await story.replay(t)
})

t.test('a retention of its own, as old clients ask for', async (t) => {
  const story = new GroupStory()
  await story.commitError({ topic: 't', retentionTimeMs: hourMs }, 4)
  await story.commitError({ topic: 'u' })
  await story.pass(hourMs - 600_000)
  await story.replay(t)
  t.same(await story.offsets(), { 't-0': 42, 'u-0': 42 })
  await story.pass(hourMs)
  t.same(await story.offsets(), { 'u-0': 42 })
  story.config.offsetsRetentionMinutes = 30
  await story.pass(hourMs)
  t.same(await story.offsets(), {}, 'a setting changed at run time')
})

t.test(
  'offsets in use do not expire, others do; in an empty group the time runs from then',
  async (t) => {
    const story = new GroupStory({
      offsetsRetentionMinutes: 60,
      groupInitialRebalanceDelayMs: 0,
      offsetsRetentionCheckIntervalMs: 60_000,
    })
    const member = story.member({ topics: ['t'], sessionTimeoutMs: 1_800_000 })
    await story.stable(member)
    await member.commitError({ topic: 't' })
    await member.commitError({ topic: 'u' })
    for (let i = 0; i < 5; i++) {
      await story.pass(hourMs / 4)
      await member.beat()
    }
    t.same(await story.offsets(), { 't-0': 42 })
    await member.leave()
    await story.pass(0.9 * hourMs)
    t.same(await story.offsets(), { 't-0': 42 })
    await story.replay(t)
    const other = await story.restarted()
    await story.pass(0.2 * hourMs)
    t.same(
      offsetsOf(await story.now(other.fetchOffsets(allOffsets('g')))),
      {},
      'also after a restart',
    )
    t.equal(await story.state(), 'Dead')

    const worker = story.member({
      groupId: 'w',
      protocolType: 'connect',
      sessionTimeoutMs: 1_800_000,
    })
    await story.stable(worker)
    await worker.commitError()
    for (let i = 0; i < 8; i++) {
      await story.pass(hourMs / 4)
      await worker.beat()
    }
    t.same(await story.offsets('w'), { 't-0': 42 }, 'nobody knows what such a group uses')
  },
)

t.test('records as Kafka writes and has written them', async (t) => {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 })
  await story.commitError({ offset: 1 })
  await story.commitError({ offset: 2, retentionTimeMs: 1000 }, 4)
  await story.stable(story.member({ groupId: 'h' }))
  const versions = story.log.records().map(({ value }) => value?.readInt16BE(0))
  t.same(versions, [4, 1, 3, 3])
  const key = encodeCoordinatorKey(offsetCommitKey, { group: 'g', topic: 't', partition: 1 })
  const committed = { offset: 5, metadata: '', commitTimestamp: 6 }
  for (const version of [0, 2, 3]) {
    const value = encodeCoordinatorValue(offsetCommitValue, version, committed)
    t.match(decodeGroupRecord(key, value), {
      groupId: 'g',
      partition: 1,
      value: { offset: 5, leaderEpoch: -1, expireTimestampMs: -1, topicId: zeroUuid },
    })
  }
  const legacy = Buffer.from(key)
  legacy.writeInt16BE(0, 0)
  const legacyValue = encodeCoordinatorValue(offsetCommitValue, 0, committed)
  t.match(decodeGroupRecord(legacy, legacyValue), { topic: 't', value: { offset: 5 } })
  const member = {
    memberId: 'm',
    clientId: 'c',
    clientHost: '/h',
    sessionTimeout: 9,
    subscription: Buffer.of(1),
    assignment: Buffer.of(2),
  }
  const metadata = {
    protocolType: 'consumer',
    generation: 4,
    protocol: 'range',
    leader: 'm',
    members: [member],
  }
  const groupKey = encodeCoordinatorKey(groupMetadataKey, { group: 'old' })
  for (const version of [0, 1, 2, 3, 4]) {
    const withInstance = { ...member, groupInstanceId: null, rebalanceTimeout: -1 }
    const value = { ...metadata, members: [withInstance] }
    const bytes = encodeCoordinatorValue(groupMetadataValue, version, value)
    t.match(decodeGroupRecord(groupKey, bytes), {
      groupId: 'old',
      value: {
        generationId: 4,
        stateSinceMs: -1,
        members: [{ rebalanceTimeoutMs: 9, sessionTimeoutMs: 9 }],
      },
    })
  }
  const newProtocol = Buffer.from(groupKey)
  newProtocol.writeInt16BE(999, 0)
  t.equal(
    decodeGroupRecord(newProtocol, null),
    null,
    'records of other kinds of groups are passed over',
  )
})
