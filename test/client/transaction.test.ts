/**
 * What a producer's transactions promise: against a broker that answers as the test says, in virtual time, and against
 * our own.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { errors } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { TimeoutError } from '../../src/client/failures.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import { Producer } from '../../src/client/producer.ts'
import { Transaction } from '../../src/client/transaction.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { startBroker } from '../cli/running-broker.ts'
import type { SimulatedWorld } from '../simulator/simulated-world.ts'
import { besideScriptedBroker, type ScriptedBroker } from './scripted-broker.ts'

t.setTimeout(120_000)

const nobody = { memberId: '', generationId: -1, groupInstanceId: null }
const asked = ['initProducerId', 'addPartitionsToTxn', 'addOffsetsToTxn', 'endTxn'] as const

interface Parts {
  readonly t: Test
  readonly world: SimulatedWorld
  readonly broker: ScriptedBroker
  readonly transaction: Transaction
  readonly producer: Producer
  /** What was written, as `partition:epoch:sequence:value`. */
  readonly written: string[]
  /** The codes with which the next batches are answered. */
  readonly verdicts: number[]
  readonly write: (partition: number, ...values: string[]) => Promise<string[]>
  /** The requests about transactions, with their versions, and what is told of them. */
  readonly log: () => string[]
}

function scripted(level: number, run: (parts: Parts) => Promise<void>) {
  return async (t: Test) => {
    const timeouts = { requestTimeoutMs: 1000, operationTimeoutMs: 5000 }
    await besideScriptedBroker(7, timeouts, async ({ world, broker, cluster }) => {
      broker.transactionVersion = level
      const transaction = new Transaction(cluster, { transactionalId: 'mine' })
      const producer = new Producer(cluster, { transaction, lingerMs: 0 })
      const written: string[] = []
      const verdicts: number[] = []
      answer(broker, written, verdicts)
      await run({
        ...{ t, world, broker, transaction, producer, written, verdicts },
        write: (partition, ...values) =>
          Promise.all(
            values.map((value) =>
              producer
                .send({ topic: 't', partition, key: null, value: Buffer.from(value) })
                .then(() => value)
                .catch((error: Error) => error.message),
            ),
          ),
        log: () =>
          broker.received
            .filter(({ name }) => asked.some((each) => lower(name) === each.toLowerCase()))
            .map(({ name, version, request }) =>
              [lower(name), version, request.committed].filter((x) => x !== undefined).join(' '),
            ),
      })
    })
  }
}

const lower = (name: string) => name.replace(/Request$/, '').toLowerCase()

/** As a coordinator and a leader do that have nothing against it. */
function answer(broker: ScriptedBroker, written: string[], verdicts: number[]): void {
  let epoch = -1
  broker.answers = {
    initProducerId: () => ({ errorCode: 0, producerId: 7, producerEpoch: ++epoch }),
    addPartitionsToTxn: ({ v3AndBelowTopics: topics }) => ({
      resultsByTopicV3AndBelow: topics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex) => ({
          partitionIndex,
          partitionErrorCode: 0,
        })),
      })),
    }),
    addOffsetsToTxn: () => ({ errorCode: 0 }),
    txnOffsetCommit: ({ topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 0 })),
      })),
    }),
    endTxn: (_request, version) =>
      version < 5 ? { errorCode: 0 } : { errorCode: 0, producerId: 7, producerEpoch: ++epoch },
    produce: ({ topicData }) => ({
      responses: topicData.map(({ name, topicId, partitionData }) => ({
        name,
        topicId,
        partitionResponses: partitionData.map(({ index, records }) => {
          const bytes = Buffer.concat(records ?? [])
          const errorCode = verdicts.shift() ?? 0
          const batch = readBatch(bytes)
          const values = batch.records.map(({ value }) => String(value))
          if (errorCode === 0)
            written.push([index, batch.producerEpoch, batch.baseSequence, ...values].join(':'))
          return { index, errorCode, baseOffset: header.isTransactional(bytes, 0) ? 0 : -2 }
        }),
      })),
    }),
  }
}

