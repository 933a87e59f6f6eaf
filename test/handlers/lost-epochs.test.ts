/**
 * A loss of power takes what the coordinator had recorded of a producer's epochs, and not what was written
 * under them: topics differ in what they promise. What is acknowledged afterwards is there all the same.
 */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { encodeBatch, readBatch } from '../../protocol/records/record.ts'
import { OneBroker } from './one-broker.ts'

const never = '9223372036854775807'

class Story {
  readonly node: OneBroker
  readonly #isTopicSynced: boolean
  topicId = ''
  /** The application that asks; after a loss of power another one. */
  host = 'app'
  identity = { producerId: -1, producerEpoch: -1 }

  /** What is synced before it is acknowledged: the records, or what the coordinator records. */
  constructor(synced: 'topic' | 'state') {
    this.#isTopicSynced = synced === 'topic'
    this.node = new OneBroker({
      'transaction.state.log.num.partitions': '1',
      'log.flush.interval.messages': this.#isTopicSynced ? never : '1',
    })
  }

  async start(): Promise<void> {
    const { node } = this
    await node.start()
    const configs = [{ name: 'flush.messages', value: this.#isTopicSynced ? '1' : never }]
    const topic = {
      name: 'orders',
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs,
    }
    const request = { topics: [topic], timeoutMs: 1000, validateOnly: false }
    const created = await node.ask(this.host, apis.createTopics, request)
    this.topicId = created.topics[0]?.topicId ?? ''
  }

  /** Asks until nobody says that it is too early. */
  async #insist(ask: () => Promise<number>): Promise<string> {
    const early = ['CONCURRENT_TRANSACTIONS', 'COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR']
    for (;;) {
      const { name } = errorByCode(await ask())
      if (!early.includes(name)) return name
      await this.node.world.runFor(50)
    }
  }

  async init(): Promise<string> {
    const { node } = this
    const key = { key: 'tx', keyType: 1, coordinatorKeys: ['tx'] }
    await this.#insist(async () => {
      const found = await node.ask(this.host, apis.findCoordinator, key)
      return found.coordinators?.[0]?.errorCode ?? 15
    })
    return await this.#insist(async () => {
      const { errorCode, producerId, producerEpoch } = await node.ask(
        this.host,
        apis.initProducerId,
        {
          transactionalId: 'tx',
          transactionTimeoutMs: 60_000,
        },
      )
      if (errorCode === 0) this.identity = { producerId, producerEpoch }
      return errorCode
    })
  }

  async write(value: string): Promise<string> {
    const records = [{ timestamp: 1, key: null, value: Buffer.from(value) }]
    const batch = { records, ...this.identity, baseSequence: 0, isTransactional: true }
    return await this.#insist(async () => {
      const partitionData = [{ index: 0, records: [encodeBatch(batch)] }]
      const answer = await this.node.ask(this.host, apis.produce, {
        transactionalId: 'tx',
        acks: -1,
        timeoutMs: 1000,
        topicData: [{ topicId: this.topicId, partitionData }],
      })
      return answer.responses[0]?.partitionResponses[0]?.errorCode ?? -1
    })
  }

  async commit(): Promise<string> {
    return await this.#insist(async () => {
      const answer = await this.node.ask(this.host, apis.endTxn, {
        transactionalId: 'tx',
        ...this.identity,
        committed: true,
      })
      const { errorCode, producerId, producerEpoch } = answer
      if (errorCode === 0) this.identity = { producerId, producerEpoch }
      return errorCode
    })
  }

  /** What is stored, in transactions of whatever end. */
  async stored(): Promise<string[]> {
    const values: string[] = []
    for (let offset = 0; ; ) {
      const bytes = await this.#fetch(offset)
      if (bytes.length === 0) return values
      for (const at of header.batches(bytes)) {
        offset = header.lastOffset(bytes, at) + 1
        if (header.isControl(bytes, at)) continue
        for (const { value } of readBatch(bytes, at).records) values.push(`${value}`)
      }
    }
  }

  /** Up to where readers read, of all records or of those that are decided. */
  async end(isolationLevel: number): Promise<number | undefined> {
    const partitions = [{ partitionIndex: 0, timestamp: -1 }]
    const topics = [{ name: 'orders', partitions }]
    const request = { replicaId: -1, isolationLevel, topics }
    const answer = await this.node.ask(this.host, apis.listOffsets, request)
    return answer.topics[0]?.partitions[0]?.offset
  }

  /** How many transactions are told to be aborted. */
  async aborted(): Promise<number | undefined> {
    const partition = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }
    const topics = [{ topicId: this.topicId, partitions: [partition] }]
    const request = { maxWaitMs: 10, minBytes: 0, isolationLevel: 1, topics }
    const answer = await this.node.ask(this.host, apis.fetch, request)
    return answer.responses[0]?.partitions[0]?.abortedTransactions?.length
  }

  async #fetch(fetchOffset: number): Promise<Buffer> {
    const partition = { partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }
    const answer = await this.node.ask(this.host, apis.fetch, {
      maxWaitMs: 10,
      minBytes: 0,
      topics: [{ topicId: this.topicId, partitions: [partition] }],
    })
    return Buffer.concat([...(answer.responses[0]?.partitions[0]?.records ?? [])])
  }
}

t.test('what is written after a loss of power is stored', async (t) => {
  for (let transactions = 1; transactions <= 16; transactions++) {
    const story = new Story('topic')
    await story.start()
    t.equal(await story.init(), 'NONE')
    for (let count = 0; count < transactions; count++) {
      t.equal(await story.write(`before ${count}`), 'NONE')
      t.equal(await story.commit(), 'NONE')
    }
    await story.node.restart('crash')
    story.host = 'other'
    t.equal(await story.init(), 'NONE')
    const name = `after ${transactions}`
    t.equal(await story.write('after'), 'NONE', name)
    t.equal(await story.commit(), 'NONE', name)
    t.ok((await story.stored()).includes('after'), name)
    await story.node.world.runFor(1000)
    t.equal(await story.end(1), await story.end(0), `${name}: nobody waits for a transaction`)
  }
})

t.test('a transaction that its coordinator knows goes on after a kill', async (t) => {
  const story = new Story('topic')
  await story.start()
  await story.init()
  t.equal(await story.write('before'), 'NONE')
  await story.node.restart('kill')
  await story.node.world.runFor(1000)
  t.equal(await story.end(1), 0, 'it is open')
  t.equal(await story.commit(), 'NONE')
  await story.node.world.runFor(1000)
  t.equal(await story.end(1), 2)
})

t.test('a commit whose marker a loss of power took is carried out', async (t) => {
  for (let run = 0; run < 24; run++) {
    const story = new Story('state')
    await story.start()
    t.equal(await story.init(), 'NONE')
    t.equal(await story.write('before'), 'NONE')
    t.equal(await story.commit(), 'NONE')
    // Each takes another course.
    for (let count = 0; count < run; count++) await story.end(0)
    await story.node.restart('crash')
    story.host = 'other'
    await story.node.world.runFor(1000)
    t.equal(await story.end(1), await story.end(0), `run ${run}`)
    t.equal(await story.aborted(), 0, `run ${run}`)
  }
})
