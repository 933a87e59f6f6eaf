/**
 * Takes batches from the partition queues to the leaders: one Produce request per leader and turn,
 * with at most one batch of a partition in it, and decides by the answers what is done, what is sent
 * again and what has failed.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import type { Compression } from '../../protocol/records/compression/compression.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Cluster } from './cluster.ts'
import type { Answered } from './connection.ts'
import { isAnswer, isRetriable, TimeoutError, UnsupportedVersionError } from './failures.ts'
import type { PartitionQueue, ProducerBatch, ProducerIdentity } from './partition-queue.ts'
import { backoffMs } from './retry.ts'
import type { Transaction } from './transaction.ts'

/** As many as brokers remember per partition to recognise what comes twice. */
const inFlightMax = 5
/** Records of one request, all partitions together. */
const requestRecordBytesMax = 16 * 1024 * 1024

export interface SenderOptions {
  /** 0: do not wait. 1: the leader has it. -1: all in-sync replicas have it. */
  readonly acks: -1 | 0 | 1
  readonly lingerMs: Milliseconds
  readonly compression: Compression
  readonly compressionLevel?: number | undefined
  readonly idempotence: boolean
  /** Milliseconds that a record may take from being added to being acknowledged. */
  readonly deliveryTimeoutMs: Milliseconds
  /** What everything belongs to. */
  readonly transaction: Transaction | null
}

interface Parcel {
  readonly queue: PartitionQueue
  readonly batch: ProducerBatch
}

export class Sender {
  readonly #cluster: Cluster
  readonly #options: SenderOptions
  readonly #queues: () => Iterable<PartitionQueue>
  /** Told of every batch that is over, with the bytes it held. */
  readonly #onDone: (batch: ProducerBatch) => void
  readonly #inFlight = new Map<number, number>()
  #identity: ProducerIdentity | null = null
  #isIdempotent: boolean
  #isAcquiring = false
  #isScheduled = false
  #wakeAtMs = Number.POSITIVE_INFINITY
  #isFlushing = false

  constructor(
    cluster: Cluster,
    options: SenderOptions,
    parts: {
      readonly queues: () => Iterable<PartitionQueue>
      readonly onDone: (batch: ProducerBatch) => void
    },
  ) {
    this.#cluster = cluster
    this.#options = options
    this.#queues = parts.queues
    this.#onDone = parts.onDone
    this.#isIdempotent = options.idempotence && options.acks === -1
  }

  /** While flushing, nothing lingers. */
  set isFlushing(value: boolean) {
    this.#isFlushing = value
    if (value) this.wake()
  }

