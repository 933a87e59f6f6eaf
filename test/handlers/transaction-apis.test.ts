/**
 * Transactions over the wire of a whole broker: every version of their APIs, what their answers are in each,
 * and a broker that is killed at any moment while a decision is carried out.
 */
import t, { type Test } from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import { batches, isControl } from '../../protocol/records/batch.ts'
import { encodeBatch, readBatch } from '../../protocol/records/record.ts'
import { decodeTransactionRecord } from '../../src/coordinator/transaction/records.ts'
import { OneBroker } from './one-broker.ts'

const topic = 'orders'
const partitionCount = 3

interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

class Stage extends OneBroker {
  constructor(settings: Readonly<Record<string, string>> = {}) {
    super({ 'transaction.state.log.num.partitions': '2', ...settings })
  }

  async open(): Promise<void> {
    await this.start()
    const created = { name: topic, numPartitions: partitionCount, replicationFactor: 1 }
    const topics = [{ ...created, assignments: [], configs: [] }]
    await this.ask('client', apis.createTopics, { topics, timeoutMs: 1000, validateOnly: false })
    await this.ask('client', apis.findCoordinator, { keyType: 1, coordinatorKeys: ['tx'] })
  }

  async init(
    transactionalId = 'tx',
    version = 5,
    timeoutMs = 60_000,
  ): Promise<Identity & { error: string }> {
    const input = { transactionalId, transactionTimeoutMs: timeoutMs }
    const answer = await this.ask('client', apis.initProducerId, input, version)
    return { ...answer, error: named(answer.errorCode) }
  }

  /** As `init`, again while an earlier transaction is ended. */
  async begun(transactionalId = 'tx'): Promise<Identity> {
    for (let attempt = 0; attempt < 20; attempt++) {
      const answer = await this.init(transactionalId)
      if (answer.error === 'NONE') return answer
      await this.world.runFor(100)
    }
    throw new Error('no producer id')
  }

  async add(producer: Identity, version: number, ...indexes: number[]): Promise<string[]> {
    const answer = await this.ask(
      'client',
      apis.addPartitionsToTxn,
      {
        v3AndBelowTransactionalId: 'tx',
        v3AndBelowProducerId: producer.producerId,
        v3AndBelowProducerEpoch: producer.producerEpoch,
        v3AndBelowTopics: [{ name: topic, partitions: indexes }],
      },
      version,
    )
    const [results] = answer.resultsByTopicV3AndBelow
    return (results?.resultsByPartition ?? []).map((one) => named(one.partitionErrorCode))
  }

  async end(
    producer: Identity,
    committed: boolean,
    version: number,
  ): Promise<Identity & { error: string }> {
    const { producerId, producerEpoch } = producer
    const input = { transactionalId: 'tx', producerId, producerEpoch, committed }
    const answer = await this.ask('client', apis.endTxn, input, version)
    return { ...answer, error: named(answer.errorCode) }
  }

  produce(producer: Identity, index: number, value: string, version = 12, sequence = 0) {
    const batch = encodeBatch({
      records: [{ timestamp: 1, key: null, value: Buffer.from(value) }],
      producerId: producer.producerId,
      producerEpoch: producer.producerEpoch,
      baseSequence: sequence,
      isTransactional: true,
    })
    const partitionData = [{ index, records: [batch] }]
    const topicData = [{ name: topic, partitionData }]
    const input = { transactionalId: 'tx', acks: -1, timeoutMs: 1000, topicData }
    return this.ask('client', apis.produce, input, version)
  }

  async produced(...args: Parameters<Stage['produce']>): Promise<string> {
    const [answer] = (await this.produce(...args)).responses[0]?.partitionResponses ?? []
    return named(answer?.errorCode ?? -1)
  }

