/**
 * Share groups at work: the APIs of members through their handlers, real logs on a simulated disk, and a
 * share coordinator behind the partitions.
 */
import t from 'tap'
import type { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { ShareFetchResponse } from '../../protocol/messages/share-fetch.ts'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import { readBatch } from '../../protocol/records/record.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import { parseDuration } from '../../src/config/duration.ts'
import { ShareCoordinator } from '../../src/coordinator/share/share-coordinator.ts'
import { shareAcknowledge } from '../../src/handlers/share-acknowledge.ts'
import { shareFetch } from '../../src/handlers/share-fetch.ts'
import type { ShareSettings } from '../../src/replication/share/settings.ts'
import { SharePartitions } from '../../src/replication/share/share-partitions.ts'
import { ShareSessions } from '../../src/replication/share/share-sessions.ts'
import { PrunableMemoryLog } from '../coordinator/memory-log.ts'
import { Connection, DataPath } from './data-path.ts'

const groupId = 'g'
const accept = 1
const release = 2
const reject = 3
const renew = 4

interface Said {
  first: number
  last: number
  types: number[]
}

type Fetched = MessageOf<typeof apis.shareFetch.response>
type Row = Fetched['responses'][number]['partitions'][number]

/** One broker with the topic t of two partitions; the group begins at the earliest record. */
class Story {
  readonly path = new DataPath()
  readonly topic = this.path.createTopic('t', { partitions: 2 })
  readonly stateLog = new PrunableMemoryLog()
  readonly epochs = new Map<string, number>()
  settings: ShareSettings = {
    recordLockDurationMs: 30_000,
    deliveryCountLimit: 5,
    partitionMaxRecordLocks: 200,
    isRenewEnabled: true,
    isReadCommitted: false,
    autoOffsetReset: 'earliest',
  }
  sessionsMax = 10
  coordinator = this.#coordinator()
  parts = this.#parts()

  constructor() {
    const features = new Map([...this.path.image.features, ['share.version', 1]])
    this.path.image = { ...this.path.image, features } as typeof this.path.image
  }

  async initialize(startOffset = -1): Promise<void> {
    const partitions = [0, 1].map((partition) => ({ partition, stateEpoch: 1, startOffset }))
    const topics = [{ topicId: this.topic.id, partitions }]
    await this.path.world.run(this.coordinator.initialize({ groupId, topics }))
  }

  /** The broker is killed; what is on disk and committed stays. */
  async restart(): Promise<void> {
    this.path.restart()
    await this.path.world.runFor(1)
    this.coordinator = this.#coordinator()
    this.parts = this.#parts()
    await this.path.world.runFor(10)
    this.epochs.clear()
  }

  /** A whole life of a request, in the member's session. */
  fetch(
    memberId: string,
    options: Partial<InputOf<typeof apis.shareFetch.request>> & {
      said?: Said[]
      version?: number
      partitions?: number[]
      connection?: Connection
    } = {},
  ): Promise<Fetched> {
    const { said = [], version = 2, partitions = [0], connection, ...fields } = options
    const epoch = fields.shareSessionEpoch ?? this.epochs.get(memberId) ?? 0
    this.epochs.set(memberId, epoch + 1)
    const acknowledgementBatches = said.map(({ first, last, types }) => ({
      firstOffset: first,
      lastOffset: last,
      acknowledgeTypes: types,
    }))
    const named = partitions.map((partitionIndex) => ({ partitionIndex, acknowledgementBatches }))
    const input = {
      groupId,
      memberId,
      shareSessionEpoch: epoch,
      maxWaitMs: 500,
      minBytes: 1,
      maxRecords: 500,
      batchSize: 500,
      shareAcquireMode: 0,
      isRenewAck: false,
      topics: [{ topicId: this.topic.id, partitions: named }],
      forgottenTopicsData: [],
      ...fields,
    }
    const sent = this.path.start(shareFetch(this.parts), version, input, {
      ...(connection !== undefined && { connection }),
    })
    return sent as Promise<Fetched>
  }

  async fetched(...given: Parameters<Story['fetch']>): Promise<Fetched> {
    return this.path.world.run(this.fetch(...given))
  }

  async acknowledge(memberId: string, said: Said[], { isRenewAck = false, epoch = 0 } = {}) {
    const shareSessionEpoch = epoch === 0 ? (this.epochs.get(memberId) ?? 0) : epoch
    this.epochs.set(memberId, shareSessionEpoch + 1)
    const acknowledgementBatches = said.map(({ first, last, types }) => ({
      firstOffset: first,
      lastOffset: last,
      acknowledgeTypes: types,
    }))
    const partitions = [{ partitionIndex: 0, acknowledgementBatches }]
    const topics = [{ topicId: this.topic.id, partitions }]
    const input = { groupId, memberId, shareSessionEpoch, isRenewAck, topics }
    const answer = await this.path.call(shareAcknowledge(this.parts), 2, input)
    return answer as MessageOf<typeof apis.shareAcknowledge.response>
  }

  async stored(partition = 0) {
    const partitions = [{ partition, leaderEpoch: 0 }]
    const topics = [{ topicId: this.topic.id, partitions }]
    const read = await this.path.world.run(this.coordinator.read({ groupId, topics }))
    return read.results[0]?.partitions[0]
  }

  #coordinator(): ShareCoordinator {
    const { environment } = this.path.process
    const coordinator = new ShareCoordinator({
      environment,
      config: () => ({
        snapshotUpdateRecordsPerSnapshot: 3,
        writeTimeoutMs: 5000,
        stateTopicCompressionCodec: 0,
        stateTopicPruneIntervalMs: 300_000,
        coldPartitionSnapshotIntervalMs: 300_000,
      }),
      statePartitionCount: () => 1,
      partitionCountOf: (id) => this.path.image.topics.byId.get(id)?.partitions.length,
    })
    void coordinator.onElection(0, 0, this.stateLog)
    return coordinator
  }

  #parts() {
    const { process, replicas, parked } = this.path
    const shares = new SharePartitions({
      environment: process.environment,
      replicas,
      persister: this.coordinator,
      settingsFor: () => this.settings,
    })
    const sessions = new ShareSessions({
      sessionsMax: () => this.sessionsMax,
      onEnded: (...ended) => void shares.release(...ended),
    })
    const bytesMax = () => 50_000_000
    const { clock } = process.environment
    return { shares, sessions, parked, clock, bytesMax, image: () => this.path.image }
  }
}

