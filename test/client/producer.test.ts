/** What a producer promises, against a broker that fails as the test says. Everything runs in virtual time. */
import t, { type Test } from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import type { Delivery } from '../../src/client/partition-queue.ts'
import { Producer, type ProducerOptions } from '../../src/client/producer.ts'
import type { SimulatedWorld } from '../simulator/simulated-world.ts'
import { besideScriptedBroker, idOf, ScriptedBroker } from './scripted-broker.ts'

interface Batch {
  readonly partition: number
  readonly producerId: number
  readonly baseSequence: number
  readonly values: string[]
  readonly attributes: number
}

/** A broker that keeps what it takes, and answers each batch with the code that the test gives. */
class Store {
  readonly taken: Batch[] = []
  readonly seen: Batch[] = []
  /** Called with the number of the batch as it comes, from 0. */
  judge: (index: number, batch: Batch) => number | 'close' = () => 0
  acks: number[] = []

  constructor(broker: ScriptedBroker) {
    broker.answers.produce = (request) => {
      this.acks.push(request.acks)
      const responses = []
      for (const { topicId, name, partitionData } of request.topicData) {
        const partitionResponses = []
        for (const { index, records } of partitionData) {
          const verdict = this.#take(index, Buffer.concat(records ?? []))
          if (verdict === 'close') return 'close'
          const baseOffset = verdict === 0 ? this.#offsetOf(index) : -1
          partitionResponses.push({ index, errorCode: verdict, baseOffset })
        }
        responses.push({ name, topicId, partitionResponses })
      }
      return request.acks === 0 ? 'silence' : { responses }
    }
  }

  #take(partition: number, bytes: Buffer): number | 'close' {
    header.checkCrc(bytes, 0)
    const { records, producerId, baseSequence } = readBatch(bytes)
    const values = records.map(({ value }) => value?.toString() ?? 'null')
    const batch = {
      partition,
      producerId,
      baseSequence,
      values,
      attributes: header.attributes(bytes, 0),
    }
    const verdict = this.judge(this.seen.length, batch)
    this.seen.push(batch)
    if (verdict === 0) this.taken.push(batch)
    return verdict
  }

  #offsetOf(partition: number): number {
    const before = this.taken.filter((batch) => batch.partition === partition)
    return before.slice(0, -1).reduce((sum, { values }) => sum + values.length, 0)
  }

  values(partition = 0): string[] {
    return this.taken
      .filter((batch) => batch.partition === partition)
      .flatMap(({ values }) => values)
  }
}

interface Parts {
  readonly t: Test
  readonly world: SimulatedWorld
  readonly broker: ScriptedBroker
  readonly store: Store
  readonly producer: Producer
  readonly cluster: Cluster
  /** Adds values to partition 0 and resolves with what became of each. */
  readonly write: (values: string[]) => Promise<(Delivery | Error)[]>
}