  /** What consumers of committed records get to see. */
  async read(index: number): Promise<string[]> {
    const answer = await this.ask(
      'client',
      apis.fetch,
      {
        maxWaitMs: 0,
        minBytes: 0,
        maxBytes: 1_000_000,
        isolationLevel: 1,
        sessionEpoch: -1,
        topics: [
          {
            topic,
            partitions: [{ partition: index, fetchOffset: 0, partitionMaxBytes: 1_000_000 }],
          },
        ],
        forgottenTopicsData: [],
        rackId: '',
      },
      11,
    )
    const [partition] = answer.responses[0]?.partitions ?? []
    const bytes = Buffer.concat(partition?.records ?? [])
    const aborted = new Set(
      (partition?.abortedTransactions ?? []).map(({ producerId }) => producerId),
    )
    const values: string[] = []
    for (const at of batches(bytes)) {
      const batch = readBatch(bytes, at)
      if (isControl(bytes, at) || aborted.has(batch.producerId)) continue
      for (const { value } of batch.records) values.push(String(value))
    }
    return values
  }

  async describe(transactionalId = 'tx') {
    const input = { transactionalIds: [transactionalId] }
    const answer = await this.ask('client', apis.describeTransactions, input)
    return answer.transactionStates[0]
  }

  async list(filters: object = {}, version = 2) {
    const input = { stateFilters: [], producerIdFilters: [], ...filters }
    const answer = await this.ask('client', apis.listTransactions, input, version)
    return {
      error: named(answer.errorCode),
      unknown: answer.unknownStateFilters,
      ids: answer.transactionStates.map(({ transactionalId }) => transactionalId).sort(),
    }
  }

  /** The last record of `tx` that is on the disk now: the version of its value, and the state. */
  recorded(): { version: number; state: string | undefined } | undefined {
    const disk = this.world.disk('broker')
    let last: ReturnType<Stage['recorded']>
    for (const { name } of disk.list('/data')) {
      if (!name.startsWith('__transaction_state-')) continue
      const bytes = disk.readFile(`/data/${name}/00000000000000000000.log`)
      for (const at of batches(bytes)) {
        for (const { key, value } of readBatch(bytes, at).records) {
          if (key === null || value === null) continue
          const state = decodeTransactionRecord(key, value)?.value?.state
          last = { version: value.readInt16BE(0), state }
        }
      }
    }
    return last
  }

  /** The state of `tx`, once nothing more is to be done. */
  async settledState(): Promise<string | undefined> {
    await this.world.runFor(1000)
    return (await this.describe())?.transactionState
  }
}

function named(code: number): string {
  return errorByCode(code)?.name ?? String(code)
}

t.test('every version of the APIs commits and aborts', async (t) => {
  const stage = new Stage()
  await stage.open()
  for (let version = 0; version <= 5; version++) {
    const producer = await stage.init('tx', version)
    t.equal(producer.error, 'NONE')
    const addVersion = Math.min(version, 3)
    for (const committed of [true, false]) {
      t.strictSame(await stage.add(producer, addVersion, 0, 2), ['NONE', 'NONE'])
      const ended = await stage.end(producer, committed, Math.min(version, 4))
      t.equal(ended.error, 'NONE')
      t.equal(await stage.settledState(), committed ? 'CompleteCommit' : 'CompleteAbort')
    }
    const { producerId, producerEpoch } = producer
    const offsets = { transactionalId: 'tx', producerId, producerEpoch, groupId: 'g' }
    await stage.ask('client', apis.findCoordinator, { keyType: 0, coordinatorKeys: ['g'] })
    const added = await stage.ask('client', apis.addOffsetsToTxn, offsets, Math.min(version, 4))
    t.equal(named(added.errorCode), 'NONE')
    t.equal((await stage.describe())?.topics[0]?.topic, '__consumer_offsets')
    t.equal((await stage.end(producer, true, Math.min(version, 4))).error, 'NONE')
  }
  const producer = await stage.begun()
  await stage.add(producer, 3, 0)
  const next = await stage.end(producer, true, 5)
  t.match(next, {
    error: 'NONE',
    producerId: producer.producerId,
    producerEpoch: producer.producerEpoch + 1,
  })
  const again = await stage.end(producer, true, 5)
  t.match(again, { error: 'NONE', producerEpoch: next.producerEpoch }, 'said again')
})

