/** Transactions as partitions see them: who is let in, what is read, and how they end. */
import assert from 'node:assert'
import t from 'tap'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { GroupCoordinator } from '../../src/coordinator/group/group-coordinator.ts'
import type { PartitionsInTransaction } from '../../src/coordinator/transaction/participants.ts'
import { describeProducers } from '../../src/handlers/describe-producers.ts'
import { fetch } from '../../src/handlers/fetch.ts'
import { listOffsets } from '../../src/handlers/list-offsets.ts'
import { LocalMarkers } from '../../src/handlers/local-markers.ts'
import { offsetFetch } from '../../src/handlers/offset-fetch.ts'
import { produce } from '../../src/handlers/produce.ts'
import { txnOffsetCommit } from '../../src/handlers/txn-offset-commit.ts'
import { writeTxnMarkers } from '../../src/handlers/write-txn-markers.ts'
import type { TopicImage } from '../../src/metadata/image.ts'
import { PartitionCoordinatorLog } from '../../src/replication/coordinator-log.ts'
import { defaults, noGroupState, storySettings } from '../coordinator/group/group-story.ts'
import { StoryTopics } from '../coordinator/group/story-topics.ts'
import { batchOf, Connection, DataPath } from './data-path.ts'

const producerId = 7

interface Sent {
  readonly connection?: Connection
  version?: number
  producerId?: number
  producerEpoch?: number
  sequence?: number
  topic?: string
  index?: number
  isTransactional?: boolean
}

interface Ended {
  version?: number
  isCommit?: boolean
  producerId?: number
  producerEpoch?: number
  coordinatorEpoch?: number
  transactionVersion?: number
  topic?: string
  indexes?: number[]
}

/** What a coordinator of transactions would answer: the same for every partition. */
const answering =
  (row: ErrorRow) =>
  async ({ partitions }: PartitionsInTransaction) =>
    new Map(
      partitions.flatMap((one) =>
        one.partitions.map((index) => [`${one.topic}-${index}`, row] as const),
      ),
    )

class Story {
  readonly path = new DataPath()
  groups: GroupCoordinator

  constructor(partitions = 2) {
    this.path.createTopic('orders', { partitions })
    this.path.createTopic('__consumer_offsets')
    this.path.verify = answering(errors.NONE)
    this.groups = this.#startGroups()
  }

  get orders() {
    return this.path.partition('orders')
  }

  async restart(how: 'kill' | 'crash' | 'close'): Promise<void> {
    for (const { openedLog } of this.path.replicas.partitions()) {
      if (openedLog !== null) await this.path.world.run(openedLog.flush())
    }
    this.path.restart(how)
    this.groups = this.#startGroups()
    await this.path.world.runFor(10)
  }

