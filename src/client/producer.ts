/**
 * Writes records: chooses their partition, gathers them into batches, and lets `Sender` take those to
 * the leaders. `add` never waits and costs no promise; a caller that writes much looks at `isFull` and
 * awaits `room()` before the next.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Compression } from '../../protocol/records/compression/compression.ts'
import type { NewRecord } from '../../protocol/records/record.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Cluster } from './cluster.ts'
import type { TopicMetadata } from './cluster-metadata.ts'
import { ClosedError } from './failures.ts'
import {
  type Delivery,
  type OnDelivery,
  PartitionQueue,
  type ProducerBatch,
  type ProducerRecord,
} from './partition-queue.ts'
import { partitionOfKey, StickyPartition } from './partitioner.ts'
import { Sender } from './sender.ts'
import type { Transaction } from './transaction.ts'

export interface ProducerOptions {
  /** 0: do not wait. 1: the leader has it. -1 (the default): all in-sync replicas have it. */
  readonly acks?: -1 | 0 | 1
  /** Milliseconds that a batch waits for more records. */
  readonly lingerMs?: Milliseconds
  /** Bytes of a batch before compression. */
  readonly batchBytes?: number
  readonly compression?: Compression
  readonly compressionLevel?: number | undefined
  /** Retries write nothing twice (KIP-98); needs acks -1. */
  readonly idempotence?: boolean
  /** Milliseconds that a record may take from `add` to its acknowledgement. */
  readonly deliveryTimeoutMs?: Milliseconds
  /** Bytes of records under way above which the producer calls itself full. */
  readonly bufferBytes?: number
  /** Everything is written in it, from its `begin` to `commit` or `abort`; it stays the caller's to open. */
  readonly transaction?: Transaction | undefined
}

interface Waiting {
  readonly record: ProducerRecord
  readonly listener: OnDelivery | undefined
}

/** One topic: its partitions' queues, and records that came before its metadata. */
class TopicQueues {
  readonly partitions = new Map<number, PartitionQueue>()
  readonly sticky = new StickyPartition()
  metadata: TopicMetadata | null = null
  waiting: Waiting[] = []
  #available: readonly number[] = []
  #availableIn: TopicMetadata | null = null

  /** Partitions that have a leader; all of them where none has. */
  available(metadata: TopicMetadata): readonly number[] {
    if (this.#availableIn !== metadata) {
      const led = metadata.partitions.filter(({ leader }) => leader >= 0)
      this.#available = (led.length > 0 ? led : metadata.partitions).map(({ index }) => index)
      this.#availableIn = metadata
    }
    return this.#available
  }
}

/** Length, attributes, deltas and lengths of a record: what it takes besides its own bytes, at most. */
const recordOverheadBytes = 21

export class Producer {
  readonly #cluster: Cluster
  readonly #topics = new Map<string, TopicQueues>()
  readonly #sender: Sender
  readonly #transaction: Transaction | null
  readonly #batchBytes: number
  readonly #bufferBytes: number
  #bytes = 0
  #records = 0
  #roomWaiters: (() => void)[] = []
  #flushWaiters: (() => void)[] = []
  #isClosed = false

  constructor(cluster: Cluster, options: ProducerOptions = {}) {
    this.#cluster = cluster
    this.#batchBytes = options.batchBytes ?? 128 * 1024
    this.#bufferBytes = options.bufferBytes ?? 32 * 1024 * 1024
    this.#transaction = options.transaction ?? null
    if (
      this.#transaction !== null &&
      ((options.acks ?? -1) !== -1 || options.idempotence === false)
    )
      throw new Error('transactions need acknowledgements of all replicas, and idempotence')
    this.#sender = new Sender(
      cluster,
      {
        transaction: this.#transaction,
        acks: options.acks ?? -1,
        lingerMs: options.lingerMs ?? 5,
        compression: options.compression ?? 'none',
        compressionLevel: options.compressionLevel,
        idempotence: options.idempotence ?? true,
        deliveryTimeoutMs: options.deliveryTimeoutMs ?? 120_000,
      },
      { queues: () => this.#queues(), onDone: (batch) => this.#done(batch) },
    )
  }

  /** Records added and not yet acknowledged or failed. */
  get pending(): number {
    return this.#records
  }

  get isFull(): boolean {
    return this.#bytes >= this.#bufferBytes
  }