t.test('who is fenced is told so in terms it knows', async (t) => {
  const stage = new Stage()
  await stage.open()
  const old = await stage.begun()
  await stage.begun()
  const { producerId, producerEpoch } = old
  for (const version of [0, 1, 2, 3]) {
    const told = version < 2 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED'
    t.strictSame(await stage.add(old, version, 0), [told])
    t.equal((await stage.end(old, true, version)).error, told)
    const offsets = { transactionalId: 'tx', producerId, producerEpoch, groupId: 'g' }
    const added = await stage.ask('client', apis.addOffsetsToTxn, offsets, version)
    t.equal(named(added.errorCode), told)
  }
  for (const version of [3, 4, 5]) {
    const input = { transactionalId: 'tx', transactionTimeoutMs: 1000, producerId, producerEpoch }
    const answer = await stage.ask('client', apis.initProducerId, input, version)
    const told = version < 4 ? 'INVALID_PRODUCER_EPOCH' : 'PRODUCER_FENCED'
    t.equal(named(answer.errorCode), told)
    t.equal(answer.producerId, -1)
  }
  const half = { transactionalId: 'tx', transactionTimeoutMs: 1000, producerId, producerEpoch: -1 }
  t.equal(
    named((await stage.ask('client', apis.initProducerId, half)).errorCode),
    'INVALID_REQUEST',
  )
  t.equal((await stage.init('')).error, 'INVALID_REQUEST')
  t.equal((await stage.init('tx', 5, 900_001)).error, 'INVALID_TRANSACTION_TIMEOUT')
})

t.test('with a partition that cannot be added none is', async (t) => {
  const stage = new Stage()
  await stage.open()
  const producer = await stage.begun()
  t.strictSame(await stage.add(producer, 3, 0, partitionCount, -1), [
    'OPERATION_NOT_ATTEMPTED',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'UNKNOWN_TOPIC_OR_PARTITION',
  ])
  t.equal((await stage.describe())?.transactionState, 'Empty')
  const internal = await stage.ask(
    'client',
    apis.addPartitionsToTxn,
    {
      v3AndBelowTransactionalId: 'tx',
      v3AndBelowProducerId: producer.producerId,
      v3AndBelowProducerEpoch: producer.producerEpoch,
      v3AndBelowTopics: [
        { name: '__transaction_state', partitions: [0] },
        { name: topic, partitions: [] },
      ],
    },
    3,
  )
  t.equal(internal.resultsByTopicV3AndBelow.length, 1, 'only topics with partitions')
  const fenced = await stage.ask(
    'client',
    apis.addPartitionsToTxn,
    {
      v3AndBelowTransactionalId: 'tx',
      v3AndBelowProducerId: producer.producerId,
      v3AndBelowProducerEpoch: 9,
      v3AndBelowTopics: [{ name: topic, partitions: [] }],
    },
    3,
  )
  t.match(fenced.resultsByTopicV3AndBelow, [{ name: topic, resultsByPartition: [] }])
  const [first] = internal.resultsByTopicV3AndBelow[0]?.resultsByPartition ?? []
  t.equal(named(first?.partitionErrorCode ?? -1), 'TOPIC_AUTHORIZATION_FAILED')
})

