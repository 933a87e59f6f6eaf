/** The APIs of groups through their handlers, in every version, both ways through the codec. */
import t from 'tap'
import type { ApiRow } from '../../protocol/apis.ts'
import { decode, encode } from '../../protocol/codec.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { consumerGroupDescribe } from '../../src/handlers/consumer-group-describe.ts'
import { deleteGroups } from '../../src/handlers/delete-groups.ts'
import { describeGroups } from '../../src/handlers/describe-groups.ts'
import { findCoordinator } from '../../src/handlers/find-coordinator.ts'
import { heartbeat } from '../../src/handlers/heartbeat.ts'
import { joinGroup } from '../../src/handlers/join-group.ts'
import { leaveGroup } from '../../src/handlers/leave-group.ts'
import { listGroups } from '../../src/handlers/list-groups.ts'
import { offsetCommit } from '../../src/handlers/offset-commit.ts'
import { offsetDelete } from '../../src/handlers/offset-delete.ts'
import { offsetFetch } from '../../src/handlers/offset-fetch.ts'
import { syncGroup } from '../../src/handlers/sync-group.ts'
import { TopicsNotMade } from '../../src/handlers/topics-not-made.ts'
import type { AnyHandler, Handler } from '../../src/server/handler.ts'
import { GroupStory, subscription } from '../coordinator/group/group-story.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { Connection } from './data-path.ts'
import { requestContext } from './request-context.ts'

const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
const otherId = 'AAAAAAAAAAAAAAAAAAAAAg'
const UNKNOWN_PARTITION = errors.UNKNOWN_TOPIC_OR_PARTITION.code

/** Topic t with two partitions. */
const topics = {
  topicIdOf: (name: string) => (name === 't' ? topicId : undefined),
  topicNameOf: (id: string) => (id === topicId ? 't' : undefined),
  partitionCountOf: (name: string) => (name === 't' ? 2 : undefined),
}

/** Asks through the codec; the answer must come within 10 ms of virtual time. */
async function ask<Api extends ApiRow>(
  world: SimulatedWorld,
  handler: Handler<Api>,
  version: number,
  input: InputOf<Api['request']>,
): Promise<MessageOf<Api['response']>> {
  const { api } = handler
  const request = decode(api.request, version, encode(api.request, version, input))
  const context = requestContext(api, version, new Connection(), { clientId: 'me' })
  let response: InputOf<Api['response']> | null | undefined
  const pending = Promise.resolve(handler.handle(request, context)).catch((error) => {
    if (!(error instanceof KafkaError)) throw error
    return handler.onError?.(request, error.error, version, error.message)
  })
  void pending.then((value) => {
    response = value
  })
  await world.runFor(10)
  if (!response) throw new Error('no answer')
  return decode(api.response, version, encode(api.response, version, response))
}

function versionsOf({ api }: AnyHandler): number[] {
  const { min, max } = api.request.valid
  return Array.from({ length: max - min + 1 }, (_, index) => min + index)
}

function start() {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 })
  const { groups, world } = story
  return { story, world, groups, parts: { groups, topics } }
}

