/**
 * A broker, a producer and a consumer in a group, in one thread from a seed. In the middle the broker is
 * killed, or loses its power, and starts again; sometimes the consumer is killed with it, and another
 * goes on from the group's offsets. What is asked of it at the end: every record that was
 * acknowledged is read, at the offset of its acknowledgement; no record is at two offsets; every offset
 * always has the same record; the consumer skips none.
 */
import { Broker } from '../../src/broker.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { Producer } from '../../src/client/producer.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import type { Environment } from '../../src/environment/environment.ts'
import { type SimulatedProcess, SimulatedWorld, type WorldOptions } from './simulated-world.ts'

const topic = 'orders'
const partitions = 3
const port = 9092

export type Fault = 'none' | 'kill' | 'power loss'

export interface ScenarioOptions extends WorldOptions {
  /** Records that the producer sends. */
  readonly records?: number
  /** What happens to the broker in the middle; by default the seed decides. */
  readonly fault?: Fault
}

export interface ScenarioResult {
  readonly fault: Fault
  readonly hash: string
  readonly events: number
  /** Virtual time that has passed. */
  readonly durationMs: number
  readonly acknowledged: number
  /** Records read, those read again after the fault included. */
  readonly read: number
}

/** Rejects with what was violated; the seed is in the message. */
export async function runScenario(
  seed: number,
  options: ScenarioOptions = {},
): Promise<ScenarioResult> {
  const world = new SimulatedWorld(seed, options)
  const fault = options.fault ?? world.random.pick(['none', 'kill', 'power loss'] as const)
  const scenario = new Scenario(world, options.records ?? 200, fault)
  try {
    return await world.run(scenario.play(), 3_600_000)
  } catch (error) {
    throw new Error(`seed ${seed} (${fault}): ${(error as Error).message}`, { cause: error })
  }
}

class Scenario {
  readonly #world: SimulatedWorld
  readonly #records: number
  readonly #fault: Fault
  #broker: SimulatedProcess
  readonly #acknowledged = new Map<string, string>()
  readonly #read = new Map<string, string>()
  readonly #places = new Map<string, string>()
  readonly #next = new Map<number, number>()
  /** Partitions that were assigned and not yet read from: they may begin before what was read last. */
  readonly #assigned = new Set<number>()
  #readCount = 0
  #hasProduced = false

  constructor(world: SimulatedWorld, records: number, fault: Fault) {
    this.#world = world
    this.#records = records
    this.#fault = fault
    this.#broker = world.start('broker')
    // A volume, there before the broker.
    this.#broker.disk.makeDirectory('/data')
    this.#broker.disk.syncDirectory('/')
  }

