/** A broker with topics that are tables, and what is asked of both. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { alterConfigs, type ConfigChange } from '../../src/client/admin/configs.ts'
import { createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { Transaction } from '../../src/client/transaction.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import type { Started } from '../broker-process.ts'
import { rowsOf } from './delta-trial.ts'

export const environment = createNodeEnvironment({ log: { level: 'silent' } })

export async function within<T>(
  { port }: Started,
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
  try {
    return await work(cluster)
  } finally {
    cluster.close()
  }
}

export function make(broker: Started, name: string, configs: Readonly<Record<string, string>>) {
  const topic = {
    name,
    partitions: 2,
    replicationFactor: 1,
    configs: new Map(Object.entries(configs)),
  }
  return within(broker, (cluster) => createTopics(cluster, [topic]))
}

export function alter(
  broker: Started,
  name: string,
  changes: Readonly<Record<string, string | null>>,
) {
  const all = Object.entries(changes).map(([setting, value]): ConfigChange => {
    return { name: setting, operation: value === null ? 'delete' : 'set', value }
  })
  return within(broker, async (cluster) => {
    const [outcome] = await alterConfigs(cluster, [{ type: 'topic', name }], all)
    return outcome?.error ?? null
  })
}

export function produce(broker: Started, topic: string, values: readonly (string | null)[]) {
  return within(broker, async (cluster) => {
    const producer = new Producer(cluster)
    for (const [at, value] of values.entries())
      producer.add({
        topic,
        key: Buffer.from(`key ${at}`),
        value: value === null ? null : Buffer.from(value),
        partition: at % 2,
      })
    await producer.close()
  })
}

/** In a transaction, whose markers come by themselves. */
export function produceAtOnce(broker: Started, topic: string, values: readonly string[]) {
  return within(broker, async (cluster) => {
    const transaction = new Transaction(cluster, { transactionalId: 'at once', timeoutMs: 10_000 })
    await transaction.open()
    const producer = new Producer(cluster, { acks: -1, idempotence: true, transaction })
    for (const isCommitted of [true, false]) {
      transaction.begin()
      for (const [at, value] of values.entries())
        producer.add({ topic, key: null, value: Buffer.from(value), partition: at % 2 })
      await producer.flush()
      // What was written comes before its marker, in an answer of its own.
      await delay(300)
      await (isCommitted ? producer.commit() : producer.abort())
    }
    await producer.close()
  })
}

export const flights = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => JSON.stringify({ id: from + at, origin: 'SFO' }))

export async function ids(location: string): Promise<number[]> {
  if (!existsSync(join(location, '_delta_log/00000000000000000000.json'))) return []
  return (await rowsOf(location)).map(({ id }) => id as number).sort((a, b) => a - b)
}

export const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => from + at)
export const fast = { 'table.enable': 'true', 'table.commit.interval.ms': '100' }

export interface Told {
  readonly topic: string
  readonly state: string
  readonly error: string | null
  readonly lag: number | null
  readonly leftOut: number
  readonly leftOutReason: string | null
  readonly lost: number
  readonly oldestMs: number | null
  readonly dueMs: number | null
}

export async function told({ http }: Started): Promise<readonly Told[]> {
  return (await (await fetch(`${http}/tables`)).json()) as readonly Told[]
}