t.test('the life of a member in all versions', async (t) => {
  const { world, parts } = start()
  const joining = joinGroup(parts)
  const syncing = syncGroup(parts)
  for (const version of versionsOf(joining)) {
    const groupId = `g${version}`
    const input = {
      groupId,
      sessionTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription(['t']) }],
    }
    let joined = await ask(world, joining, version, input)
    if (version >= 4) {
      t.match(joined, { errorCode: errors.MEMBER_ID_REQUIRED.code, memberId: /^me-/ })
      joined = await ask(world, joining, version, { ...input, memberId: joined.memberId })
    }
    t.match(joined, {
      errorCode: 0,
      generationId: 1,
      protocolName: 'range',
      members: { length: 1 },
    })
    const { memberId } = joined
    const self = { groupId, generationId: 1, memberId }
    const assignments = [{ memberId, assignment: Buffer.from('part') }]
    const syncVersion = Math.min(version, 5)
    const vague = { ...self, assignments }
    if (syncVersion === 5) {
      const { message } = errors.INCONSISTENT_GROUP_PROTOCOL
      await t.rejects(ask(world, syncing, 5, vague), { message }, 'it must say its protocol')
    }
    const protocol = syncVersion < 5 ? {} : { protocolType: 'consumer', protocolName: 'range' }
    const synced = await ask(world, syncing, syncVersion, { ...vague, ...protocol })
    t.match(synced, { errorCode: 0, assignment: Buffer.from('part') })
    const beat = await ask(world, heartbeat(parts), Math.min(version, 4), self)
    t.equal(beat.errorCode, 0)
    const described = await ask(world, describeGroups(parts), Math.min(version, 6), {
      groups: [groupId, 'nobody'],
      ...(version >= 3 ? { includeAuthorizedOperations: true } : {}),
    })
    t.match(described.groups[0], {
      groupState: 'Stable',
      authorizedOperations: version >= 3 ? 3400 : -0x8000_0000,
      members: [{ memberId, clientHost: '/127.0.0.1', clientId: 'me' }],
    })
    t.match(described.groups[1], { groupState: 'Dead', errorCode: version >= 6 ? 69 : 0 })
    const leaveVersion = Math.min(version, 5)
    const left = await ask(
      world,
      leaveGroup(parts),
      leaveVersion,
      leaveVersion < 3
        ? { groupId, memberId }
        : { groupId, members: [{ memberId, groupInstanceId: null }] },
    )
    t.equal(left.errorCode, 0)
    const failed = await ask(world, joining, version, { ...input, groupId: '' })
    t.match(failed, { errorCode: errors.INVALID_GROUP_ID.code, generationId: -1 })
  }
  for (const version of versionsOf(listGroups(parts))) {
    const filters = { ...(version >= 4 ? { statesFilter: ['Empty'] } : {}) }
    const { groups } = await ask(world, listGroups(parts), version, filters)
    t.equal(groups.length, 10)
  }
  for (const version of versionsOf(deleteGroups(parts))) {
    const groupsNames = [`g${version}`, 'nobody']
    const { results } = await ask(world, deleteGroups(parts), version, { groupsNames })
    t.same(
      results.map(({ errorCode }) => errorCode),
      [0, errors.GROUP_ID_NOT_FOUND.code],
    )
  }
})

t.test(
  'a consumer group without a name is invalid, one that is not there is not found',
  async (t) => {
    const { world, parts } = start()
    const describing = consumerGroupDescribe({ ...parts, isEnabled: () => true })
    const { groups } = await ask(world, describing, 1, {
      groupIds: ['', 'nobody', ''],
      includeAuthorizedOperations: false,
    })
    t.same(
      groups.map(({ groupId, errorCode }) => [groupId, errorCode]),
      [
        ['', errors.INVALID_GROUP_ID.code],
        ['nobody', errors.GROUP_ID_NOT_FOUND.code],
      ],
    )
  },
)