  /** There may be something to send: looked at once, at the end of this turn. */
  wake(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#cluster.environment.timers.endOfTurn(() => {
      this.#isScheduled = false
      this.#drain()
    })
  }

  get #now(): Milliseconds {
    return this.#cluster.environment.clock.monotonic()
  }

  #drain(): void {
    const failure = this.#options.transaction?.failure ?? null
    if (failure !== null) this.#failAll(failure)
    const now = this.#now
    const lingerMs = this.#isFlushing ? 0 : this.#options.lingerMs
    const parcels = new Map<number, Parcel[]>()
    const sizes = new Map<number, number>()
    let wakeAtMs = Number.POSITIVE_INFINITY
    for (const queue of this.#queues()) {
      if (queue.batches.length === 0) continue
      this.#expire(queue, now)
      const batch = queue.next(now, lingerMs, this.#isIdempotent ? inFlightMax : 1)
      if (batch === undefined) {
        const at = queue.wakeAtMs(lingerMs)
        if (at > now) wakeAtMs = Math.min(wakeAtMs, at)
        continue
      }
      if (this.#isIdempotent && !this.#stamp(queue, batch)) continue
      const leader = this.#leaderOf(queue)
      const size = (sizes.get(leader) ?? 0) + batch.bytes
      const isFirst = !parcels.has(leader)
      const isBusy = (this.#inFlight.get(leader) ?? 0) >= inFlightMax
      if (leader < 0 || isBusy || (!isFirst && size > requestRecordBytesMax)) continue
      sizes.set(leader, size)
      if (isFirst) parcels.set(leader, [])
      parcels.get(leader)!.push({ queue, batch })
    }
    for (const [leader, list] of parcels) {
      for (const { batch } of list) batch.isInFlight = true
      this.#inFlight.set(leader, (this.#inFlight.get(leader) ?? 0) + 1)
      void this.#send(leader, list)
    }
    // What was just sent may have left more behind in its partition.
    if (parcels.size > 0) this.wake()
    else this.#wakeAt(wakeAtMs)
  }

  #wakeAt(atMs: Milliseconds): void {
    if (atMs === Number.POSITIVE_INFINITY || atMs >= this.#wakeAtMs) return
    this.#wakeAtMs = atMs
    this.#cluster.environment.timers.after(Math.max(1, Math.ceil(atMs - this.#now)), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY
      this.wake()
    })
  }

  #leaderOf(queue: PartitionQueue): number {
    const leader = this.#cluster.metadata.partition(queue.topic, queue.partition)?.leader ?? -1
    if (leader < 0) this.#refresh(queue.topic)
    return leader
  }

  #refresh(topic: string): void {
    const { environment } = this.#cluster
    this.#cluster
      .refresh([topic])
      .catch((error: unknown) =>
        environment.log.debug('cannot refresh metadata', { reason: String(error) }),
      )
      .then(() => this.#wakeAt(this.#now + backoffMs(1)))
  }

  #expire(queue: PartitionQueue, now: Milliseconds): void {
    const { deliveryTimeoutMs } = this.#options
    for (;;) {
      const oldest = queue.batches[0]
      if (oldest === undefined || oldest.isInFlight) return
      if (now - oldest.createdAtMs < deliveryTimeoutMs) {
        this.#wakeAt(oldest.createdAtMs + deliveryTimeoutMs)
        return
      }
      const name = `${queue.topic}-${queue.partition}`
      this.#fail(
        queue,
        oldest,
        new TimeoutError(`${name} took no records for ${deliveryTimeoutMs} ms`),
      )
    }
  }

  #stamp(queue: PartitionQueue, batch: ProducerBatch): boolean {
    const { transaction } = this.#options
    const identity = transaction === null ? this.#identity : transaction.identity
    if (identity === null) {
      if (transaction === null) void this.#acquireIdentity()
      return false
    }
    if (transaction?.mayWrite(queue, () => this.wake()) === false) return false
    return queue.stamp(batch, identity)
  }

  async #acquireIdentity(): Promise<void> {
    if (this.#isAcquiring) return
    this.#isAcquiring = true
    const { environment } = this.#cluster
    try {
      this.#identity = await this.#cluster.retrying('get a producer id', async () => {
        const answer = await this.#cluster.callAny(apis.initProducerId, {
          transactionalId: null,
          transactionTimeoutMs: 0x7fffffff,
        })
        if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
        return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
      })
    } catch (error) {
      if (error instanceof UnsupportedVersionError) {
        environment.log.warn('the broker has no idempotent producers: a retry may write twice')
        this.#isIdempotent = false
      } else this.#failAll(error as Error)
    } finally {
      this.#isAcquiring = false
    }
    this.wake()
  }

  #failAll(error: Error): void {
    for (const queue of this.#queues())
      for (const batch of [...queue.batches]) if (!batch.isInFlight) this.#fail(queue, batch, error)
  }

  async #send(leader: number, parcels: readonly Parcel[]): Promise<void> {
    try {
      const connection = await this.#cluster.connectionTo(leader, 'produce')
      const ids = parcels.map(
        ({ queue }) => this.#cluster.metadata.topics.get(queue.topic)?.topicId,
      )
      // From version 13 on topics go by id, which brokers before 2.8 have not told.
      const versionMax = ids.some((id) => id === undefined || id === zeroUuid) ? 12 : undefined
      const request = this.#request(parcels)
      const options = { versionMin: 3, versionMax, ...this.#options.transaction?.produceVersions }
      if (this.#options.acks === 0) {
        await connection.tell(apis.produce, request, options)
        for (const { queue, batch } of parcels) this.#succeed(queue, batch, -1, -1)
      } else this.#settle(parcels, await connection.call(apis.produce, request, options))
    } catch (error) {
      for (const { queue, batch } of parcels) this.#judge(queue, batch, error as Error)
    }
    this.#inFlight.set(leader, this.#inFlight.get(leader)! - 1)
    this.wake()
  }

  #request(parcels: readonly Parcel[]) {
    const { acks, compression, compressionLevel, transaction } = this.#options
    const topics = new Map<string, { index: number; records: Buffer[] }[]>()
    for (const { queue, batch } of parcels) {
      const records = encodeBatch({
        records: batch.records,
        compression,
        ...(compressionLevel === undefined ? {} : { compressionLevel }),
        producerId: batch.identity?.producerId ?? -1,
        producerEpoch: batch.identity?.producerEpoch ?? -1,
        baseSequence: batch.identity === null ? -1 : batch.baseSequence,
        isTransactional: transaction !== null,
      })
      const partitions = topics.get(queue.topic) ?? []
      partitions.push({ index: queue.partition, records: [records] })
      topics.set(queue.topic, partitions)
    }
    return {
      transactionalId: transaction?.transactionalId ?? null,
      acks,
      timeoutMs: this.#cluster.requestTimeoutMs,
      topicData: Array.from(topics, ([name, partitionData]) => ({
        name,
        topicId: this.#cluster.metadata.topics.get(name)?.topicId ?? zeroUuid,
        partitionData,
      })),
    }
  }

  #settle(parcels: readonly Parcel[], answer: Answered<typeof apis.produce>): void {
    for (const { queue, batch } of parcels) {
      const topic = answer.responses.find(
        ({ name, topicId }) => (name || this.#cluster.metadata.nameOf(topicId)) === queue.topic,
      )
      const result = topic?.partitionResponses.find(({ index }) => index === queue.partition)
      if (result === undefined) {
        const name = `${queue.topic}-${queue.partition}`
        const message = `the broker did not say what became of ${name}`
        this.#judge(queue, batch, new KafkaError(errors.UNKNOWN_SERVER_ERROR, message))
        continue
      }
      const error = errorByCode(result.errorCode)
      if (error === errors.NONE || error === errors.DUPLICATE_SEQUENCE_NUMBER)
        this.#succeed(queue, batch, result.baseOffset, result.logAppendTimeMs)
      else this.#judge(queue, batch, new KafkaError(error, this.#message(queue, error, result)))
    }
  }

  #message(
    queue: PartitionQueue,
    error: ErrorRow,
    said: {
      errorMessage: string | null
      recordErrors: readonly { batchIndexErrorMessage: string | null }[]
    },
  ): string {
    const name = `${queue.topic}-${queue.partition}`
    const detail = said.recordErrors[0]?.batchIndexErrorMessage ?? said.errorMessage
    // Some brokers begin with the partition themselves.
    if (detail?.startsWith(name)) return detail
    return `${name}: ${detail ?? error.message}`
  }

  /** What follows from a failure: again, in halves, under a new identity, or not at all. */
  #judge(queue: PartitionQueue, batch: ProducerBatch, error: Error): void {
    batch.isInFlight = false
    const isOldest = queue.batches[0] === batch
    const isOverdue = this.#now - batch.createdAtMs >= this.#options.deliveryTimeoutMs
    if (isAnswer(error, 'MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE') && batch.records.length > 1) {
      queue.split(batch)
    } else if (isAnswer(error, 'OUT_OF_ORDER_SEQUENCE_NUMBER') && !isOldest) {
      this.#again(batch)
    } else if (isAnswer(error, 'UNKNOWN_PRODUCER_ID') && this.#options.transaction === null) {
      this.#loseIdentity(queue)
      this.#again(batch)
    } else if (!isRetriable(error)) {
      this.#fail(queue, batch, error)
    } else if (isOverdue) {
      const name = `${queue.topic}-${queue.partition}`
      const { deliveryTimeoutMs } = this.#options
      const message = `${name} took no records for ${deliveryTimeoutMs} ms`
      this.#fail(queue, batch, new TimeoutError(message, error))
    } else {
      this.#again(batch)
      this.#cluster.environment.log.debug('sending a batch again', { reason: String(error) })
      this.#refresh(queue.topic)
    }
  }

  #again(batch: ProducerBatch): void {
    batch.failures++
    batch.retryAtMs = this.#now + backoffMs(batch.failures)
  }

  #loseIdentity(queue: PartitionQueue): void {
    if (!this.#isIdempotent) return
    this.#identity = null
    queue.restamp()
  }

  #fail(queue: PartitionQueue, batch: ProducerBatch, error: Error): void {
    queue.remove(batch)
    const { transaction } = this.#options
    if (transaction !== null) {
      transaction.doom(error)
      this.wake()
    } else if (batch.identity !== null) this.#loseIdentity(queue)
    this.#finish(queue, batch, error, -1, -1)
  }

  #succeed(queue: PartitionQueue, batch: ProducerBatch, baseOffset: number, appendTimeMs: number) {
    batch.isInFlight = false
    queue.remove(batch)
    // The next one after a failure that passed need not go alone any longer.
    this.#finish(queue, batch, null, baseOffset, appendTimeMs)
  }

  #finish(
    { topic, partition }: PartitionQueue,
    batch: ProducerBatch,
    error: Error | null,
    baseOffset: number,
    appendTimeMs: number,
  ): void {
    for (const [index, listener] of batch.listeners.entries()) {
      if (listener === undefined) continue
      const offset = baseOffset < 0 ? -1 : baseOffset + index
      const timestamp = appendTimeMs >= 0 ? appendTimeMs : batch.records[index]!.timestamp
      listener(error, { topic, partition, offset, timestamp })
    }
    this.#onDone(batch)
  }
}