t.test(
  'before version 2: partitions and groups are entered, and an abort takes a new epoch',
  scripted(1, async ({ t, broker, transaction, producer, written, write, log }) => {
    await transaction.open()
    transaction.begin()
    t.same(await Promise.all([write(0, 'a', 'b'), write(1, 'c')]), [['a', 'b'], ['c']])
    await transaction.commitOffsets({ groupId: 'g', ...nobody }, [
      { topic: 't', partition: 2, offset: 5 },
    ])
    await producer.commit()
    t.strictSame(log(), [
      'initproducerid 5',
      'addpartitionstotxn 3',
      'addoffsetstotxn 4',
      'endtxn 4 true',
    ])
    t.match(broker.requests('addPartitionsToTxn')[0], {
      v3AndBelowTransactionalId: 'mine',
      v3AndBelowTopics: [{ name: 't', partitions: [0, 1] }],
    })
    const produce = broker.received.filter(({ name }) => lower(name) === 'produce')
    t.ok(
      produce.every(({ version, request }) => version <= 11 && request.transactionalId === 'mine'),
    )
    const commit = broker.received.find(({ name }) => lower(name) === 'txnoffsetcommit')
    t.match(commit, {
      version: 4,
      request: { groupId: 'g', producerId: 7, transactionalId: 'mine' },
    })
    transaction.begin()
    await write(0, 'd')
    await producer.abort()
    t.strictSame(log().slice(4), ['addpartitionstotxn 3', 'endtxn 4 false', 'initproducerid 5'])
    t.match(broker.requests('initProducerId')[1], { producerId: 7, producerEpoch: 0 })
    transaction.begin()
    await write(0, 'e')
    await producer.commit()
    // Sequence numbers go on behind a commit, and begin anew with an epoch.
    t.strictSame(written, ['0:0:0:a:b', '1:0:0:c', '0:0:2:d', '0:1:0:e'])
  }),
)

t.test(
  'version 2: whoever is written to is entered by that, and each end brings an epoch',
  scripted(2, async ({ t, broker, transaction, producer, written, write, log }) => {
    await transaction.open()
    transaction.begin()
    await write(0, 'a', 'b')
    await transaction.commitOffsets({ groupId: 'g', ...nobody }, [
      { topic: 't', partition: 2, offset: 5 },
    ])
    await producer.commit()
    transaction.begin()
    await write(0, 'c')
    await producer.abort()
    transaction.begin()
    await producer.commit()
    transaction.begin()
    await write(0, 'd')
    await producer.commit()
    // Where nothing was written the broker is told nothing.
    t.strictSame(log(), ['initproducerid 5', 'endtxn 5 true', 'endtxn 5 false', 'endtxn 5 true'])
    t.strictSame(written, ['0:0:0:a:b', '0:1:0:c', '0:2:0:d'])
    const commit = broker.received.find(({ name }) => lower(name) === 'txnoffsetcommit')
    t.equal(commit?.version, 5)
    t.throws(() => producer.add({ topic: 't', key: null, value: null }), /is ready, not running/)
  }),
)

for (const level of [1, 2])
  t.test(
    `what was not written is not committed, and the next one goes (version ${level})`,
    scripted(level, async ({ t, transaction, producer, verdicts, written, write, log }) => {
      await transaction.open()
      transaction.begin()
      verdicts.push(0, errors.INVALID_RECORD.code)
      await write(0, 'a')
      t.match(await write(0, 'b'), [/t-0: /])
      t.match(await write(1, 'c'), [/t-0: /], 'nothing more is sent')
      await t.rejects(producer.commit(), /t-0: /)
      t.notOk(log().some((line) => line.startsWith('endtxn')))
      await producer.abort()
      transaction.begin()
      const unknown = await Promise.allSettled([
        producer.send({ topic: 'none', key: null, value: null }),
      ])
      t.equal(unknown[0]?.status, 'rejected')
      await t.rejects(producer.commit(), /none/)
      await producer.abort()
      transaction.begin()
      await write(0, 'd')
      await producer.commit()
      t.strictSame(written, ['0:0:0:a', '0:1:0:d'])
    }),
  )