t.test('offsets in all versions', async (t) => {
  const { world, parts } = start()
  const committing = offsetCommit(parts)
  const fetching = offsetFetch(parts)
  const named = (version: number, name: string, id: string) =>
    version < 10 ? { name } : { topicId: id }
  for (const version of versionsOf(committing)) {
    const partitions = [0, 1, 2].map((partitionIndex) => ({
      partitionIndex,
      committedOffset: 100 * version + partitionIndex,
      committedMetadata: `v${version}`,
    }))
    const committed = await ask(world, committing, version, {
      groupId: 'g',
      topics: [
        { ...named(version, 't', topicId), partitions },
        { ...named(version, 'u', otherId), partitions: partitions.slice(0, 1) },
        { ...named(version, 'v', 'zzzzzzzzzzzzzzzzzzzzzA'), partitions: [] },
        { ...named(version, 't', topicId), partitions: [] },
      ],
    })
    const codes = committed.topics.map((topic) => [
      version < 10 ? topic.name : topic.topicId,
      ...topic.partitions.map(({ partitionIndex, errorCode }) => [partitionIndex, errorCode]),
    ])
    const unknown = version < 10 ? UNKNOWN_PARTITION : errors.UNKNOWN_TOPIC_ID.code
    t.same(codes, [
      [version < 10 ? 't' : topicId, [2, UNKNOWN_PARTITION], [0, 0], [1, 0]],
      [version < 10 ? 'u' : otherId, [0, unknown]],
      // Said to be unknown even where nothing of it was to be committed.
      [version < 10 ? 'v' : 'zzzzzzzzzzzzzzzzzzzzzA'],
    ])
    const asked = [
      { ...named(version, 't', topicId), partitionIndexes: [0, 7] },
      { ...named(version, 'u', otherId), partitionIndexes: [0] },
    ]
    if (version < 8) {
      const topics = asked.map(({ partitionIndexes }, i) => ({
        name: i ? 'u' : 't',
        partitionIndexes,
      }))
      const fetched = await ask(world, fetching, version, { groupId: 'g', topics })
      t.match(fetched, {
        errorCode: 0,
        topics: [
          {
            name: 't',
            partitions: [
              { partitionIndex: 0, committedOffset: 100 * version, metadata: `v${version}` },
              { partitionIndex: 7, committedOffset: -1, errorCode: 0 },
            ],
          },
          { name: 'u', partitions: [{ committedOffset: -1 }] },
        ],
      })
      continue
    }
    const fetched = await ask(world, fetching, version, {
      groups: [
        { groupId: 'g', topics: asked },
        { groupId: 'nobody', topics: null },
        { groupId: 'g', topics: null },
      ],
    })
    t.match(fetched.groups, [
      {
        groupId: 'g',
        errorCode: 0,
        topics: [
          { ...named(version, 't', topicId), partitions: [{ committedOffset: 100 * version }, {}] },
          {
            ...named(version, 'u', otherId),
            partitions: [{ committedOffset: -1, errorCode: version < 10 ? 0 : unknown }],
          },
        ],
      },
      { groupId: 'nobody', errorCode: 0, topics: { length: 0 } },
    ])
    t.equal(fetched.groups?.length, 2, 'each group once')
    const whole = await ask(world, fetching, version, { groups: [{ groupId: 'g', topics: null }] })
    const found = [{ ...named(version, 't', topicId), partitions: { length: 2 } }]
    t.match(whole.groups, [{ topics: found }])
  }
  const all = await ask(world, fetching, 5, { groupId: 'g', topics: null })
  t.equal(all.topics[0]?.partitions.length, 2)
  const deleted = await ask(world, offsetDelete(parts), 0, {
    groupId: 'g',
    topics: [
      { name: 't', partitions: [{ partitionIndex: 0 }, { partitionIndex: 5 }] },
      { name: 'u', partitions: [{ partitionIndex: 0 }] },
    ],
  })
  t.same(
    deleted.topics.map(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
    [[0, UNKNOWN_PARTITION], [UNKNOWN_PARTITION]],
  )
  const missing = await ask(world, offsetDelete(parts), 0, { groupId: 'nobody', topics: [] })
  t.equal(missing.errorCode, errors.GROUP_ID_NOT_FOUND.code)
})

t.test('a broker that is not the coordinator says so, in all versions', async (t) => {
  const { story, world, parts } = start()
  story.groups.onResignation(0)
  const code = errors.NOT_COORDINATOR.code
  const request = { name: 't', partitionIndexes: [0] }
  for (const version of versionsOf(offsetFetch(parts))) {
    const answer = await ask(
      world,
      offsetFetch(parts),
      version,
      version < 8
        ? { groupId: 'g', topics: [request] }
        : { groups: [{ groupId: 'g', topics: null }] },
    )
    if (version < 2) t.equal(answer.topics[0]?.partitions[0]?.errorCode, code)
    else if (version < 8) t.equal(answer.errorCode, code)
    else t.equal(answer.groups[0]?.errorCode, code)
  }
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }]
  const commit = { groupId: 'g', topics: [{ name: 't', partitions }] }
  const committed = await ask(world, offsetCommit(parts), 8, commit)
  t.equal(committed.topics[0]?.partitions[0]?.errorCode, code)
  const described = await ask(world, describeGroups(parts), 6, { groups: ['g'] })
  t.equal(described.groups[0]?.errorCode, code)
  const deleted = await ask(world, deleteGroups(parts), 3, { groupsNames: ['g'] })
  t.equal(deleted.results[0]?.errorCode, code)
  t.same((await ask(world, listGroups(parts), 5, {})).groups, [])
})