const rowOf = ({ responses }: Fetched, index = 0): Row => {
  const rows = responses.flatMap(({ partitions }) => partitions)
  return rows.find(({ partitionIndex }) => partitionIndex === index) as Row
}

const ranges = (fetched: Fetched | ShareFetchResponse, index = 0): string[] =>
  (rowOf(fetched as Fetched, index)?.acquiredRecords ?? []).map(
    ({ firstOffset, lastOffset, deliveryCount }) =>
      `${firstOffset}-${lastOffset} ${deliveryCount}x`,
  )

/** Values of the batches that were sent, acquired or not. */
const valuesOf = (fetched: Fetched, index = 0): string[] =>
  rowOf(fetched, index).records.flatMap((chunk) =>
    readBatch(chunk as Buffer).records.map(({ value }) => String(value)),
  )

t.test('records go to one member, are ended, and are not given again after a kill', async (t) => {
  for (const version of [1, 2]) {
    const story = new Story()
    await story.initialize()
    await story.path.append('t', ['0', '1', '2'])
    await story.path.append('t', ['3', '4'])
    const first = await story.fetched('a', { version })
    t.strictSame(ranges(first), ['0-4 1x'])
    t.equal(first.acquisitionLockTimeoutMs, 30_000)
    t.strictSame(valuesOf(await story.fetched('c', { version, maxWaitMs: 0 }).then(() => first)), [
      '0',
      '1',
      '2',
    ])
    const second = story.fetch('b', { version })
    await story.path.world.runFor(100)
    const said = await story.acknowledge('a', [
      { first: 0, last: 1, types: [accept] },
      { first: 2, last: 4, types: [release, reject, accept] },
    ])
    t.match(said, { errorCode: 0, acquisitionLockTimeoutMs: 30_000 })
    t.match(said.responses[0]?.partitions[0], { errorCode: 0 })
    const woken = await story.path.world.run(second)
    t.strictSame(ranges(woken), ['2-2 2x'], 'whoever waits is told of what was released')
    t.match(await story.stored(), {
      stateBatches: [
        { firstOffset: 0, lastOffset: 1, deliveryState: 2 },
        { firstOffset: 2, lastOffset: 2, deliveryState: 0, deliveryCount: 1 },
        { firstOffset: 3, lastOffset: 3, deliveryState: 4 },
        { firstOffset: 4, lastOffset: 4, deliveryState: 2 },
      ],
    })
    await story.restart()
    const after = await story.fetched('a', { version })
    t.strictSame(ranges(after), ['2-2 2x'], 'an acquisition that nobody ended counts not at all')
    await story.acknowledge('a', [{ first: 2, last: 2, types: [release] }])
    await story.restart()
    t.strictSame(ranges(await story.fetched('a', { version })), ['2-2 3x'], 'counts are kept')
    await story.fetched('a', { version, said: [{ first: 2, last: 2, types: [accept] }] })
    t.match(await story.stored(), {
      startOffset: 2,
      stateBatches: [{ firstOffset: 2, lastOffset: 2, deliveryState: 2, deliveryCount: 3 }, {}, {}],
    })
  }
})