t.test('brokers ask for several transactions at once', async (t) => {
  const stage = new Stage()
  await stage.open()
  const producer = await stage.begun()
  const { producerId, producerEpoch } = producer
  const topics = [{ name: topic, partitions: [0, 1] }]
  const asked = { transactionalId: 'tx', producerId, producerEpoch, verifyOnly: true, topics }
  const ask = async (...transactions: object[]) => {
    const input = { transactions } as never
    const answer = await stage.ask('client', apis.addPartitionsToTxn, input, 5)
    t.equal(answer.errorCode, 0)
    return answer.resultsByTransaction.map(({ transactionalId, topicResults }) => [
      transactionalId,
      ...(topicResults[0]?.resultsByPartition ?? []).map((one) => named(one.partitionErrorCode)),
    ])
  }
  t.strictSame(await ask(asked, { ...asked, transactionalId: 'other' }), [
    ['tx', 'TRANSACTION_ABORTABLE', 'TRANSACTION_ABORTABLE'],
    ['other', 'INVALID_PRODUCER_ID_MAPPING', 'INVALID_PRODUCER_ID_MAPPING'],
  ])
  t.strictSame(await ask({ ...asked, verifyOnly: false }), [['tx', 'NONE', 'NONE']])
  t.strictSame(await ask(asked), [['tx', 'NONE', 'NONE']])
  t.strictSame(await ask({ ...asked, producerEpoch: 9 }), [
    ['tx', 'PRODUCER_FENCED', 'PRODUCER_FENCED'],
  ])
})

t.test('transactional ids are listed by whatever is asked for', async (t) => {
  const stage = new Stage()
  await stage.open()
  t.equal((await stage.describe('tx'))?.errorCode, 105)
  t.equal((await stage.describe(''))?.errorCode, 42)
  const producer = await stage.begun('tx')
  await stage.begun('ty')
  await stage.begun('other')
  await stage.add(producer, 3, 0, 1)
  await stage.world.runFor(5000)
  t.match(await stage.describe('tx'), {
    errorCode: 0,
    transactionState: 'Ongoing',
    transactionTimeoutMs: 60_000,
    producerId: producer.producerId,
    producerEpoch: producer.producerEpoch,
    topics: [{ topic, partitions: [0, 1] }],
  })
  const ids = async (filters: object) => (await stage.list(filters)).ids
  t.strictSame(await ids({}), ['other', 'tx', 'ty'])
  t.strictSame(await ids({ stateFilters: ['Ongoing'] }), ['tx'])
  t.strictSame(await ids({ stateFilters: ['Ongoing', 'Empty'] }), ['other', 'tx', 'ty'])
  t.strictSame(await ids({ producerIdFilters: [producer.producerId] }), ['tx'])
  t.strictSame(await ids({ transactionalIdPattern: 't.' }), ['tx', 'ty'])
  t.strictSame(await ids({ transactionalIdPattern: 't' }), [], 'patterns are of whole ids')
  t.strictSame(await ids({ transactionalIdPattern: '' }), ['other', 'tx', 'ty'])
  t.strictSame(await ids({ durationFilter: 1_000_000, stateFilters: ['Ongoing'] }), [])
  t.strictSame(await ids({ durationFilter: 1000, stateFilters: ['Ongoing'] }), ['tx'])
  t.strictSame(await stage.list({ stateFilters: ['Nonsense'] }), {
    error: 'NONE',
    unknown: ['Nonsense'],
    ids: [],
  })
  t.equal((await stage.list({ transactionalIdPattern: '(' })).error, 'INVALID_REGULAR_EXPRESSION')
  for (const version of [0, 1]) t.equal((await stage.list({}, version)).ids.length, 3)
})

t.test('the topic of transactions is made as Kafka makes it', async (t) => {
  const stage = new Stage({ 'transaction.state.log.segment.bytes': '2000000' })
  await stage.open()
  const resources = [
    { resourceType: 2, resourceName: '__transaction_state', configurationKeys: null },
  ]
  const described = await stage.ask('client', apis.describeConfigs, { resources })
  const configs = new Map(described.results[0]?.configs.map(({ name, value }) => [name, value]))
  t.equal(configs.get('cleanup.policy'), 'compact')
  t.equal(configs.get('compression.type'), 'uncompressed')
  t.equal(configs.get('min.insync.replicas'), '2')
  t.equal(configs.get('segment.bytes'), '2000000')
  t.equal(configs.get('unclean.leader.election.enable'), 'false')
})

