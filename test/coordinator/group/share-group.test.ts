/** Share groups: members, what they are given to read, delivery state set up and taken away. */
import t, { type Test } from 'tap'
import { errors } from '../../../protocol/errors.ts'
import type { GroupCoordinator } from '../../../src/coordinator/group/group-coordinator.ts'
import { simpleAssignor } from '../../../src/coordinator/group/share/simple-assignor.ts'
import { SeededRandom } from '../../simulator/random.ts'
import { GroupStory } from './group-story.ts'

const groupId = 'g'
const caller = { clientId: 'c', clientHost: '/1.2.3.4', apiVersion: 1 }

class ShareStory extends GroupStory {
  readonly epochs = new Map<string, number>()

  async beat(
    memberId: string,
    { topics = null, epoch }: { topics?: string[] | null; epoch?: number } = {},
    groups: GroupCoordinator = this.groups,
  ) {
    const memberEpoch = epoch ?? this.epochs.get(memberId) ?? 0
    const names = memberEpoch === 0 ? (topics ?? ['t']) : topics
    const request = { groupId, memberId, memberEpoch, rackId: null, subscribedTopicNames: names }
    const response = await this.now(groups.share.heartbeat(request, caller))
    if (response.errorCode === 0) this.epochs.set(memberId, response.memberEpoch)
    return response
  }

  /** Joins, and beats until what it subscribes to is set up and assigned. */
  async join(memberId: string, topics = ['t']) {
    await this.beat(memberId, { topics, epoch: 0 })
    return this.read(memberId)
  }

  /** What a member shall read, as it is told. */
  async read(memberId: string) {
    await this.beat(memberId)
    await this.beat(memberId)
    const [group] = await this.now(this.groups.share.describe([groupId]))
    const member = group?.members.find((each) => each.memberId === memberId)
    const parts = member?.assignment.topicPartitions ?? []
    return Object.fromEntries(parts.map(({ topicName, partitions }) => [topicName, partitions]))
  }

  /** A second coordinator, from the log alone, knows the same. */
  async same(t: Test) {
    const other = await this.restarted()
    const described = await this.now(this.groups.share.describe([groupId]))
    t.same(await this.now(other.share.describe([groupId])), described, 'replay equals live')
    const live = await this.now(this.groups.share.initializedTopics(groupId))
    const replayed = await this.now(other.share.initializedTopics(groupId))
    const bare = (all: typeof live) =>
      [...all].map(([id, { name, partitions }]) => [id, name, [...partitions]])
    t.same(bare(replayed), bare(live), 'the same is set up')
    return other
  }

  recorded(partition = 0) {
    const topicId = this.topics.idOf('t')
    const topics = [{ topicId, partitions: [{ partition, leaderEpoch: -1 }] }]
    return this.now(this.shareState.readSummary({ groupId, topics })).then(
      ({ results }) => results[0]?.partitions[0],
    )
  }
}

t.test('members join, share what there is, and leave', async (t) => {
  const story = new ShareStory()
  story.topics.create('t', 2)
  const first = await story.beat('a', { topics: ['t'], epoch: 0 })
  t.match(first, { errorCode: 0, memberEpoch: 2, heartbeatIntervalMs: 5000 })
  t.same(first.assignment, { topicPartitions: [] }, 'nothing is set up yet')
  t.match(await story.recorded(), { startOffset: -1, stateEpoch: 2 }, 'set up meanwhile')
  const second = await story.beat('a')
  t.same(second.assignment?.topicPartitions[0]?.partitions, [0, 1])
  t.equal((await story.beat('a')).assignment, null, 'told once')
  t.same(await story.join('b'), { t: [1] })
  t.same(await story.read('a'), { t: [0] })
  const three = [await story.join('c'), await story.read('a'), await story.read('b')]
  t.ok(
    three.every((each) => each.t?.length === 1 || each.t?.length === 2),
    'partitions are shared',
  )
  t.same(new Set(three.flatMap((each) => each.t ?? [])), new Set([0, 1]))
  await story.same(t)
  t.match(await story.beat('b', { epoch: -1 }), { errorCode: 0, memberEpoch: -1 })
  t.match(await story.beat('b', { epoch: 5 }), { errorCode: errors.UNKNOWN_MEMBER_ID.code })
  await story.world.run(story.groups.onTopicsChanged(story.topics.create('t', 4)))
  const all = [await story.read('a'), await story.read('c'), await story.read('a')]
  t.same(new Set(all.flatMap((each) => each.t ?? [])), new Set([0, 1, 2, 3]), 'new partitions')
  await story.same(t)
})