  #startGroups(): GroupCoordinator {
    const { environment } = this.path.process
    const config = () => defaults
    const groups = new GroupCoordinator({
      environment,
      config,
      setting: (_groupId, name) => storySettings[name] as never,
      topics: new StoryTopics(),
      shareState: noGroupState,
      partitionCount: () => 1,
    })
    const log = new PartitionCoordinatorLog(this.path.partition('__consumer_offsets'))
    void groups.onElection(0, 1, log)
    return groups
  }

  /** Does not wait for the answer: the error of the one partition, once it is there. */
  start(values: string[], sent: Sent = {}): Promise<{ name: string; baseOffset: number }> {
    const { version = 12, topic = 'orders', index = 0, sequence = 0, producerEpoch = 0 } = sent
    const { isTransactional = true } = sent
    const batch = { producerId: sent.producerId ?? producerId, producerEpoch, isTransactional }
    const records = [batchOf(values, { ...batch, baseSequence: sequence })]
    const { connection = this.path.connection } = sent
    const request = {
      acks: -1,
      timeoutMs: 1000,
      transactionalId: 'tx',
      topicData: [{ name: topic, partitionData: [{ index, records }] }],
    }
    const answer = this.path.start(produce(this.path.parts), version, request, { connection })
    return answer.then((response) => {
      const partition = response?.responses[0]?.partitionResponses[0]
      return { name: nameOf(partition?.errorCode), baseOffset: partition?.baseOffset ?? -1 }
    })
  }

  async send(values: string[], sent: Sent = {}): Promise<string> {
    return (await this.path.world.run(this.start(values, sent))).name
  }

  /** The errors of the partitions, by the API. */
  async end(ended: Ended = {}): Promise<string[]> {
    const { version = 2, isCommit = true, coordinatorEpoch = 0, transactionVersion = 0 } = ended
    const { producerEpoch = 0, topic = 'orders', indexes = [0] } = ended
    const { environment } = this.path.process
    const markers = new LocalMarkers({
      environment,
      replicas: this.path.replicas,
      groups: this.groups,
    })
    const marker = {
      producerId: ended.producerId ?? producerId,
      producerEpoch,
      transactionResult: isCommit,
      topics: [
        { name: topic, partitionIndexes: indexes },
        { name: 'empty', partitionIndexes: [] },
      ],
      coordinatorEpoch,
      ...(version >= 2 && { transactionVersion }),
    }
    const handler = writeTxnMarkers({ markers })
    const response = await this.path.call(handler, version, { markers: [marker] })
    const answered = response?.markers.flatMap(({ topics }) => topics) ?? []
    assert(answered.length <= 1, 'a topic without partitions is not answered')
    return answered.flatMap(({ partitions }) => partitions.map((one) => nameOf(one.errorCode)))
  }

  /** What a consumer of committed records is given from `offset` on, filtered as clients filter. */
  async committed(offset = 0, index = 0) {
    const response = await this.path.call(fetch(this.path.parts), 12, this.#asking(offset, index))
    const answer = response?.responses[0]?.partitions[0]
    return {
      values: valuesOf(answer?.records, answer?.abortedTransactions),
      aborted: answer?.abortedTransactions?.map((one) => [one.producerId, one.firstOffset]),
      lastStableOffset: answer?.lastStableOffset,
    }
  }

  parked(maxWaitMs: number, minBytes = 1) {
    const asking = { ...this.#asking(this.orders.lastStableOffset, 0), maxWaitMs, minBytes }
    return this.path.start(fetch(this.path.parts), 12, asking)
  }

  #asking(fetchOffset: number, partition: number) {
    const partitions = [{ partition, fetchOffset, partitionMaxBytes: 1e6 }]
    return {
      replicaId: -1,
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1e6,
      isolationLevel: 1,
      topics: [{ topic: 'orders', partitions }],
    }
  }
}

const nameOf = (code: number | undefined): string =>
  Object.values(errors).find((row) => row.code === code)?.name ?? 'none at all'

/** Leaves out control batches, and those of transactions from their first offset to their abort marker. */
function valuesOf(
  records: readonly Buffer[] | null | undefined,
  aborted: readonly { producerId: number; firstOffset: number }[] | null | undefined,
): string[] {
  const bytes = Buffer.concat([...(records ?? [])])
  const values: string[] = []
  const dropping = new Set<number>()
  const toCome = [...(aborted ?? [])]
  for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
    const batch = readBatch(bytes, at)
    for (const one of toCome.filter(({ firstOffset }) => firstOffset <= batch.lastOffset)) {
      dropping.add(one.producerId)
      toCome.splice(toCome.indexOf(one), 1)
    }
    if (batch.isControl) dropping.delete(batch.producerId)
    else if (!batch.isTransactional || !dropping.has(batch.producerId)) {
      values.push(...batch.records.map(({ value }) => String(value)))
    }
  }
  return values
}

t.test('readers of committed records see transactions whole, once they have ended', async (t) => {
  const story = new Story()
  const { path } = story
  t.equal(await story.send(['a', 'b']), 'NONE')
  await path.append('orders', ['plain'])
  t.equal(await story.send(['x'], { producerId: 8 }), 'NONE')
  t.match(await story.committed(), { values: [], lastStableOffset: 0 })
  t.same(await story.end({ indexes: [0] }), ['NONE'])
  t.match(await story.committed(), { values: ['a', 'b', 'plain'], lastStableOffset: 3 })
  t.same(await story.end({ producerId: 8, isCommit: false }), ['NONE'])
  const whole = { values: ['a', 'b', 'plain'], aborted: [[8, 3]], lastStableOffset: 6 }
  t.match(await story.committed(), whole)
  t.same(await story.end({ producerId: 8, isCommit: false }), ['NONE'], 'again')
  t.match(await story.committed(), { ...whole, lastStableOffset: 7 })
  t.match(
    await story.committed(6),
    { values: [], aborted: [] },
    'only those that concern the reader',
  )
  for (const how of ['kill', 'crash', 'close'] as const) {
    await story.restart(how)
    t.match(await story.committed(), { ...whole, lastStableOffset: 7 }, how)
  }
})