  async play(): Promise<ScenarioResult> {
    const world = this.#world
    const producer = world.start('producer').environment
    const consumer = world.start('consumer')
    let broker = await this.#startBroker()
    const produced = this.#produce(producer)
    const isConsumerKilled = this.#fault !== 'none' && world.random.chance(0.5)
    let consumed = this.#consume(consumer.environment)
    const failed = new Promise<never>((_, reject) => {
      produced.catch(reject)
      consumed.catch(reject)
    })
    const orFail = <T>(done: Promise<T>): Promise<T> => Promise.race([done, failed])
    if (this.#fault !== 'none') {
      await orFail(sleep(producer, world.random.between(100, 2500)))
      if (this.#fault === 'kill') world.kill(this.#broker)
      else world.crash(this.#broker)
      if (isConsumerKilled) world.kill(consumer)
      await orFail(sleep(producer, world.random.between(10, 3000)))
      this.#broker = world.start('broker')
      broker = await orFail(this.#startBroker())
      if (isConsumerKilled) consumed = this.#consume(world.start('consumer').environment)
    }
    await orFail(Promise.all([produced, consumed]))
    await broker.stop()
    this.#check()
    return {
      fault: this.#fault,
      hash: world.hash(),
      events: world.events,
      durationMs: world.nowMs,
      acknowledged: this.#acknowledged.size,
      read: this.#readCount,
    }
  }

  #startBroker(): Promise<Broker> {
    const settings = {
      'node.id': '1',
      listeners: `PLAINTEXT://:${port}`,
      'log.dirs': '/data',
      'num.partitions': `${partitions}`,
      'offsets.topic.num.partitions': '2',
      'log.roll.ms': '1000',
      // Power loss takes what is not flushed: what must survive it is flushed before it is acknowledged.
      ...(this.#fault === 'power loss' ? { 'log.flush.interval.messages': '1' } : {}),
    }
    return Broker.start({
      environment: this.#broker.environment,
      config: new BrokerConfig(new Map(Object.entries(settings))),
      isDevelopment: true,
      onFatal: (error) => {
        throw error
      },
    })
  }

  async #produce(environment: Environment): Promise<void> {
    const { random } = this.#world
    const cluster = connect(environment, 'producer')
    const producer = new Producer(cluster, { lingerMs: random.between(0, 20) })
    const sent: Promise<void>[] = []
    for (let i = 0; i < this.#records; i++) {
      const value = `${i} ${'x'.repeat(random.between(0, 300))}`
      const record = { topic, key: null, partition: i % partitions, value: Buffer.from(value) }
      sent.push(
        producer.send(record).then(({ partition, offset }) => {
          // A repeated batch may be acknowledged without its offset.
          this.#acknowledged.set(value, offset < 0 ? `${partition}` : `${partition}/${offset}`)
        }),
      )
      if (random.chance(0.2)) await sleep(environment, random.between(0, 100))
    }
    await Promise.all(sent)
    await producer.close()
    cluster.close()
    this.#hasProduced = true
  }

  async #consume(environment: Environment): Promise<void> {
    const cluster = connect(environment, 'consumer')
    const consumer = new Consumer(cluster, {
      groupId: 'readers',
      autoOffsetReset: 'earliest',
      autoCommitIntervalMs: 500,
      sessionTimeoutMs: 6000,
    })
    consumer.subscribe([topic], {
      onAssigned: (assigned) => {
        for (const { partition } of assigned) this.#assigned.add(partition)
      },
    })
    while (!this.#hasProduced || this.#read.size < this.#acknowledged.size) {
      for (const { partition, records } of await consumer.poll({ timeoutMs: 500 })) {
        for (const { offset, value } of records) this.#take(partition, offset, `${value}`)
      }
    }
    await consumer.close()
    cluster.close()
  }

  #take(partition: number, offset: number, value: string): void {
    this.#readCount++
    const place = `${partition}/${offset}`
    const expected = this.#next.get(partition)
    const mayRepeat = this.#assigned.delete(partition)
    if (expected !== undefined && offset !== expected && !(mayRepeat && offset < expected)) {
      throw new Error(`partition ${partition} went on at ${offset} instead of ${expected}`)
    }
    this.#next.set(partition, offset + 1)
    const before = this.#read.get(place)
    if (before !== undefined && before !== value) {
      throw new Error(`${place} was ${before} and is ${value}`)
    }
    const other = this.#places.get(value)
    if (other !== undefined && other !== place)
      throw new Error(`${value} is at ${other} and ${place}`)
    this.#read.set(place, value)
    this.#places.set(value, place)
  }

  #check(): void {
    if (this.#acknowledged.size !== this.#records) {
      throw new Error(`${this.#acknowledged.size} of ${this.#records} records were acknowledged`)
    }
    for (const [value, place] of this.#acknowledged) {
      const found = this.#places.get(value)
      if (found === undefined) throw new Error(`${value}, acknowledged at ${place}, was never read`)
      if (found !== place && found.split('/')[0] !== place) {
        throw new Error(`${value}, acknowledged at ${place}, was read at ${found}`)
      }
    }
  }
}

function connect(environment: Environment, clientId: string): Cluster {
  return new Cluster(environment, { bootstrap: [{ host: 'broker', port }], clientId })
}

function sleep({ timers }: Environment, ms: number): Promise<void> {
  return new Promise((resolve) => void timers.after(ms, resolve))
}