t.test('a fetch waits for what is appended, no longer than it may', async (t) => {
  const story = new Story()
  await story.initialize()
  const waiting = story.fetch('a', { maxWaitMs: 1000 })
  await story.path.world.runFor(500)
  await story.path.append('t', ['x'])
  t.strictSame(ranges(await story.path.world.run(waiting)), ['0-0 1x'])
  const inVain = story.fetch('a', { maxWaitMs: 1000 })
  await story.path.world.runFor(990)
  let isAnswered = false
  void inVain.then(() => {
    isAnswered = true
  })
  await story.path.world.runFor(5)
  t.notOk(isAnswered)
  t.match(await story.path.world.run(inVain), { errorCode: 0, responses: [] })
  const many = story.fetch('b', { maxWaitMs: 1000, minBytes: 150 })
  await story.path.append('t', ['y'])
  await story.path.world.runFor(10)
  await story.path.append('t', ['z'])
  await story.path.append('t', ['z'])
  t.strictSame(ranges(await story.path.world.run(many)), ['1-3 1x'], 'enough at once')
})

t.test('who is over its quota is given nothing, and nothing is held for it', async (t) => {
  const story = new Story()
  await story.initialize()
  await story.path.append('t', ['x'])
  story.path.isOverQuota = true
  t.match(await story.fetched('a'), { errorCode: 0, responses: [] })
  t.equal(story.path.countedBytes, 0)
  t.strictSame(ranges(await story.fetched('b')), [], 'whoever it is')
  story.path.isOverQuota = false
  const given = await story.fetched('b')
  t.strictSame(ranges(given), ['0-0 1x'], 'for the first time')
  t.ok(story.path.countedBytes > 0)
})

t.test('locks lapse, are renewed, and end with the session', async (t) => {
  const story = new Story()
  await story.initialize()
  await story.path.append('t', ['0', '1', '2', '3'])
  const connection = new Connection()
  await story.fetched('a', { connection })
  await story.path.world.runFor(20_000)
  const renewed = await story.fetched('a', {
    said: [{ first: 2, last: 3, types: [renew] }],
    isRenewAck: true,
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 0,
    maxRecords: 0,
  })
  t.match(rowOf(renewed), { acknowledgeErrorCode: 0, acquiredRecords: [] })
  const badRenewal = await story.fetched('a', { isRenewAck: true, maxBytes: 0 })
  t.match(badRenewal, {
    errorCode: errors.INVALID_REQUEST.code,
    errorMessage:
      'minBytes must be set to 0, maxRecords must be set to 0, maxWaitMs must be set to 0, if isRenewAck is true.',
  })
  const waiting = story.fetch('b', { maxWaitMs: 30_000 })
  await story.path.world.runFor(10_100)
  t.strictSame(ranges(await story.path.world.run(waiting)), ['0-1 2x'])
  t.match(await story.stored(), {
    stateBatches: [{ firstOffset: 0, lastOffset: 1, deliveryState: 0, deliveryCount: 1 }],
  })
  const late = await story.acknowledge('a', [{ first: 0, last: 1, types: [accept] }], { epoch: 2 })
  t.match(late.responses[0]?.partitions[0], {
    errorCode: errors.INVALID_RECORD_STATE.code,
    errorMessage: 'Member is not the owner of batch record',
  })
  const next = story.fetch('b', { maxWaitMs: 5000 })
  await story.path.world.runFor(10)
  connection.close()
  t.strictSame(ranges(await story.path.world.run(next)), ['2-3 2x'], 'the connection is gone')
  const closed = await story.fetched('b', {
    shareSessionEpoch: -1,
    said: [{ first: 0, last: 0, types: [accept] }],
  })
  t.match(rowOf(closed), { acknowledgeErrorCode: 0 })
  await story.path.world.runFor(10)
  t.strictSame(ranges(await story.fetched('c')), ['1-3 3x'])
  t.match(await story.fetched('b', { shareSessionEpoch: 4 }), {
    errorCode: errors.SHARE_SESSION_NOT_FOUND.code,
  })
})