t.test('an open transaction is open after any end of the process', async (t) => {
  for (const how of ['kill', 'crash', 'close'] as const) {
    const story = new Story()
    t.equal(await story.send(['a']), 'NONE')
    t.equal(await story.send(['b'], { sequence: 1 }), 'NONE')
    await story.restart(how)
    t.match(await story.committed(), { values: [], lastStableOffset: 0 }, how)
    story.path.verify = answering(errors.INVALID_TXN_STATE)
    t.equal(await story.send(['c'], { sequence: 2 }), 'NONE', 'it goes on unasked')
    t.same(await story.end(), ['NONE'])
    t.same((await story.committed()).values, ['a', 'b', 'c'])
    t.equal(await story.send(['d'], { sequence: 3 }), 'INVALID_TXN_STATE', 'the next one is not')
  }
})

t.test('the first batch of a transaction waits, the others behind it', async (t) => {
  const story = new Story()
  const { path } = story
  const release: (() => void)[] = []
  path.verify = async (request) => {
    await new Promise<void>((resolve) => release.push(resolve))
    return answering(errors.NONE)(request)
  }
  const order: string[] = []
  const note = (name: string) => (answer: { name: string; baseOffset: number }) => {
    order.push(`${name}: ${answer.name} ${answer.baseOffset}`)
  }
  const first = story.start(['a']).then(note('first'))
  const elsewhere = story.start(['b'], { sequence: 0, index: 1 }).then(note('elsewhere'))
  const second = story.start(['c'], { sequence: 1 }).then(note('second'))
  await story.path.append('orders', ['plain'])
  await path.world.runFor(10)
  t.same(order, [], 'all of them wait')
  t.equal(path.verified.length, 1, 'one is asked about')
  release.shift()?.()
  await path.world.runFor(10)
  release.shift()?.()
  await path.world.run(Promise.all([first, elsewhere, second]))
  t.same(order, ['first: NONE 1', 'elsewhere: NONE 0', 'second: NONE 2'])
  t.same(
    path.verified.map(({ partitions, isAdding }) => [partitions, isAdding]),
    [0, 1].map((index) => [[{ topic: 'orders', partitions: [index] }], true]),
  )
  t.equal(await story.send(['d'], { sequence: 2 }), 'NONE')
  t.equal(path.verified.length, 2, 'nobody is asked while the transaction is open')
})

t.test('who names the producer of somebody else holds nobody up', async (t) => {
  const story = new Story()
  const { path } = story
  let verify: typeof path.verify = () => new Promise(() => undefined)
  path.verify = (request) => verify(request)
  void story.start(['stranger'], { connection: new Connection(), index: 1 })
  await path.world.runFor(10)
  verify = answering(errors.NONE)
  t.equal(await story.send(['own']), 'NONE')
})

t.test('what the coordinator says is told in words that the producer knows', async (t) => {
  const told: [ErrorRow, Record<number, string>][] = [
    [errors.INVALID_TXN_STATE, { 10: 'INVALID_TXN_STATE', 12: 'INVALID_TXN_STATE' }],
    [errors.TRANSACTION_ABORTABLE, { 10: 'INVALID_TXN_STATE', 11: 'TRANSACTION_ABORTABLE' }],
    [errors.PRODUCER_FENCED, { 3: 'INVALID_PRODUCER_EPOCH', 12: 'INVALID_PRODUCER_EPOCH' }],
    [errors.CONCURRENT_TRANSACTIONS, { 11: 'NOT_ENOUGH_REPLICAS', 12: 'CONCURRENT_TRANSACTIONS' }],
    [errors.NOT_COORDINATOR, { 3: 'NOT_ENOUGH_REPLICAS', 12: 'NOT_ENOUGH_REPLICAS' }],
    [errors.COORDINATOR_LOAD_IN_PROGRESS, { 12: 'NOT_ENOUGH_REPLICAS' }],
    [errors.INVALID_PRODUCER_ID_MAPPING, { 12: 'INVALID_PRODUCER_ID_MAPPING' }],
  ]
  for (const [row, byVersion] of told) {
    for (const [version, name] of Object.entries(byVersion)) {
      const story = new Story()
      story.path.verify = answering(row)
      t.equal(await story.send(['a'], { version: Number(version) }), name, `${row.name} ${version}`)
      t.equal(story.orders.logEndOffset, 0)
    }
  }
  const story = new Story()
  story.path.verify = async () => new Map()
  t.equal(await story.send(['a']), 'INVALID_TXN_STATE', 'a partition that was not answered for')
  let asked = 0
  story.path.verify = (request) =>
    answering(asked++ < 2 ? errors.CONCURRENT_TRANSACTIONS : errors.NONE)(request)
  t.equal(await story.send(['a']), 'NONE', 'a transaction that ends just now is waited for')
  t.equal(asked, 3)
})

