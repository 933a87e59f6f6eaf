/**
 * What a log knows of the producers that wrote to it (KIP-98): enough to recognise a batch that was
 * sent twice, to refuse one out of sequence or of a fenced epoch, and to tell which transactions
 * are open. `check` and `findDuplicate` decide and change nothing; `apply` alone changes state, for
 * live appends and for the replay of batches at recovery alike.
 *
 * Sequences run from 0 to int32's largest and start at 0 again. A producer of which nothing is
 * known may start with any sequence: its batches may have been deleted by retention.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { Milliseconds } from '../environment/environment.ts'
import { isWithoutTransaction, type SnapshotEntry } from './producer-snapshot.ts'

/** The fields of a batch header that concern producers. */
export interface ProducerBatch {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly maxTimestamp: number
  readonly isTransactional: boolean
}

/** The end of a transaction: what a control batch says. */
export interface TransactionMarker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly isCommit: boolean
  readonly offset: number
  readonly timestamp: number
}

export interface CompletedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly isAborted: boolean
  /**
   * The first offset still open when this transaction ended; the offset after its marker if none
   * is.
   */
  readonly lastStableOffset: number
}

/** A batch that was appended. */
export interface BatchMark {
  readonly lastSequence: number
  readonly lastOffset: number
  readonly offsetDelta: number
  readonly timestamp: number
}

/** How strictly a batch is checked: a client's fully, a coordinator's by epoch. */
export type ProducerCheck = 'sequence' | 'epoch'

const batchesKept = 5
const sequenceMax = 0x7fff_ffff
const epochMax = 0x7fff

interface ProducerState {
  readonly producerId: number
  producerEpoch: number
  coordinatorEpoch: number
  lastTimestamp: number
  /**
   * When `expire` found that it had written, as a timestamp may be far older than the batch that has it; null: it
   * has written since.
   */
  seenMs: Milliseconds | null
  /** -1: none open. */
  transactionFirstOffset: number
  /** Oldest first, of the current epoch, at most five. */
  batches: BatchMark[]
}

export class ProducerStates {
  readonly #name: string
  readonly #expirationMs: () => Milliseconds
  readonly #producers = new Map<number, ProducerState>()
  /** Open transactions: producer id by first offset, in offset order. */
  readonly #open = new Map<number, number>()
  /**
   * Ended transactions whose marker is not below the high watermark yet: marker by first offset.
   */
  readonly #unreplicated = new Map<number, number>()
  /**
   * Gives stored batches from before the snapshot that was loaded, which has only the last one of
   * each producer; in offset order. Asked for once, when a batch is neither known nor the next one:
   * it may be repeated because its answer was lost.
   */
  earlier: (() => readonly ProducerBatch[]) | null = null

  /** `name`: the partition, for messages. */
  constructor(name: string, expirationMs: () => Milliseconds) {
    this.#name = name
    this.#expirationMs = expirationMs
  }

  get size(): number {
    return this.#producers.size
  }

  /** The mark of the batch if it is one of the producer's last five, by epoch and sequences. */
  findDuplicate(batch: ProducerBatch): BatchMark | null {
    const state = this.#producers.get(batch.producerId)
    if (state === undefined || state.producerEpoch !== batch.producerEpoch) return null
    const lastSequence = lastSequenceOf(batch)
    for (const mark of state.batches) {
      if (mark.lastSequence !== lastSequence) continue
      if (addSequence(lastSequence, -mark.offsetDelta) === batch.baseSequence) return mark
    }
    if (this.earlier === null || isNext(state, batch.baseSequence)) return null
    this.#remember(this.earlier())
    return this.findDuplicate(batch)
  }