t.test('a verdict that cannot be stored, for a bug even, can be given again', async (t) => {
  const story = new Story()
  await story.initialize()
  await story.path.append('t', ['0', '1'])
  await story.fetched('a')
  const { coordinator } = story
  const write = coordinator.write
  coordinator.write = () => Promise.reject(new Error('a bug'))
  const said = [{ first: 0, last: 0, types: [accept] }]
  t.match((await story.acknowledge('a', said)).responses[0]?.partitions[0], {
    errorCode: errors.UNKNOWN_SERVER_ERROR.code,
  })
  await story.path.world.runFor(20_000)
  coordinator.write = write
  t.match((await story.acknowledge('a', said)).responses[0]?.partitions[0], { errorCode: 0 })
  coordinator.write = () => Promise.reject(new Error('a bug'))
  await story.path.world.runFor(10_100)
  coordinator.write = write
  t.strictSame(ranges(await story.fetched('b')), ['1-1 2x'], 'the lock lapsed all the same')
})

t.test('sessions: epochs, limits, and what cannot be said', async (t) => {
  const story = new Story()
  await story.initialize()
  story.sessionsMax = 1
  t.match(await story.fetched('a', { maxWaitMs: 0 }), { errorCode: 0 })
  t.match(await story.fetched('a', { shareSessionEpoch: 7 }), {
    errorCode: errors.INVALID_SHARE_SESSION_EPOCH.code,
  })
  t.match(await story.fetched('b'), { errorCode: errors.SHARE_SESSION_LIMIT_REACHED.code })
  t.match(await story.fetched('', { shareSessionEpoch: 0 }), {
    errorCode: errors.INVALID_REQUEST.code,
  })
  const said = [{ first: 0, last: 0, types: [accept] }]
  t.match(await story.fetched('a', { shareSessionEpoch: 0, said }), {
    errorCode: errors.INVALID_REQUEST.code,
  })
  t.match(await story.acknowledge('z', said), {
    errorCode: errors.INVALID_SHARE_SESSION_EPOCH.code,
  })
  t.match(await story.acknowledge('z', said, { epoch: 3 }), {
    errorCode: errors.SHARE_SESSION_NOT_FOUND.code,
  })
  await story.path.append('t', ['0', '1', '2'])
  await story.fetched('a', { shareSessionEpoch: 0 })
  const invalid = [
    [{ first: 2, last: 1, types: [accept] }],
    [{ first: 0, last: 1, types: [] }],
    [{ first: 0, last: 2, types: [accept, accept] }],
    [{ first: 0, last: 0, types: [7] }],
    [{ first: 0, last: 0, types: [renew] }],
    [
      { first: 2, last: 2, types: [accept] },
      { first: 0, last: 0, types: [accept] },
    ],
    [{ first: 0, last: 2 ** 50, types: [accept] }],
  ]
  for (const one of invalid) {
    const answer = await story.acknowledge('a', one)
    t.match(answer.responses[0]?.partitions[0], { errorCode: errors.INVALID_REQUEST.code })
  }
  const features = new Map([['share.version', 0]])
  story.path.image = { ...story.path.image, features } as typeof story.path.image
  t.match(await story.fetched('a'), { errorCode: errors.UNSUPPORTED_VERSION.code })
})