t.test('a late answer lets nothing in', async (t) => {
  for (const transactionVersion of [0, 2]) {
    const story = new Story()
    const version = transactionVersion === 2 ? 12 : 11
    let release = () => {}
    story.path.verify = async (request) => {
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return answering(errors.NONE)(request)
    }
    const late = story.start(['late'], { version })
    await story.path.world.runFor(5)
    const epoch = transactionVersion === 2 ? 1 : 0
    const ended = { isCommit: false, producerEpoch: epoch, transactionVersion }
    t.same(await story.end(ended), ['NONE'], 'the abort comes first')
    release()
    const expected = transactionVersion === 2 ? 'INVALID_PRODUCER_EPOCH' : 'INVALID_TXN_STATE'
    t.equal((await story.path.world.run(late)).name, expected)
    t.match(await story.committed(), { values: [], lastStableOffset: 1 })
  }
  const story = new Story()
  t.equal(await story.send(['a']), 'NONE')
  let release = () => {}
  story.path.verify = async (request) => {
    await new Promise<void>((resolve) => {
      release = resolve
    })
    return answering(errors.NONE)(request)
  }
  const next = story.start(['b'], { producerEpoch: 1 })
  await story.path.world.runFor(5)
  t.same(await story.end({ producerEpoch: 1, transactionVersion: 2 }), ['NONE'])
  release()
  const { name } = await story.path.world.run(next)
  t.equal(name, 'NONE', 'the marker of one transaction does not keep out the next, of its epoch')
})