t.test('a cluster that goes back to older transactions goes on with older records', async (t) => {
  const stage = new Stage()
  await stage.open()
  const producer = await stage.begun()
  await stage.add(producer, 3, 0)
  t.strictSame(stage.recorded(), { version: 1, state: 'Ongoing' })
  const update = { feature: 'transaction.version', maxVersionLevel: 0, upgradeType: 2 }
  const featureUpdates = [{ ...update, allowDowngrade: true }]
  const input = { featureUpdates, timeoutMs: 1000, validateOnly: false }
  t.equal((await stage.ask('client', apis.updateFeatures, input)).errorCode, 0)
  t.equal((await stage.init()).error, 'CONCURRENT_TRANSACTIONS', 'the open one is aborted')
  t.equal(await stage.settledState(), 'CompleteAbort')
  t.strictSame(stage.recorded(), { version: 0, state: 'CompleteAbort' })
  const next = await stage.begun()
  t.equal(next.producerEpoch, producer.producerEpoch + 2)
  await stage.restart()
  t.strictSame(await stage.add(next, 3, 0), ['NONE'])
  t.equal((await stage.end(next, true, 4)).error, 'NONE')
  t.equal(await stage.settledState(), 'CompleteCommit')
})

t.test('a transaction goes on in the next life of its broker', async (t) => {
  const stage = new Stage()
  await stage.open()
  const producer = await stage.begun()
  t.equal(await stage.produced(producer, 0, 'before'), 'NONE')
  await stage.restart()
  t.equal((await stage.describe())?.transactionState, 'Ongoing')
  t.equal(await stage.produced(producer, 1, 'after'), 'NONE')
  t.strictSame(await stage.read(0), [])
  const next = await stage.end(producer, true, 5)
  t.equal(next.error, 'NONE')
  await stage.restart()
  t.equal(await stage.settledState(), 'CompleteCommit')
  t.strictSame([await stage.read(0), await stage.read(1)], [['before'], ['after']])
  t.equal(await stage.produced(next, 0, 'next'), 'NONE')
  t.equal((await stage.end(next, false, 5)).error, 'NONE')
  t.equal(await stage.settledState(), 'CompleteAbort')
})

/**
 * Ends a transaction over two partitions and ends the broker `delayMs` after that was asked for. Gives the
 * state that was recorded by then.
 */
async function endedAt(
  t: Test,
  how: 'kill' | 'crash',
  delayMs: number,
  committed: boolean,
): Promise<string> {
  // What is promised to survive a loss of power is synced first.
  const stage = new Stage({ 'log.flush.interval.messages': '1' })
  await stage.open()
  const producer = await stage.begun()
  for (const index of [0, 1]) await stage.produced(producer, index, 'record')
  let told: string | undefined
  void stage.end(producer, committed, 5).then(
    ({ error }) => {
      told = error
    },
    () => {
      told = 'nothing'
    },
  )
  await stage.world.runFor(delayMs)
  const wasTold = told
  const recorded = stage.recorded()?.state ?? ''
  await stage.restart(how)
  const state = await stage.settledState()
  const seen = [await stage.read(0), await stage.read(1)]
  const what = `${how} after ${delayMs} ms, told ${wasTold ?? 'nothing yet'}: ${recorded}, ${state}`
  const isCommitted = state === 'CompleteCommit'
  if (wasTold === 'NONE') t.equal(state, committed ? 'CompleteCommit' : 'CompleteAbort', what)
  else t.ok(['Ongoing', 'CompleteCommit', 'CompleteAbort'].includes(state ?? ''), what)
  t.strictSame(seen, isCommitted ? [['record'], ['record']] : [[], []], what)
  return recorded
}

t.test('whenever a broker ends, its decision is carried out in the next life', async (t) => {
  for (const how of ['kill', 'crash'] as const) {
    const found = new Set<string>()
    for (let delayMs = 0; delayMs < 20; delayMs += 1) {
      found.add(await endedAt(t, how, delayMs, delayMs % 4 < 2))
    }
    for (const state of ['PrepareCommit', 'PrepareAbort']) {
      t.ok(found.has(state), `${how} in ${state}`)
    }
  }
})