  /** Takes a record; `listener` is told when it is acknowledged or has failed. */
  add(record: ProducerRecord, listener?: OnDelivery): void {
    if (this.#isClosed) throw new ClosedError('producer')
    this.#transaction?.requireRunning()
    this.#bytes += bytesOf(record)
    this.#records++
    let topic = this.#topics.get(record.topic)
    if (topic === undefined) {
      topic = new TopicQueues()
      this.#topics.set(record.topic, topic)
      void this.#learn(record.topic, topic)
    }
    if (topic.metadata === null) topic.waiting.push({ record, listener })
    else this.#enqueue(topic, topic.metadata, record, listener)
  }

  /** Resolves when the producer is not full. */
  async room(): Promise<void> {
    while (this.isFull) await new Promise<void>((resolve) => this.#roomWaiters.push(resolve))
  }

  /** As `add`, for those who write little: resolves with the offset, rejects with what went wrong. */
  send(record: ProducerRecord): Promise<Delivery> {
    return new Promise((resolve, reject) =>
      this.add(record, (error, delivery) => (error === null ? resolve(delivery) : reject(error))),
    )
  }

  /** Resolves when everything added before is acknowledged or has failed. */
  async flush(): Promise<void> {
    this.#sender.isFlushing = true
    while (this.#records > 0) await new Promise<void>((resolve) => this.#flushWaiters.push(resolve))
    this.#sender.isFlushing = false
  }

  /** Flushes, and ends the transaction. Rejects as `Transaction.end`: what was not written is not committed. */
  async commit(): Promise<void> {
    await this.flush()
    await this.#transaction?.end('commit')
  }

  /** What was not sent yet is not sent any more. Rejects as `Transaction.end`. */
  async abort(): Promise<void> {
    this.#transaction?.doom(new Error('the transaction is aborted'))
    await this.flush()
    await this.#transaction?.end('abort')
  }

  /** Flushes, and takes no more records. The cluster stays open. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }

  *#queues(): Generator<PartitionQueue> {
    for (const topic of this.#topics.values()) yield* topic.partitions.values()
  }

  async #learn(name: string, topic: TopicQueues): Promise<void> {
    try {
      const metadata = await this.#cluster.topic(name, { create: true })
      topic.metadata = metadata
      for (const { record, listener } of topic.waiting)
        this.#enqueue(topic, metadata, record, listener)
    } catch (error) {
      this.#topics.delete(name)
      for (const { record, listener } of topic.waiting)
        this.#refuse(record, listener, error as Error)
    }
    topic.waiting = []
    this.#wakeWaiters()
  }

  #enqueue(
    topic: TopicQueues,
    known: TopicMetadata,
    record: ProducerRecord,
    listener: OnDelivery | undefined,
  ): void {
    const { name } = known
    const metadata = this.#cluster.metadata.topics.get(name) ?? known
    const { partitions } = metadata.partitions.length > 0 ? metadata : known
    const partition = this.#choose(topic, partitions.length, metadata, record)
    if (partition < 0 || partition >= partitions.length) {
      const message = `topic ${name} has ${partitions.length} partitions and no partition ${partition}`
      const error = new KafkaError(errors.UNKNOWN_TOPIC_OR_PARTITION, message)
      this.#refuse(record, listener, error)
      return
    }
    let queue = topic.partitions.get(partition)
    if (queue === undefined) {
      queue = new PartitionQueue(name, partition)
      topic.partitions.set(partition, queue)
    }
    const { clock, random } = this.#cluster.environment
    const { key, value, headers = [], timestamp = clock.now() } = record
    const input: NewRecord = { timestamp, key, value, headers }
    const madeFull = queue.add(input, bytesOf(record), listener, {
      batchBytes: this.#batchBytes,
      nowMs: clock.monotonic(),
    })
    if (madeFull && key === null)
      topic.sticky.batchFull(partition, topic.available(metadata), () => random.float())
    this.#sender.wake()
  }

  #choose(
    topic: TopicQueues,
    count: number,
    metadata: TopicMetadata,
    record: ProducerRecord,
  ): number {
    if (record.partition !== undefined) return record.partition
    if (record.key !== null) return partitionOfKey(record.key, count)
    const { random } = this.#cluster.environment
    return topic.sticky.current(topic.available(metadata), () => random.float())
  }

  #refuse(record: ProducerRecord, listener: OnDelivery | undefined, error: Error): void {
    this.#bytes -= bytesOf(record)
    this.#records--
    this.#transaction?.doom(error)
    const { topic, partition = -1, timestamp = -1 } = record
    listener?.(error, { topic, partition, offset: -1, timestamp })
  }

  #done(batch: ProducerBatch): void {
    this.#bytes -= batch.bytes
    this.#records -= batch.records.length
    this.#wakeWaiters()
  }

  #wakeWaiters(): void {
    if (!this.isFull) for (const resolve of this.#roomWaiters.splice(0)) resolve()
    if (this.#records === 0) for (const resolve of this.#flushWaiters.splice(0)) resolve()
  }
}

function bytesOf({ key, value, headers }: ProducerRecord): number {
  let bytes = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers ?? []) bytes += header.key.length + (header.value?.length ?? 0) + 4
  return bytes
}