t.test('a batch that could not be verified is not overtaken', async (t) => {
  const story = new Story()
  story.path.verify = answering(errors.COORDINATOR_NOT_AVAILABLE)
  t.equal(await story.send(['a'], { version: 11 }), 'NOT_ENOUGH_REPLICAS')
  story.path.verify = answering(errors.NONE)
  t.equal(await story.send(['b'], { version: 11, sequence: 1 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
  t.equal(await story.send(['a'], { version: 11 }), 'NONE')
  t.equal(await story.send(['b'], { version: 11, sequence: 1 }), 'NONE')
  const unknown = { producerId: 99, sequence: 5 }
  t.equal(await story.send(['c'], unknown), 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'nothing was lost')
  const old = { ...unknown, producerId: 98, version: 11 }
  t.equal(await story.send(['c'], old), 'NONE', 'who knows, with old ones')
})

t.test('where transactions are not verified', async (t) => {
  const story = new Story()
  story.path.isVerifying = false
  story.path.verify = answering(errors.INVALID_TXN_STATE)
  t.equal(await story.send(['a'], { version: 11 }), 'NONE')
  t.equal(
    await story.send(['b'], { producerId: 8 }),
    'INVALID_TXN_STATE',
    'those who add still are',
  )
  const plain = { isTransactional: false, sequence: 1, version: 11 }
  t.equal(await story.send(['c'], plain), 'INVALID_TXN_STATE', 'outside the transaction')
})

t.test('fences', async (t) => {
  const story = new Story()
  t.equal(await story.send(['a'], { producerEpoch: 3 }), 'NONE')
  t.equal(await story.send(['b'], { producerEpoch: 2 }), 'INVALID_PRODUCER_EPOCH')
  t.same(await story.end({ producerEpoch: 2 }), ['INVALID_PRODUCER_EPOCH'])
  const sameEpoch = { producerEpoch: 3, transactionVersion: 2 }
  t.same(await story.end(sameEpoch), ['INVALID_PRODUCER_EPOCH'], 'a late one, since version 2')
  t.same(await story.end({ ...sameEpoch, version: 1 }), ['NONE'], 'and before')
  t.equal(await story.send(['b'], { producerEpoch: 3, sequence: 1 }), 'NONE')
  const next = { producerEpoch: 4, transactionVersion: 2, coordinatorEpoch: 5 }
  t.same(await story.end(next), ['NONE'])
  t.same(await story.end(next), ['NONE'], 'repeated')
  t.same(await story.end({ ...next, coordinatorEpoch: 4 }), ['TRANSACTION_COORDINATOR_FENCED'])
  t.same(await story.end({ ...next, indexes: [0, 1, 2] }), [
    'NONE',
    'NONE',
    'UNKNOWN_TOPIC_OR_PARTITION',
  ])
  t.same(await story.end({ topic: 'none' }), ['UNKNOWN_TOPIC_OR_PARTITION'])
  const end = story.orders.logEndOffset
  t.same(await story.end({ producerId: -1 }), ['UNKNOWN_SERVER_ERROR'], 'of nobody')
  t.same(await story.end({ producerEpoch: -1 }), ['UNKNOWN_SERVER_ERROR'])
  t.equal(story.orders.logEndOffset, end)
  story.path.createTopic('elsewhere', { replicas: [2], leader: 2 })
  t.same(await story.end({ topic: 'elsewhere' }), ['NOT_LEADER_OR_FOLLOWER'])
})

t.test('a fetch of committed records waits for the marker', async (t) => {
  const story = new Story()
  const { world } = story.path
  let isAnswered = false
  const waiting = story.parked(10_000).then((response) => {
    isAnswered = true
    return response?.responses[0]?.partitions[0]
  })
  t.equal(await story.send(['a']), 'NONE')
  await world.runFor(100)
  t.notOk(isAnswered, 'open data wakes nobody')
  t.same(await story.end(), ['NONE'])
  const answer = await world.run(waiting)
  t.same(valuesOf(answer?.records, []), ['a'])
  const large = story.parked(10_000, 1000).then((response) => response?.responses.length)
  t.equal(await story.send(['x'.repeat(900)], { sequence: 1 }), 'NONE')
  const { clock } = story.path.process.environment
  const before = clock.now()
  t.same(await story.end(), ['NONE'])
  t.equal(await world.run(large), 1, 'what the marker sets free counts, not the marker alone')
  t.ok(clock.now() - before < 1000)
})

t.test('what is told of transactions that are open', async (t) => {
  const story = new Story()
  const { path } = story
  await path.append('orders', ['plain'])
  t.equal(await story.send(['a'], { producerEpoch: 2 }), 'NONE')
  const offsets = async (isolationLevel: number) => {
    const partitions = [{ partitionIndex: 0, timestamp: -1 }]
    const topics = [{ name: 'orders', partitions }]
    const handler = listOffsets(path.parts)
    const response = await path.call(handler, 7, { replicaId: -1, isolationLevel, topics })
    return response?.topics[0]?.partitions[0]?.offset
  }
  t.equal(await offsets(0), 2)
  t.equal(await offsets(1), 1)
  const producers = async () => {
    const topics = [{ name: 'orders', partitionIndexes: [0] }]
    const response = await path.call(describeProducers(path.parts), 0, { topics })
    return response?.topics[0]?.partitions[0]?.activeProducers
  }
  const open = { producerId, producerEpoch: 2, lastSequence: 0, currentTxnStartOffset: 1 }
  t.match(await producers(), [{ ...open, coordinatorEpoch: -1 }])
  t.same(await story.end({ producerEpoch: 2, coordinatorEpoch: 4, version: 1 }), ['NONE'])
  t.match(await producers(), [{ ...open, coordinatorEpoch: 4, currentTxnStartOffset: -1 }])
  t.equal(await offsets(1), 3)
})

t.test('producers that are idle are forgotten, when the setting says so now', async (t) => {
  const story = new Story()
  const { path } = story
  t.equal(await story.send(['a']), 'NONE')
  t.same(await story.end(), ['NONE'])
  t.equal(await story.send(['b'], { producerId: 8, producerEpoch: 1 }), 'NONE')
  path.producerIdExpirationMs = 1000
  await path.world.runFor(1_200_000)
  t.same(
    story.orders.log.activeProducers().map((one) => one.producerId),
    [8],
    'never one with an open transaction',
  )
})

t.test('a group commits offsets in transactions, in all versions', async (t) => {
  const story = new Story()
  const { path } = story
  const topics = {
    topicIdOf: () => undefined,
    topicNameOf: () => undefined,
    partitionCountOf: (name: string) => (name === 'orders' ? 2 : undefined),
  }
  const commit = async (version: number, committedOffset: number, producerEpoch = 0) => {
    const { groups } = story
    const partition = (partitionIndex: number) => ({
      partitionIndex,
      committedOffset,
      committedMetadata: '',
    })
    const response = await path.call(txnOffsetCommit({ ...path.parts, groups, topics }), version, {
      transactionalId: 'tx',
      groupId: 'g',
      producerId,
      producerEpoch,
      topics: [
        { name: 'orders', partitions: [partition(0), partition(2)] },
        ...(version === 5 ? [{ name: 'orders', partitions: [] }] : []),
        { name: 'none', partitions: [partition(0)] },
      ],
    })
    t.equal(response?.topics.length, 2, 'a topic without partitions is left out')
    const answered = response?.topics.flatMap(({ partitions }) => partitions) ?? []
    return answered.map(({ errorCode }) => nameOf(errorCode))
  }
  const fetched = async () => {
    const { groups } = story
    const response = await path.call(offsetFetch({ groups, topics }), 7, {
      groupId: 'g',
      topics: [{ name: 'orders', partitionIndexes: [0] }],
      requireStable: true,
    })
    const partition = response?.topics?.[0]?.partitions[0]
    return partition?.errorCode === 0 ? partition.committedOffset : nameOf(partition?.errorCode)
  }
  const unknown = 'UNKNOWN_TOPIC_OR_PARTITION'
  const offsetsTopic = '__consumer_offsets'
  for (let version = 0; version <= 5; version++) {
    t.same(await commit(version, version), ['NONE', unknown, unknown], `${version}`)
    t.equal(await fetched(), 'UNSTABLE_OFFSET_COMMIT')
    if (version === 3) await story.restart('kill')
    t.equal(await fetched(), 'UNSTABLE_OFFSET_COMMIT')
    t.same(await story.end({ topic: offsetsTopic }), ['NONE'])
    t.equal(await fetched(), version)
    if (version === 4) await story.restart('crash')
    t.equal(await fetched(), version)
  }
  t.same(
    path.verified.map(({ isAdding }) => isAdding),
    [false, false, false, false, false, true],
  )
  t.same(await commit(5, 10, 1), ['NONE', unknown, unknown])
  t.same(await story.end({ topic: offsetsTopic, producerEpoch: 1, isCommit: false }), ['NONE'])
  t.equal(await fetched(), 5)
  t.same(await commit(5, 10, 0), ['INVALID_PRODUCER_EPOCH', unknown, unknown], 'a zombie')
  const said: [ErrorRow, Record<number, string>][] = [
    [errors.COORDINATOR_LOAD_IN_PROGRESS, { 1: 'COORDINATOR_NOT_AVAILABLE' }],
    [errors.NETWORK_EXCEPTION, { 2: 'COORDINATOR_LOAD_IN_PROGRESS' }],
    [errors.TRANSACTION_ABORTABLE, { 3: 'INVALID_TXN_STATE', 4: 'TRANSACTION_ABORTABLE' }],
    [errors.CONCURRENT_TRANSACTIONS, { 5: 'CONCURRENT_TRANSACTIONS' }],
  ]
  for (const [row, byVersion] of said) {
    path.verify = answering(row)
    for (const [version, name] of Object.entries(byVersion)) {
      t.same(
        await commit(Number(version), 1, 2),
        [name, unknown, unknown],
        `${row.name} ${version}`,
      )
    }
  }
  t.equal(await fetched(), 5)
  path.verify = answering(errors.NONE)
  path.deleteTopic(path.image.topics.byName.get(offsetsTopic) as TopicImage)
  const gone = ['COORDINATOR_NOT_AVAILABLE', unknown, unknown]
  t.same(await commit(5, 1, 1), gone, 'there is no topic of offsets')
})
