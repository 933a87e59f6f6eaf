/**
 * The topics in which a worker keeps its state: what connectors there are, how far sources are, and how
 * everybody does. All are compacted; they are read from their beginning when the worker starts, and on as
 * they grow. A write is done when it was acknowledged *and* read back: what is applied is what is kept,
 * live and after a restart alike.
 */

import type { BatchRecord } from '../../../protocol/records/record.ts'
import { createTopics } from '../../client/admin/topics.ts'
import type { Cluster } from '../../client/cluster.ts'
import { Consumer } from '../../client/consumer.ts'
import { isAnswer } from '../../client/failures.ts'
import { latest, listOffsets } from '../../client/offsets.ts'
import type { Delivery } from '../../client/partition-queue.ts'
import { Producer } from '../../client/producer.ts'
import { nameOf, type TopicPartition } from '../../client/topic-partition.ts'
import type { Timer } from '../../environment/environment.ts'
import { ConnectException } from '../failures.ts'
import type { Apply, Entry } from './storage.ts'

export interface StorageTopic {
  readonly name: string
  readonly partitions: number
  /** -1: as the brokers are configured. */
  readonly replicationFactor: number
  readonly apply: Apply
}

interface Waiter extends TopicPartition {
  readonly offset: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const pollMs = 1000
const lookMs = 20
/** A key or value that long is none of ours: it is left alone. */
const valueBytesMax = 16 * 1024 * 1024

export class StorageLog {
  readonly #cluster: Cluster
  readonly #topics: ReadonlyMap<string, StorageTopic>
  readonly #producer: Producer
  readonly #consumer: Consumer
  readonly #applied = new Map<string, number>()
  #waiters: Waiter[] = []
  #reading: Promise<void> = Promise.resolve()
  #looking: Timer | null = null
  #isClosed = false

  /** Makes topics that are missing, and reads all to their ends. Throws ConnectException, KafkaError. */
  static async open(cluster: Cluster, topics: readonly StorageTopic[]): Promise<StorageLog> {
    await createMissing(cluster, topics)
    const log = new StorageLog(cluster, topics)
    try {
      await log.#start()
    } catch (error) {
      await log.close()
      throw error
    }
    return log
  }

  private constructor(cluster: Cluster, topics: readonly StorageTopic[]) {
    this.#cluster = cluster
    this.#topics = new Map(topics.map((topic) => [topic.name, topic]))
    this.#producer = new Producer(cluster, { lingerMs: 0 })
    this.#consumer = new Consumer(cluster, {
      autoOffsetReset: 'earliest',
      fetchMaxWaitMs: 5000,
      // Sources may write their offsets in transactions.
      isolation: 'read_committed',
    })
  }

  /** Resolves when all of it is kept and applied. Rejects with KafkaError, TimeoutError. */
  async put(topic: string, entries: readonly Entry[]): Promise<void> {
    const deliveries = await Promise.all(entries.map((entry) => this.#send(topic, entry)))
    await Promise.all(deliveries.map((delivery) => this.#readBeyond(delivery)))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#looking?.cancel()
    const error = new ConnectException('The worker is stopping')
    for (const { reject } of this.#waiters.splice(0)) reject(error)
    await this.#consumer.close()
    await this.#reading
    await this.#producer.close()
  }

  async #start(): Promise<void> {
    const partitions: TopicPartition[] = []
    for (const { name } of this.#topics.values()) {
      const { partitions: rows } = await this.#cluster.topic(name)
      for (const { index } of rows) partitions.push({ topic: name, partition: index })
    }
    this.#consumer.assign(partitions.map((partition) => ({ ...partition, offset: 'earliest' })))
    this.#reading = this.#read()
    await this.#readToEnd(partitions)
  }

  /** Resolves when all of the topic is applied that is there by now. */
  catchUp(topic: string): Promise<void> {
    return this.#readToEnd(this.#consumer.assignment.filter((each) => each.topic === topic))
  }

  async #readToEnd(partitions: readonly TopicPartition[]): Promise<void> {
    const ends = await listOffsets(
      this.#cluster,
      partitions.map((partition) => ({ ...partition, timestamp: latest })),
    )
    await Promise.all(
      ends.map(({ topic, partition, offset }) =>
        this.#readBeyond({ topic, partition, offset: offset - 1 }),
      ),
    )
  }

  #send(topic: string, { key, value }: Entry): Promise<Delivery> {
    return this.#producer.send({
      topic,
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    })
  }

  /** Where the broker did not say the offset, as of a batch sent twice, the end is beyond it. */
  async #readBeyond({ topic, partition, offset: told }: TopicPartition & { offset: number }) {
    let offset = told
    if (offset === -1) {
      const [end] = await listOffsets(this.#cluster, [{ topic, partition, timestamp: latest }])
      offset = (end?.offset ?? 0) - 1
    }
    if (offset < 0 || (this.#applied.get(nameOf({ topic, partition })) ?? -1) >= offset) return
    if (this.#isClosed) throw new ConnectException('The worker is stopping')
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ topic, partition, offset, resolve, reject })
      this.#lookSoon()
    })
  }

  /** Where nothing comes but markers of transactions, the consumer moves on, and its poll does not end. */
  #lookSoon(): void {
    if (this.#looking !== null || this.#waiters.length === 0) return
    this.#looking = this.#cluster.environment.timers.after(lookMs, () => {
      this.#looking = null
      this.#notePositions()
      this.#lookSoon()
    })
  }

  async #read(): Promise<void> {
    const { log } = this.#cluster.environment
    while (!this.#isClosed) {
      try {
        for (const { topic, partition, records, nextOffset } of await this.#consumer.poll({
          timeoutMs: pollMs,
        })) {
          for (const record of records) this.#apply(topic, record)
          this.#applied.set(nameOf({ topic, partition }), nextOffset - 1)
        }
        this.#notePositions()
      } catch (error) {
        if (!this.#isClosed)
          log.warn('Cannot read the topics of the worker', { reason: `${error}` })
      }
    }
  }

  /** Compaction and markers leave gaps: what was passed over counts as read. */
  #notePositions(): void {
    for (const partition of this.#consumer.assignment) {
      const position = this.#consumer.position(partition)
      if (position !== undefined) this.#applied.set(nameOf(partition), position - 1)
    }
    const isRead = (waiter: Waiter) => (this.#applied.get(nameOf(waiter)) ?? -1) >= waiter.offset
    const ready = this.#waiters.filter(isRead)
    this.#waiters = this.#waiters.filter((waiter) => !isRead(waiter))
    for (const { resolve } of ready) resolve()
  }

  #apply(topic: string, { key, value, offset }: BatchRecord): void {
    if (key === null || key.length > valueBytesMax || (value?.length ?? 0) > valueBytesMax) return
    this.#topics.get(topic)?.apply(key.toString('utf8'), value, offset + 1)
  }
}

async function createMissing(cluster: Cluster, topics: readonly StorageTopic[]): Promise<void> {
  const existing = new Set((await cluster.allTopics()).map(({ name }) => name))
  const missing = topics.filter(({ name }) => !existing.has(name))
  if (missing.length === 0) return
  const created = await createTopics(
    cluster,
    missing.map(({ name, partitions, replicationFactor }) => ({
      name,
      partitions,
      replicationFactor,
      configs: new Map([['cleanup.policy', 'compact']]),
    })),
  )
  for (const { name, error } of created)
    if (error !== null && !isAnswer(error, 'TOPIC_ALREADY_EXISTS'))
      throw new ConnectException(`Cannot create the topic ${name}: ${error.message}`, {
        cause: error,
      })
}
