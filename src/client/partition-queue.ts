/**
 * The batches of one partition on their way to its leader, oldest first, and the rules that keep an
 * idempotent producer's promise (KIP-98): sequence numbers count up without a gap from batch to batch,
 * a batch that is sent again keeps its own, and after a failure that leaves a gap everything still
 * waiting is stamped anew under a new identity, once nothing stamped before is under way.
 *
 *     open -> (full, or lingered) -> in flight -> acknowledged
 *                  ^                     |
 *                  +---- may pass -------+----> failed
 */
import type { NewRecord, RecordHeader } from '../../protocol/records/record.ts'
import type { Milliseconds } from '../environment/environment.ts'

export interface ProducerRecord {
  readonly topic: string
  /** Where it must go; else its key decides. */
  readonly partition?: number | undefined
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: readonly RecordHeader[] | undefined
  /** Milliseconds since the Unix epoch; now, unless given. */
  readonly timestamp?: number | undefined
}

export interface Delivery {
  readonly topic: string
  readonly partition: number
  /** -1 where the broker does not say: acks=0, or a batch it had already taken. */
  readonly offset: number
  readonly timestamp: number
}

/** Called once per record, in the order of its partition. */
export type OnDelivery = (error: Error | null, delivery: Delivery) => void

export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
}

export class ProducerBatch {
  readonly records: NewRecord[] = []
  readonly listeners: (OnDelivery | undefined)[] = []
  readonly createdAtMs: Milliseconds
  /** About what the records take uncompressed. */
  bytes = 0
  isFull = false
  isInFlight = false
  /** Null until it is stamped, and always without idempotence. */
  identity: ProducerIdentity | null = null
  baseSequence = -1
  failures = 0
  /** Monotonic time before which it is not sent again. */
  retryAtMs: Milliseconds = 0

  constructor(createdAtMs: Milliseconds) {
    this.createdAtMs = createdAtMs
  }

  add(record: NewRecord, bytes: number, listener: OnDelivery | undefined): void {
    this.records.push(record)
    this.listeners.push(listener)
    this.bytes += bytes
  }
}

export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  /** Oldest first; those in flight are at the front. */
  readonly batches: ProducerBatch[] = []
  #identity: ProducerIdentity | null = null
  #nextSequence = 0
  #mustRestamp = false

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** Adds to the open batch, or to a new one; true where that made a batch full. */
  add(
    record: NewRecord,
    bytes: number,
    listener: OnDelivery | undefined,
    { batchBytes, nowMs }: { batchBytes: number; nowMs: Milliseconds },
  ): boolean {
    let open = this.batches.at(-1)
    let madeFull = false
    if (open !== undefined && isOpen(open) && open.bytes + bytes > batchBytes) {
      open.isFull = true
      madeFull = true
    }
    if (open === undefined || !isOpen(open)) {
      open = new ProducerBatch(nowMs)
      this.batches.push(open)
    }
    open.add(record, bytes, listener)
    if (open.bytes >= batchBytes) open.isFull = true
    return madeFull || open.isFull
  }

  get inFlight(): number {
    let count = 0
    for (const batch of this.batches) if (batch.isInFlight) count++
    return count
  }

  /**
   * The batch to send next, or undefined where there is none or it has to wait. After a failure batches
   * go one at a time until it has passed, so that none overtakes another. Without idempotence nothing
   * would put overtaken batches right: `inFlightMax` is 1 then.
   */
  next(nowMs: Milliseconds, lingerMs: Milliseconds, inFlightMax: number) {
    const { inFlight } = this
    const batch = this.batches[inFlight === 0 ? 0 : this.#firstWaiting()]
    if (batch === undefined || batch.isInFlight || inFlight >= inFlightMax) return undefined
    if (inFlight > 0 && (this.#mustRestamp || this.batches.some(({ failures }) => failures > 0)))
      return undefined
    if (batch.retryAtMs > nowMs) return undefined
    const hasLingered = nowMs - batch.createdAtMs >= lingerMs
    return batch.isFull || hasLingered || batch.failures > 0 ? batch : undefined
  }

  /** When `next` may have something, as far as time decides it. */
  wakeAtMs(lingerMs: Milliseconds): Milliseconds {
    const batch = this.batches.find(({ isInFlight }) => !isInFlight)
    if (batch === undefined) return Number.POSITIVE_INFINITY
    const lingersUntil = batch.isFull || batch.failures > 0 ? 0 : batch.createdAtMs + lingerMs
    return Math.max(batch.retryAtMs, lingersUntil)
  }

  /** Gives the batch its sequence numbers. False: batches of an older identity come first. */
  stamp(batch: ProducerBatch, identity: ProducerIdentity): boolean {
    if (this.#mustRestamp) {
      if (this.inFlight > 0) return false
      for (const waiting of this.batches) waiting.identity = null
      this.#identity = null
      this.#mustRestamp = false
    }
    if (batch.identity !== null) return true
    if (this.#identity !== identity) {
      if (this.batches.some((other) => other.identity !== null)) return false
      this.#identity = identity
      this.#nextSequence = 0
    }
    batch.identity = identity
    batch.baseSequence = this.#nextSequence
    this.#nextSequence = (this.#nextSequence + batch.records.length) & 0x7fffffff
    return true
  }

  /** A sequence number is lost: what waits is stamped anew, under an identity got after this. */
  restamp(): void {
    this.#mustRestamp = true
  }

  remove(batch: ProducerBatch): void {
    const index = this.batches.indexOf(batch)
    if (index >= 0) this.batches.splice(index, 1)
  }

  /** Two batches in place of one that is too large; they share its sequence numbers. */
  split(batch: ProducerBatch): void {
    const middle = batch.records.length >> 1
    const halves = [0, middle].map((start) => {
      const end = start === 0 ? middle : batch.records.length
      const half = new ProducerBatch(batch.createdAtMs)
      half.isFull = true
      half.identity = batch.identity
      if (batch.baseSequence >= 0) half.baseSequence = (batch.baseSequence + start) & 0x7fffffff
      for (let at = start; at < end; at++) half.add(batch.records[at]!, 0, batch.listeners[at])
      half.bytes = start === 0 ? batch.bytes >> 1 : batch.bytes - (batch.bytes >> 1)
      // Batches sent after it were refused for the gap it left: they come again, one at a time.
      half.failures = 1
      return half
    })
    this.batches.splice(this.batches.indexOf(batch), 1, ...halves)
  }

  #firstWaiting(): number {
    return this.batches.findIndex(({ isInFlight }) => !isInFlight)
  }
}

/** May still grow: nothing of it was stamped or sent. */
const isOpen = (batch: ProducerBatch) =>
  !batch.isFull && !batch.isInFlight && batch.failures === 0 && batch.identity === null