function withProducer(options: ProducerOptions, run: (parts: Parts) => Promise<void>) {
  return async (t: Test) => {
    await besideScriptedBroker(
      5,
      { requestTimeoutMs: 1000 },
      async ({ world, broker, cluster }) => {
        const producer = new Producer(cluster, options)
        const write = (values: string[]) =>
          Promise.all(
            values.map((value) =>
              producer
                .send({ topic: 't', partition: 0, key: null, value: Buffer.from(value) })
                .catch((error: Error) => error),
            ),
          )
        await run({ t, world, broker, store: new Store(broker), producer, cluster, write })
      },
    )
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `v${index}`)
/** Two values of two bytes with their overhead fill a batch. */
const twoPerBatch = { batchBytes: 46, lingerMs: 5 }

t.test(
  'records of one turn go in one batch, with offsets in order',
  withProducer({}, async ({ t, store, write }) => {
    const deliveries = await write(numbers(100))
    t.equal(store.taken.length, 1)
    t.same(store.values(), numbers(100))
    t.same(
      deliveries.map((row) => (row as Delivery).offset),
      Array.from({ length: 100 }, (_, index) => index),
    )
    t.same(store.acks, [-1])
  }),
)

t.test(
  'sequence numbers count up without a gap, and a batch sent again keeps its own',
  withProducer(twoPerBatch, async ({ t, store, write }) => {
    store.judge = (index) => (index === 1 ? 6 : index === 4 ? 'close' : 0)
    const deliveries = await write(numbers(12))
    t.notOk(deliveries.find((row) => row instanceof Error))
    t.same(new Set(store.taken.map(({ producerId }) => producerId)), new Set([7]))
    for (const batch of store.taken) t.same(batch.baseSequence, Number(batch.values[0]!.slice(1)))
    const [refused] = store.seen.filter((_, index) => index === 1)
    t.ok(store.taken.some(({ baseSequence }) => baseSequence === refused!.baseSequence))
  }),
)

t.test(
  'batches that follow a failed one wait for it: nothing overtakes',
  withProducer(twoPerBatch, async ({ t, store, write }) => {
    // As a broker checks: what is not next in sequence is out of order.
    let next = 0
    let failures = 3
    store.judge = (_, { baseSequence, values }) => {
      if (baseSequence === 4 && failures-- > 0) return 6
      if (baseSequence !== next) return 45
      next += values.length
      return 0
    }
    const deliveries = await write(numbers(20))
    t.notOk(deliveries.find((row) => row instanceof Error))
    t.same(store.values(), numbers(20))
  }),
)

t.test(
  'a batch that is too large comes in halves, with the same numbers',
  withProducer({}, async ({ t, store, write }) => {
    store.judge = (_, { values }) => (values.length > 3 ? 10 : 0)
    const deliveries = await write(numbers(10))
    t.notOk(deliveries.find((row) => row instanceof Error))
    t.same(store.values(), numbers(10))
    for (const batch of store.taken) t.same(batch.baseSequence, Number(batch.values[0]!.slice(1)))
    t.same(
      deliveries.map((row) => (row as Delivery).offset),
      Array.from({ length: 10 }, (_, index) => index),
    )
  }),
)

t.test(
  'what cannot pass fails, and what follows goes under a new identity',
  withProducer(twoPerBatch, async ({ t, broker, store, write }) => {
    let producerId = 7
    broker.answers.initProducerId = () => ({
      errorCode: 0,
      producerId: producerId++,
      producerEpoch: 0,
    })
    store.judge = (_, { values }) => (values.includes('v2') ? 87 : 0)
    const deliveries = await write(numbers(6))
    const failed = deliveries.filter((row) => row instanceof Error)
    t.equal(failed.length, 2)
    t.match((failed[0] as Error).message, /^t-0: /)
    t.same(store.values(), ['v0', 'v1', 'v4', 'v5'])
    await write(['w0'])
    const last = store.taken.at(-1)!
    t.same([last.producerId > 7, last.values], [true, ['w0']])
  }),
)

t.test(
  'a broker that forgot the producer gets the batch under a new identity',
  withProducer({}, async ({ t, broker, store, write }) => {
    let producerId = 7
    broker.answers.initProducerId = () => ({
      errorCode: 0,
      producerId: producerId++,
      producerEpoch: 0,
    })
    await write(['v0'])
    store.judge = (index) => (index === 1 ? 59 : 0)
    t.notOk((await write(['v1']))[0] instanceof Error)
    t.same(
      store.taken.map((batch) => [batch.producerId, batch.baseSequence]),
      [
        [7, 0],
        [8, 0],
      ],
    )
  }),
)

t.test(
  'what the broker had taken already is a success',
  withProducer({}, async ({ t, store, write }) => {
    store.judge = () => 46
    t.match((await write(['v0']))[0], { offset: -1, partition: 0 })
  }),
)

t.test(
  'the leader moves: its successor gets the records',
  withProducer({}, async ({ t, world, broker, store, write }) => {
    const second = await ScriptedBroker.start(world.start('second').environment, 'second')
    const moved = new Store(second)
    store.judge = () => {
      broker.nodes = [...broker.nodes, { nodeId: 2, host: 'second', port: 9092 }]
      broker.topics.set('t', [2, 1, 1])
      return 6
    }
    await write(numbers(3))
    t.same(store.values(), [])
    t.same(moved.values(), numbers(3))
  }),
)

t.test(
  'nobody to write to: it fails when its time is over, and not before',
  withProducer({ deliveryTimeoutMs: 5000 }, async ({ t, world, store, write }) => {
    store.judge = () => 5
    const before = world.nowMs
    const [error] = await write(['v0'])
    t.match((error as Error).message, /t-0 took no records for 5000 ms/)
    t.ok(world.nowMs - before >= 4500, `${world.nowMs - before}`)
  }),
)

t.test(
  'keys and partitions',
  withProducer({}, async ({ t, store, producer }) => {
    const send = (key: string | null, partition?: number) =>
      producer.send({
        topic: 't',
        key: key === null ? null : Buffer.from(key),
        value: null,
        partition,
      })
    t.equal((await send('foobar')).partition, (-790332482 & 0x7fffffff) % 3, "as Java's")
    t.equal((await send('foobar', 2)).partition, 2, 'what is said counts')
    await t.rejects(send(null, 3), /topic t has 3 partitions and no partition 3/)
    t.ok((await send(null)).partition < 3)
    t.same(store.taken.at(-1)?.values, ['null'], 'tombstones go through')
    await t.rejects(producer.send({ topic: 'none', key: null, value: null }), /topic none/)
    t.equal(producer.pending, 0)
    await producer.close()
    t.throws(() => producer.add({ topic: 't', key: null, value: null }), /closed/)
  }),
)

t.test(
  'acks 0 waits for nobody',
  withProducer({ acks: 0 }, async ({ t, store, write, producer, cluster }) => {
    const deliveries = await write(numbers(5))
    t.match(deliveries[4], { offset: -1 })
    await producer.flush()
    await new Promise<void>((resolve) => cluster.environment.timers.after(1000, resolve))
    t.same(new Set(store.acks), new Set([0]))
    t.same(store.taken[0]?.producerId, -1, 'and has no identity')
  }),
)

t.test(
  'a broker without idempotence is written to without',
  withProducer({}, async ({ t, broker, store, write }) => {
    broker.versionMax.set('InitProducerId', -1)
    await write(numbers(3))
    t.same(store.taken[0]?.producerId, -1)
    t.same(store.values(), numbers(3))
  }),
)

t.test(
  'an old broker gets topics by name',
  withProducer({ compression: 'gzip' }, async ({ t, broker, store, write }) => {
    broker.versionMax.set('Produce', 7)
    broker.versionMax.set('Metadata', 4)
    await write(numbers(3))
    t.same(store.values(), numbers(3))
    t.equal(broker.requests('produce')[0]?.topicData[0]?.name, 't')
    t.equal((store.taken[0]?.attributes ?? 0) & 7, 1, 'compressed')
  }),
)

t.test(
  'full means full: room() resolves when there is some',
  withProducer({ bufferBytes: 100, lingerMs: 0 }, async ({ t, producer, store }) => {
    let most = 0
    for (const value of numbers(50)) {
      producer.add({ topic: 't', partition: 1, key: null, value: Buffer.from(value) })
      most = Math.max(most, producer.pending)
      if (producer.isFull) await producer.room()
    }
    await producer.close()
    t.ok(most <= 5, `${most} pending at most`)
    t.same(store.values(1), numbers(50))
    t.equal(idOf('t').length, 22)
  }),
)