t.test('a topic that cannot be made is told once for each cause, with the setting', (t) => {
  const lines: string[] = []
  const config = new BrokerConfig(new Map([['offsets.topic.replication.factor', '3']]))
  const warn = (message: string) => void lines.push(message)
  const notMade = new TopicsNotMade({ warn }, config)
  const told = (error: ErrorRow) => {
    for (let i = 0; i < 3; i++) notMade.tell('__consumer_offsets', error, 1)
    return lines.splice(0)
  }
  const tooMany =
    /offsets.topic.replication.factor=3 asks for more replicas than there are brokers, 1$/
  t.match(told(errors.INVALID_REPLICATION_FACTOR), [tooMany])
  t.match(told(errors.REQUEST_TIMED_OUT), [/^__consumer_offsets could not be made, and clients/])
  t.match(told(errors.INVALID_REPLICATION_FACTOR), [tooMany])
  t.strictSame(told(errors.NONE), [])
  t.match(told(errors.INVALID_REPLICATION_FACTOR), [tooMany])
  t.end()
})

t.test('finding a coordinator makes the topic', async (t) => {
  const world = new SimulatedWorld(3)
  let partitionCount: number | undefined
  let leads = false
  const made: string[] = []
  const finding = findCoordinator({
    coordinated: [
      { keyType: 0, topic: '__consumer_offsets', partitionCount: () => partitionCount },
      { keyType: 2, topic: '__share_group_state', partitionCount: () => 1 },
    ],
    ensureTopic: async (name) => {
      made.push(name)
      if (made.length > 1) partitionCount = 50
    },
    leaderOf: (topic, partition, { connection }) =>
      leads
        ? { nodeId: partition, host: `${topic}.${connection.local.host}`, port: 9092 }
        : undefined,
  })
  const find = (version: number, key: string, keyType: number) =>
    version < 4
      ? ask(world, finding, version, { key, ...(version > 0 ? { keyType } : {}) })
      : ask(world, finding, version, { coordinatorKeys: [key, 'other'], keyType })
  const unavailable = errors.COORDINATOR_NOT_AVAILABLE.code
  t.match(await find(3, 'my-group', 0), { errorCode: unavailable, nodeId: -1, host: '', port: -1 })
  t.match(await find(0, 'my-group', 0), { errorCode: unavailable }, 'made, without a leader yet')
  t.same(made, ['__consumer_offsets', '__consumer_offsets'])
  leads = true
  const node = { errorCode: 0, nodeId: 12, host: '__consumer_offsets.127.0.0.1', port: 9092 }
  for (const version of versionsOf(finding)) {
    const found = await find(version, 'my-group', 0)
    if (version < 4) t.match(found, node)
    else
      t.match(found.coordinators, [
        { ...node, key: 'my-group' },
        { key: 'other', errorCode: 0 },
      ])
    if (version === 0) continue
    const nobody = { errorCode: errors.INVALID_REQUEST.code, nodeId: -1 }
    const transaction = await find(version, 'my-transaction', 1)
    t.match(version < 4 ? transaction : transaction.coordinators[0], nobody, 'not coordinated here')
    const share = await find(version, 'g:AAAAAAAAAAAAAAAAAAAAAQ:0', 2)
    const expected = version < 6 ? nobody : { errorCode: 0, nodeId: 0 }
    t.match(
      version < 4 ? share : share.coordinators[0],
      expected,
      `share keys in version ${version}`,
    )
  }
  t.equal(made.length, 2)
})