t.test('partitions that cannot be read say why', async (t) => {
  const story = new Story()
  const unread = await story.fetched('a')
  t.match(rowOf(unread), { errorCode: errors.UNKNOWN_SERVER_ERROR.code }, 'never initialized')
  await story.initialize()
  await story.path.append('t', ['0'])
  const mixed = await story.fetched('a', { shareSessionEpoch: 0, partitions: [0, 5] })
  t.strictSame(ranges(mixed), ['0-0 1x'])
  t.match(rowOf(mixed, 5), { errorCode: errors.UNKNOWN_TOPIC_OR_PARTITION.code })
  const topics = [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAw', partitions: [{ partitionIndex: 0 }] }]
  const unknown = await story.fetched('b', { shareSessionEpoch: 0, topics } as never)
  t.match(rowOf(unknown), { errorCode: errors.UNKNOWN_TOPIC_ID.code })
  story.path.deleteTopic(story.topic)
  const gone = await story.fetched('a', { shareSessionEpoch: 1 })
  t.match(rowOf(gone), { errorCode: errors.UNKNOWN_TOPIC_ID.code })
  t.equal(story.parts.shares.get(groupId, story.topic.id, 0), undefined)
})

t.test('a group of committed records sees no aborted ones', async (t) => {
  const story = new Story()
  story.settings = { ...story.settings, isReadCommitted: true }
  await story.initialize()
  const producer = { producerId: 7, producerEpoch: 0, isTransactional: true }
  await story.path.append('t', ['0', '1'], { ...producer, baseSequence: 0 })
  const waiting = story.fetch('a', { maxWaitMs: 1000 })
  await story.path.world.runFor(100)
  const abort = encodeControlBatch({
    records: [{ type: 'abort', value: { coordinatorEpoch: 0 } }],
    timestamp: 1,
    producer: { id: 7, epoch: 0 },
  })
  await story.path.world.run(
    story.path.partition('t').append(abort, { acks: 1, origin: 'coordinator' }).written,
  )
  await story.path.append('t', ['3', '4'])
  const fetched = await story.path.world.run(waiting)
  t.notOk(ranges(fetched).some((range) => range.startsWith('0') || range.startsWith('1')))
  const rest = await story.fetched('a')
  t.ok([...ranges(fetched), ...ranges(rest)].some((range) => range.includes('4 1x')))
})

t.test('what is read from disk is given once, to whoever comes first', async (t) => {
  const story = new Story()
  await story.initialize()
  for (let index = 0; index < 40; index++) await story.path.append('t', [`${index}`, 'x'.repeat(9)])
  await story.restart()
  const members = ['a', 'b', 'c', 'd']
  const all = await story.path.world.run(
    Promise.all(members.map((memberId) => story.fetch(memberId, { maxRecords: 15 }))),
  )
  const given = all.flatMap((fetched) => rowOf(fetched)?.acquiredRecords ?? [])
  const offsets = given.flatMap(({ firstOffset, lastOffset }) =>
    Array.from({ length: lastOffset - firstOffset + 1 }, (_, index) => firstOffset + index),
  )
  t.equal(new Set(offsets).size, offsets.length, 'nothing twice')
  t.ok(offsets.length >= 4 * 15)
})

t.test('a log that was cut at its front is read from where it begins', async (t) => {
  const story = new Story()
  await story.initialize(0)
  for (const value of ['0', '1', '2', '3', '4']) await story.path.append('t', [value])
  await story.fetched('a', { maxRecords: 2 })
  story.path.partition('t').deleteRecords(4)
  t.strictSame(ranges(await story.fetched('a')), ['4-4 1x'])
  await story.fetched('a', { said: [{ first: 0, last: 1, types: [accept] }], maxWaitMs: 0 })
  await story.acknowledge('a', [{ first: 4, last: 4, types: [accept] }])
  t.match(await story.stored(), {
    startOffset: 4,
    stateBatches: [{ firstOffset: 4, lastOffset: 4, deliveryState: 2 }],
  })
})

t.test('where a group begins: the end, the start, or a time ago', async (t) => {
  for (const [autoOffsetReset, expected] of [
    ['latest', []],
    ['earliest', ['0-1 1x']],
    ['by_duration:PT1H', ['1-1 1x']],
  ] as const) {
    const story = new Story()
    story.settings = { ...story.settings, autoOffsetReset }
    const now = story.path.process.environment.clock.now()
    const at = (timestamp: number) => ({ records: [{ timestamp, key: null, value: null }] })
    await story.path.append('t', [], at(now - 2 * 3_600_000))
    await story.path.append('t', [], at(now - 60_000))
    await story.initialize()
    t.strictSame(ranges(await story.fetched('a', { maxWaitMs: 100 })), expected, autoOffsetReset)
  }
  t.equal(parseDuration('P1DT2H3M4.5S'), 93_784_500)
  t.equal(parseDuration('pt10s'), 10_000)
  for (const text of ['', 'P', 'PT', 'P1DT', 'P1Y', '10s']) t.equal(parseDuration(text), null, text)
})