t.test('who is not heard of is gone, and a restart gives everybody a whole session', async (t) => {
  const story = new ShareStory()
  story.topics.create('t', 1)
  await story.join('a')
  await story.pass(30_000)
  await story.join('b')
  await story.pass(20_000)
  const [group] = await story.now(story.groups.share.describe([groupId]))
  t.same(
    group?.members.map(({ memberId }) => memberId),
    ['b'],
  )
  const other = await story.same(t)
  await story.pass(40_000)
  t.match(await story.beat('b', {}, other), { errorCode: 0 })
  await story.pass(50_000)
  const [left] = await story.now(other.share.describe([groupId]))
  t.match(left, { groupState: 'Empty', members: [] })
})

t.test('a heartbeat counts when it comes, not when what was written before it is', async (t) => {
  const story = new ShareStory()
  story.topics.create('t', 1)
  await story.join('a')
  await story.pass(43_000)
  story.log.isHolding = true
  const beat = (memberId: string, memberEpoch: number) => {
    const subscribedTopicNames = memberEpoch === 0 ? ['t'] : null
    const request = { groupId, memberId, memberEpoch, rackId: null, subscribedTopicNames }
    return Promise.resolve(story.groups.share.heartbeat(request, caller))
  }
  const waiting = [beat('b', 0), beat('a', story.epochs.get('a') ?? 0)]
  await story.pass(4_000)
  story.log.isHolding = false
  for (const { commit } of story.log.held) commit()
  for (const answer of await story.world.run(Promise.all(waiting)))
    t.match(answer, { errorCode: 0 })
  t.match(
    await story.beat('a'),
    { errorCode: 0 },
    'it is a member, 47 s after it was answered last',
  )
})

t.test('what a heartbeat is refused for', async (t) => {
  const story = new ShareStory({ groupShareMaxSize: 1 })
  story.topics.create('t', 1)
  const code = ({ code: errorCode }: { code: number }) => ({ errorCode })
  t.match(await story.beat('', { epoch: 0 }), code(errors.INVALID_REQUEST))
  t.match(await story.beat('a', { epoch: 0, topics: [] }), code(errors.INVALID_REQUEST))
  t.match(await story.beat('a', { epoch: -2 }), code(errors.INVALID_REQUEST))
  t.match(await story.beat('a', { epoch: 3 }), code(errors.GROUP_ID_NOT_FOUND))
  t.match(await story.beat('a', { epoch: -1 }), code(errors.GROUP_ID_NOT_FOUND))
  await story.join('a')
  t.match(await story.beat('b', { epoch: 0 }), code(errors.GROUP_MAX_SIZE_REACHED))
  t.match(await story.beat('a', { epoch: 99 }), code(errors.FENCED_MEMBER_EPOCH))
  t.match(await story.beat('a', { epoch: 1 }), code(errors.FENCED_MEMBER_EPOCH))
  const [nameless] = await story.now(story.groups.share.describe(['']))
  t.equal(nameless?.errorCode, errors.INVALID_GROUP_ID.code)
  const [unknown] = await story.now(story.groups.share.describe(['x']))
  t.match(unknown, code(errors.GROUP_ID_NOT_FOUND))
  const fetched = await story.now(
    story.groups.fetchOffsets({ groupId, memberId: null, memberEpoch: -1, topics: null }),
  )
  t.match(fetched, code(errors.GROUP_ID_NOT_FOUND), 'it has no offsets')
  const listed = await story.now(story.groups.listGroups({ statesFilter: [], typesFilter: [] }))
  t.match(listed.groups, [{ groupId, protocolType: 'share', groupType: 'share' }])
})