  /** Takes the batches that lead up to the oldest one known of their producer. */
  #remember(batches: readonly ProducerBatch[]): void {
    this.earlier = null
    for (const batch of batches.toReversed()) {
      const state = this.#producers.get(batch.producerId)
      const oldest = state?.batches[0]
      if (state === undefined || oldest === undefined || oldest.lastSequence < 0) continue
      if (batch.producerEpoch !== state.producerEpoch || state.batches.length === batchesKept) {
        continue
      }
      const mark = markOf(batch)
      const firstSequence = addSequence(oldest.lastSequence, -oldest.offsetDelta)
      if (mark.lastOffset >= oldest.lastOffset) continue
      if (addSequence(mark.lastSequence, 1) === firstSequence) state.batches.unshift(mark)
    }
  }

  /**
   * Throws KafkaError: INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE for
   * a batch outside the transaction that its producer has open.
   */
  check(batch: ProducerBatch, how: ProducerCheck): void {
    const state = this.#producers.get(batch.producerId)
    if (state === undefined) return
    if (batch.producerEpoch < state.producerEpoch) {
      throw this.#error(
        errors.INVALID_PRODUCER_EPOCH,
        batch.producerId,
        `epoch ${batch.producerEpoch} is below the last seen epoch ${state.producerEpoch}`,
      )
    }
    if (how === 'sequence') this.#checkSequence(state, batch)
    if (state.transactionFirstOffset >= 0 && !batch.isTransactional) {
      throw this.#error(
        errors.INVALID_TXN_STATE,
        batch.producerId,
        'a batch outside the transaction that is open',
      )
    }
  }

  /**
   * Throws KafkaError: INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED. Since transaction
   * version 2 (KIP-890) a marker carries a higher epoch than its transaction, save when it is
   * repeated, or where epochs have come to their end.
   */
  checkMarker(marker: TransactionMarker, transactionVersion: number): void {
    const state = this.#producers.get(marker.producerId)
    if (state === undefined) return
    const isRepeated =
      marker.producerEpoch === state.producerEpoch &&
      (state.transactionFirstOffset < 0 || marker.producerEpoch === epochMax)
    const isFenced =
      transactionVersion >= 2 && !isRepeated
        ? marker.producerEpoch <= state.producerEpoch
        : marker.producerEpoch < state.producerEpoch
    if (isFenced) {
      throw this.#error(
        errors.INVALID_PRODUCER_EPOCH,
        marker.producerId,
        `the epoch of a marker, ${marker.producerEpoch}, is not above ${state.producerEpoch}`,
      )
    }
    if (marker.coordinatorEpoch < state.coordinatorEpoch) {
      throw this.#error(
        errors.TRANSACTION_COORDINATOR_FENCED,
        marker.producerId,
        `coordinator epoch ${marker.coordinatorEpoch} is below ${state.coordinatorEpoch}`,
      )
    }
  }

  /** A data batch was appended. */
  apply(batch: ProducerBatch): void {
    const state = this.#stateOf(batch.producerId)
    state.seenMs = null
    setEpoch(state, batch.producerEpoch)
    if (state.batches.length === batchesKept) state.batches.shift()
    state.batches.push(markOf(batch))
    state.lastTimestamp = batch.maxTimestamp
    if (batch.isTransactional && state.transactionFirstOffset < 0) {
      state.transactionFirstOffset = batch.baseOffset
      this.#open.set(batch.baseOffset, batch.producerId)
    }
  }

  /** A marker was appended. The transaction it ended, or null where none was open here. */
  applyMarker(marker: TransactionMarker): CompletedTransaction | null {
    const state = this.#stateOf(marker.producerId)
    const firstOffset = state.transactionFirstOffset
    setEpoch(state, marker.producerEpoch)
    state.transactionFirstOffset = -1
    state.coordinatorEpoch = marker.coordinatorEpoch
    state.lastTimestamp = marker.timestamp
    if (firstOffset < 0) return null
    this.#open.delete(firstOffset)
    this.#unreplicated.set(firstOffset, marker.offset)
    return {
      producerId: marker.producerId,
      firstOffset,
      lastOffset: marker.offset,
      isAborted: !marker.isCommit,
      lastStableOffset: firstKey(this.#open) ?? marker.offset + 1,
    }
  }

  /**
   * The first offset whose fate readers of committed records must wait for: of the oldest
   * transaction that is open, or whose marker is at or above the high watermark. Null: none.
   */
  get firstUnstableOffset(): number | null {
    let first = firstKey(this.#open)
    for (const firstOffset of this.#unreplicated.keys()) {
      if (first === null || firstOffset < first) first = firstOffset
    }
    return first
  }

  /** Whether no producer that is known has, or had, a transaction here. */
  get areWithoutTransactions(): boolean {
    for (const { coordinatorEpoch, transactionFirstOffset } of this.#producers.values()) {
      if (!isWithoutTransaction(coordinatorEpoch, transactionFirstOffset)) return false
    }
    return true
  }

  /** Whether `producerId` has a transaction open here, under this epoch. */
  hasOpenTransaction(producerId: number, producerEpoch: number): boolean {
    const state = this.#producers.get(producerId)
    return (
      state !== undefined &&
      state.transactionFirstOffset >= 0 &&
      state.producerEpoch === producerEpoch
    )
  }

  /** The epoch under which `producerId` last wrote here; -1 where nothing is known of it. */
  lastEpoch(producerId: number): number {
    return this.#producers.get(producerId)?.producerEpoch ?? -1
  }

  onHighWatermark(highWatermark: number): void {
    for (const [firstOffset, markerOffset] of this.#unreplicated) {
      if (markerOffset < highWatermark) this.#unreplicated.delete(firstOffset)
    }
  }

  /**
   * Forgets producers that wrote nothing for the expiration time, however old the timestamps of their batches are, and
   * have no transaction open: until then they may send a batch again. Of those that a snapshot told of only the
   * timestamp is known. (Apache Kafka goes by that alone.)
   */
  expire(now: Milliseconds): void {
    const expirationMs = this.#expirationMs()
    for (const [producerId, state] of this.#producers) {
      state.seenMs ??= now
      const isIdle = now - Math.max(state.seenMs, state.lastTimestamp) >= expirationMs
      if (isIdle && state.transactionFirstOffset < 0) this.#producers.delete(producerId)
    }
  }

  clear(): void {
    this.earlier = null
    this.#producers.clear()
    this.#open.clear()
    this.#unreplicated.clear()
  }

  /** Everything, for a snapshot and for DescribeProducers. */
  entries(): SnapshotEntry[] {
    const entries: SnapshotEntry[] = []
    for (const state of this.#producers.values()) {
      const last = state.batches.at(-1)
      entries.push({
        producerId: state.producerId,
        epoch: state.producerEpoch,
        lastSequence: last?.lastSequence ?? -1,
        lastOffset: last?.lastOffset ?? -1,
        offsetDelta: last?.offsetDelta ?? 0,
        timestamp: state.lastTimestamp,
        coordinatorEpoch: state.coordinatorEpoch,
        currentTxnFirstOffset: state.transactionFirstOffset,
      })
    }
    return entries
  }

  /**
   * Takes those of whose batches nothing is left here, but was before, or in another copy of the log; what is
   * left of a transaction that is open may be its producer alone. Whether there are any.
   */
  addUnknown(entries: readonly SnapshotEntry[]): boolean {
    const unknown = entries.filter(({ producerId }) => !this.#producers.has(producerId))
    for (const entry of unknown) this.#add(entry)
    this.#listOpen()
    return unknown.length > 0
  }

  /** Starts over from a snapshot; producers that have expired by `now` are left out. */
  load(entries: readonly SnapshotEntry[], now: Milliseconds): void {
    this.clear()
    for (const entry of entries) this.#add(entry)
    this.#listOpen()
    this.expire(now)
  }

  /** Lists the open transactions of all producers anew. */
  #listOpen(): void {
    const open = [...this.#producers.values()].filter((state) => state.transactionFirstOffset >= 0)
    open.sort((a, b) => a.transactionFirstOffset - b.transactionFirstOffset)
    this.#open.clear()
    for (const { transactionFirstOffset, producerId } of open) {
      this.#open.set(transactionFirstOffset, producerId)
    }
  }

  #add(entry: SnapshotEntry): void {
    const { producerId, lastSequence, lastOffset, offsetDelta, timestamp } = entry
    this.#producers.set(producerId, {
      producerId,
      producerEpoch: entry.epoch,
      coordinatorEpoch: entry.coordinatorEpoch,
      lastTimestamp: timestamp,
      seenMs: Number.NEGATIVE_INFINITY,
      transactionFirstOffset: entry.currentTxnFirstOffset,
      batches: lastOffset < 0 ? [] : [{ lastSequence, lastOffset, offsetDelta, timestamp }],
    })
  }

  #checkSequence(state: ProducerState, batch: ProducerBatch): void {
    const { baseSequence } = batch
    if (batch.producerEpoch !== state.producerEpoch) {
      if (baseSequence === 0 || state.producerEpoch < 0) return
      throw this.#error(
        errors.OUT_OF_ORDER_SEQUENCE_NUMBER,
        batch.producerId,
        `epoch ${batch.producerEpoch} begins with sequence ${baseSequence}, not 0`,
      )
    }
    if (isNext(state, baseSequence)) return
    const last = state.batches.at(-1)?.lastSequence ?? -1
    throw this.#error(
      errors.OUT_OF_ORDER_SEQUENCE_NUMBER,
      batch.producerId,
      `sequence ${baseSequence} follows ${last}`,
    )
  }

  #stateOf(producerId: number): ProducerState {
    let state = this.#producers.get(producerId)
    if (state === undefined) {
      state = {
        producerId,
        producerEpoch: -1,
        coordinatorEpoch: -1,
        lastTimestamp: -1,
        seenMs: null,
        transactionFirstOffset: -1,
        batches: [],
      }
      this.#producers.set(producerId, state)
    }
    return state
  }

  #error(row: ErrorRow, producerId: number, what: string) {
    return new KafkaError(row, `Producer ${producerId} on ${this.#name}: ${what}.`)
  }
}