t.test(
  'who is shut out writes nothing more, however often it is tried',
  scripted(2, async ({ t, broker, transaction, producer, write, log }) => {
    await transaction.open()
    transaction.begin()
    await write(0, 'a')
    broker.answers.endTxn = () => ({ errorCode: errors.PRODUCER_FENCED.code })
    await t.rejects(producer.commit(), /newer producer/)
    await t.rejects(producer.abort(), /newer producer/)
    t.match(await write(0, 'b'), [/newer producer/])
    t.throws(() => transaction.begin(), /newer producer/)
    t.equal(log().filter((line) => line.startsWith('endtxn')).length, 1)
  }),
)

t.test(
  'a coordinator that is busy, moves or falls silent is asked again; then only the same end may be asked for',
  scripted(2, async ({ t, broker, transaction, producer, written, write }) => {
    const { endTxn } = broker.answers
    const replies: ('close' | number)[] = [
      errors.CONCURRENT_TRANSACTIONS.code,
      errors.NOT_COORDINATOR.code,
      'close',
    ]
    broker.answers.endTxn = (request, version) => {
      const reply = replies.shift()
      if (reply === 'close') return 'close'
      return reply === undefined ? endTxn!(request, version) : { errorCode: reply }
    }
    await transaction.open()
    transaction.begin()
    await write(0, 'a')
    await producer.commit()
    transaction.begin()
    await write(0, 'b')
    replies.push(...new Array<number>(100).fill(errors.COORDINATOR_LOAD_IN_PROGRESS.code))
    await t.rejects(producer.commit(), TimeoutError)
    await t.rejects(producer.abort(), /may have ended: it was a commit/)
    replies.length = 0
    await producer.commit()
    transaction.begin()
    await write(0, 'c')
    replies.push(errors.TRANSACTION_ABORTABLE.code)
    await t.rejects(producer.commit(), /aborting/)
    await producer.abort()
    t.strictSame(written, ['0:0:0:a', '0:1:0:b', '0:2:0:c'])
  }),
)

t.test(
  'against a broker: all or nothing, one producer of an id, and offsets of a group',
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-transaction-'))
    const { address, stop } = await startBroker(directory)
    const port = Number(address.split(':')[1])
    const environment = createNodeEnvironment({ log: { level: 'silent' } })
    const cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
    t.teardown(async () => {
      cluster.close()
      await stop()
      rmSync(directory, { recursive: true, force: true })
    })
    await createTopics(cluster, [
      { name: 't', partitions: 2, replicationFactor: 1, configs: new Map() },
    ])
    const opened = async () => {
      const transaction = new Transaction(cluster, { transactionalId: 'x' })
      await transaction.open()
      return { transaction, producer: new Producer(cluster, { transaction }) }
    }
    const read = async () => {
      const consumer = new Consumer(cluster, { isolation: 'read_committed' })
      consumer.assign([0, 1].map((partition) => ({ topic: 't', partition, offset: 'earliest' })))
      const values: string[] = []
      for (let idle = 0; idle < 3; ) {
        const batches = await consumer.poll({ timeoutMs: 100 })
        idle = batches.length > 0 ? 0 : idle + 1
        for (const { records } of batches) values.push(...records.map(({ value }) => String(value)))
      }
      await consumer.close()
      return values.sort()
    }
    const write = (producer: Producer, ...values: string[]) =>
      Promise.all(
        values.map((value, i) =>
          producer.send({ topic: 't', partition: i % 2, key: null, value: Buffer.from(value) }),
        ),
      )
    const one = await opened()
    for (const [round, how] of (['commit', 'abort', 'commit'] as const).entries()) {
      one.transaction.begin()
      await write(one.producer, `a${round}`, `b${round}`)
      await one.transaction.commitOffsets({ groupId: 'g', ...nobody }, [
        { topic: 't', partition: 0, offset: 10 + round },
      ])
      await one.producer[how]()
      const [committed] = await fetchCommitted(cluster, 'g', [{ topic: 't', partition: 0 }])
      t.equal(committed?.offset, how === 'commit' ? 10 + round : 10)
    }
    const both = ['a0', 'a2', 'b0', 'b2']
    t.strictSame(await read(), both)
    one.transaction.begin()
    await write(one.producer, 'lost')
    const two = await opened()
    two.transaction.begin()
    await write(two.producer, 'kept')
    await t.rejects(one.producer.commit(), /newer|older|epoch|fenced/i)
    await t.rejects(one.producer.abort())
    await two.producer.commit()
    t.strictSame(await read(), [...both, 'kept'])
  },
)