t.test('offsets are set anew and forgotten while nobody is there', async (t) => {
  const story = new ShareStory()
  story.topics.create('t', 2)
  const alter = (startOffset: number, partitionIndex = 0) =>
    story.groups.share.alterOffsets({
      groupId,
      topics: [{ topicName: 't', partitions: [{ partitionIndex, startOffset }] }],
    })
  t.match((await story.now(alter(7))).responses[0]?.partitions[0], { errorCode: 0 })
  t.match(await story.recorded(), { startOffset: 7 }, 'of a group that was not there before')
  t.match((await story.now(alter(7, 5))).responses[0]?.partitions[0], {
    errorCode: errors.UNKNOWN_TOPIC_OR_PARTITION.code,
  })
  await story.same(t)
  t.same(await story.join('a'), { t: [0, 1] })
  t.match(await story.recorded(), { startOffset: 7 }, 'joining changes nothing')
  const refused = { error: { code: errors.NON_EMPTY_GROUP.code } } as unknown as Error
  await t.rejects(story.world.run(alter(0)), refused)
  await story.beat('a', { epoch: -1 })
  t.match((await story.now(alter(3))).responses[0]?.partitions[0], { errorCode: 0 })
  t.match(await story.recorded(), { startOffset: 3 })
  const twice = [0, 1].map((partitionIndex) => ({
    topicName: 't',
    partitions: [{ partitionIndex, startOffset: 4 + partitionIndex }],
  }))
  await story.now(story.groups.share.alterOffsets({ groupId, topics: twice }))
  t.match(await story.recorded(), { startOffset: 4 }, 'of a topic that is named twice')
  t.match(await story.recorded(1), { startOffset: 5 })
  const remove = (...names: string[]) =>
    story.now(
      story.groups.share.deleteOffsets({
        groupId,
        topics: names.map((topicName) => ({ topicName })),
      }),
    )
  const { responses } = await remove('t', 'x')
  t.match(
    responses.map(({ topicName, errorCode }) => [topicName, errorCode]),
    [
      ['x', errors.UNKNOWN_TOPIC_OR_PARTITION.code],
      ['t', 0],
    ],
  )
  t.match(await story.recorded(), { startOffset: -1, stateEpoch: 0 })
  t.match((await remove('t')).responses[0], {
    errorCode: errors.UNKNOWN_TOPIC_OR_PARTITION.code,
    errorMessage: 'There is no offset information to delete.',
  })
  await story.same(t)
})

t.test('a group goes with its delivery state, and forgets topics that are gone', async (t) => {
  const story = new ShareStory()
  story.topics.create('t', 1)
  story.topics.create('u', 1)
  await story.join('a', ['t', 'u'])
  t.match(await story.now(story.groups.deleteGroups([groupId])), {
    results: [{ groupId, errorCode: errors.NON_EMPTY_GROUP.code }],
  })
  await story.deleteTopics('u')
  const known = await story.now(story.groups.share.initializedTopics(groupId))
  t.same(
    [...known.values()].map(({ name }) => name),
    ['t'],
  )
  await story.beat('a', { epoch: -1 })
  t.match(await story.now(story.groups.deleteGroups([groupId, 'x'])), {
    results: [
      { groupId, errorCode: 0 },
      { groupId: 'x', errorCode: errors.GROUP_ID_NOT_FOUND.code },
    ],
  })
  t.match(await story.recorded(), { startOffset: -1, stateEpoch: 0 })
  await story.same(t)
})

t.test('the simple assignor gives everything, evenly, and moves little', async (t) => {
  const random = new SeededRandom(3)
  const below = (limit: number) => Math.floor(random.float() * limit)
  for (let round = 0; round < 300; round++) {
    const topicIds = ['x', 'y', 'z'].slice(0, 1 + below(3))
    const counts = new Map(topicIds.map((id) => [id, 1 + below(6)]))
    const isHomogeneous = below(2) === 0
    const ids = Array.from({ length: 1 + below(7) }, (_, index) => `m${index}`)
    const members = new Map(
      ids.map((id) => {
        const wanted = isHomogeneous ? topicIds : topicIds.filter(() => below(2) === 0)
        const topics = new Set(wanted)
        return [id, { instanceId: null, rackId: null, topicIds: topics, assignment: new Map() }]
      }),
    )
    const partitionCount = (id: string) => counts.get(id)
    const assignor = simpleAssignor(() => true)
    const spec = { members, isHomogeneous, partitionCount }
    const assigned = assignor.assign(spec)
    for (const topicId of topicIds) {
      const takers = ids.filter((id) => members.get(id)?.topicIds.has(topicId))
      if (takers.length === 0) continue
      const counted = Array.from({ length: counts.get(topicId) ?? 0 }, (_, partition) => {
        return takers.filter((id) => assigned.get(id)?.get(topicId)?.has(partition)).length
      })
      if (counted.some((count) => count === 0)) t.fail(`round ${round}: a partition with nobody`)
    }
    const sizes = ids.map((id) =>
      [...(assigned.get(id)?.values() ?? [])].reduce((sum, { size }) => sum + size, 0),
    )
    if (isHomogeneous && Math.max(...sizes) - Math.min(...sizes) > 1) {
      t.fail(`round ${round}: uneven ${sizes}`)
    }
    const again = new Map(
      [...members].map(([id, member]) => {
        return [id, { ...member, assignment: assigned.get(id) ?? new Map() }]
      }),
    )
    t.same(assignor.assign({ ...spec, members: again }), assigned, 'nothing moves for nothing')
  }
})