const isNext = (state: ProducerState, baseSequence: number): boolean =>
  baseSequence === addSequence(state.batches.at(-1)?.lastSequence ?? -1, 1)

const markOf = (batch: ProducerBatch): BatchMark => ({
  lastSequence: batch.baseSequence < 0 ? -1 : lastSequenceOf(batch),
  lastOffset: batch.lastOffset,
  offsetDelta: batch.lastOffset - batch.baseOffset,
  timestamp: batch.maxTimestamp,
})

/** The batches of an earlier epoch say nothing about the sequences of this one. */
const setEpoch = (state: ProducerState, producerEpoch: number): void => {
  if (state.producerEpoch === producerEpoch) return
  state.producerEpoch = producerEpoch
  state.batches = []
}

const firstKey = (map: ReadonlyMap<number, unknown>): number | null => {
  for (const key of map.keys()) return key
  return null
}

/** `sequence + delta` on the ring of sequences. */
const addSequence = (sequence: number, delta: number): number => {
  const sum = sequence + delta
  if (sum > sequenceMax) return sum - sequenceMax - 1
  return sum < 0 && sequence >= 0 ? sum + sequenceMax + 1 : sum
}

const lastSequenceOf = (batch: ProducerBatch): number =>
  addSequence(batch.baseSequence, batch.lastOffset - batch.baseOffset)
