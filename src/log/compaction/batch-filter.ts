/**
 * What compaction leaves of a batch:
 *
 *     all records stay              the batch as it is
 *     some go                       a batch of the others, with the same offsets and sequences
 *     none stays                    nothing; an empty batch where it is the last of its producer, whose
 *                                   next sequence follows from it, or the last one that is compacted
 *     tombstones, markers of        get a delete horizon first, `delete.retention.ms` from now; once that
 *     transactions without records  has passed they go (KIP-534)
 *
 * A record goes if a later one has its key, if it was aborted, or if it is a tombstone past its horizon.
 * A batch of which all that is known beforehand is not even opened.
 * A batch that cannot be opened here stays whole, and from then on every tombstone, too: what it
 * deletes may be in there.
 */
import * as header from '../../../protocol/records/batch.ts'
import { UnsupportedCompression } from '../../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords, OversizedRecords } from '../../../protocol/records/corrupt-records.ts'
import { openBatch } from '../../../protocol/records/record.ts'
import type { RecordCursor } from '../../../protocol/records/record-cursor.ts'
import { emptied, RetainedRecords } from '../../../protocol/records/retained-records.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { SnapshotEntry } from '../producer-snapshot.ts'
import type { AbortedTransaction } from '../transaction-index.ts'
import { DamagedLog } from './damaged-log.ts'
import type { LastOffsets } from './last-offsets.ts'
import type { TransactionWalk } from './transaction-walk.ts'

/** A batch that unpacks to more is not opened. */
const unpackedBytesMax = 64 * 1024 * 1024

/** A batch whose records may be read, or null: it is kept whole. Throws DamagedLog. */
export function openForCompaction(bytes: Buffer, at: number): RecordCursor | null {
  if (header.magic(bytes, at) !== 2) return null
  try {
    return openBatch(bytes, at, { unpackedBytesMax })
  } catch (error) {
    if (error instanceof UnsupportedCompression || error instanceof OversizedRecords) return null
    if (!(error instanceof CorruptRecords)) throw error
    throw new DamagedLog(`offset ${header.baseOffset(bytes, at)}: ${error.message}`)
  }
}

export interface BatchFilterOptions {
  readonly lastOffsets: LastOffsets
  /** Keys of records from here on are not all known. */
  readonly mappedUpTo: number
  /** Among the records whose keys were learned are no tombstones, and all could be opened. */
  readonly isPlain: boolean
  /** The end of all that may be compacted now, exclusive. */
  readonly upToOffset: number
  readonly transactions: TransactionWalk
  readonly producers: readonly SnapshotEntry[]
  readonly now: Milliseconds
  readonly deleteRetentionMs: Milliseconds
  /** The marker of this transaction stays: it belongs into the transaction index. */
  readonly onAborted: (transaction: AbortedTransaction) => void
}

export class BatchFilter {
  /** Batches that were not opened. */
  unopened = 0
  recordsRead = 0
  recordsKept = 0
  readonly #options: BatchFilterOptions
  readonly #lastOf = new Map<number, SnapshotEntry>()
  readonly #retained = new RetainedRecords()

  constructor(options: BatchFilterOptions) {
    this.#options = options
    for (const entry of options.producers) this.#lastOf.set(entry.producerId, entry)
  }

  /**
   * The batch at `at` in `bytes`: `whole`, what is left of it in a buffer of its own, or null. Throws
   * DamagedLog.
   */
  filter(bytes: Buffer, at: number): Buffer | 'whole' | null {
    if (header.magic(bytes, at) !== 2) return this.#keepUnopened()
    const count = header.recordCount(bytes, at)
    this.recordsRead += count
    const isControl = header.isControl(bytes, at)
    if (isControl) return this.#filterMarker(bytes, at)
    if (this.#options.transactions.passBatch(bytes, at)) return this.#emptied(bytes, at)
    return this.#filterRecords(bytes, at)
  }

  /** Whether no record of the batch stays, which is all there is to know of them. */
  isHeaderEnough(bytes: Buffer, at: number): boolean {
    return !header.isControl(bytes, at) && this.#countKept(bytes, at) === 0
  }

  #filterMarker(bytes: Buffer, at: number): Buffer | 'whole' | null {
    const { transactions, now, deleteRetentionMs, onAborted } = this.#options
    const { isSuperfluous, aborted } = transactions.passMarker(bytes, at)
    if (aborted !== null) onAborted(aborted)
    if (header.recordCount(bytes, at) === 0) return this.#emptied(bytes, at)
    const hasHorizon = header.hasDeleteHorizon(bytes, at)
    if (isSuperfluous && hasHorizon && header.baseTimestamp(bytes, at) <= now) {
      return this.#emptied(bytes, at)
    }
    this.recordsKept += header.recordCount(bytes, at)
    if (!isSuperfluous || hasHorizon) return 'whole'
    const cursor = openForCompaction(bytes, at)
    if (cursor === null) return this.#keepUnopened()
    this.#retained.clear()
    while (nextRecord(cursor, bytes, at)) this.#retained.keep(cursor)
    return this.#retained.encode(bytes, at, now + deleteRetentionMs)
  }

  #filterRecords(bytes: Buffer, at: number): Buffer | 'whole' | null {
    const kept = this.#countKept(bytes, at)
    if (kept === 0) return this.#emptied(bytes, at)
    if (kept === header.recordCount(bytes, at) && this.#options.isPlain) {
      this.recordsKept += kept
      return 'whole'
    }
    const cursor = openForCompaction(bytes, at)
    if (cursor === null) return this.#keepUnopened()
    const { now, deleteRetentionMs } = this.#options
    const hasHorizon = header.hasDeleteHorizon(bytes, at)
    const isTombstoneKept =
      !hasHorizon || now < header.baseTimestamp(bytes, at) || this.unopened > 0
    const retained = this.#retained
    retained.clear()
    while (nextRecord(cursor, bytes, at)) {
      if (this.#isRetained(cursor, isTombstoneKept)) retained.keep(cursor)
    }
    if (retained.count === 0) return this.#emptied(bytes, at)
    this.recordsKept += retained.count
    const getsHorizon = retained.hasTombstone && !hasHorizon
    if (retained.count === header.recordCount(bytes, at) && !getsHorizon) return 'whole'
    try {
      return retained.encode(bytes, at, getsHorizon ? now + deleteRetentionMs : null)
    } catch (error) {
      if (!(error instanceof UnsupportedCompression)) throw error
      return this.#keepUnopened()
    }
  }

  /** Records of the batch at `at` that no later one has replaced; -1: it has to be opened. */
  #countKept(bytes: Buffer, at: number): number {
    const { lastOffsets, mappedUpTo } = this.#options
    const lastOffset = header.lastOffset(bytes, at)
    if (lastOffset >= mappedUpTo) return -1
    return lastOffsets.countLast(header.baseOffset(bytes, at), lastOffset)
  }

  #isRetained(cursor: RecordCursor, isTombstoneKept: boolean): boolean {
    const { lastOffsets, mappedUpTo } = this.#options
    if (cursor.offset >= mappedUpTo) return true
    // Nobody could ever ask for it.
    if (cursor.keyLength < 0) return false
    const { bytes, keyAt, keyLength, offset } = cursor
    const isLast = lastOffsets.isLast(bytes, keyAt, keyLength, offset)
    return isLast && (cursor.valueLength >= 0 || isTombstoneKept)
  }

  /** Nothing, unless what the header tells is needed still. */
  #emptied(bytes: Buffer, at: number): Buffer | null {
    const isLast = header.lastOffset(bytes, at) + 1 === this.#options.upToOffset
    return isLast || this.#isLastOfProducer(bytes, at) ? emptied(bytes, at) : null
  }

  #isLastOfProducer(bytes: Buffer, at: number): boolean {
    const producerId = header.producerId(bytes, at)
    const last = producerId < 0 ? undefined : this.#lastOf.get(producerId)
    if (last === undefined) return false
    if (last.lastOffset >= 0) return header.lastOffset(bytes, at) === last.lastOffset
    // It has only ended transactions: the newest marker has its epoch.
    return header.isControl(bytes, at) && header.producerEpoch(bytes, at) === last.epoch
  }

  #keepUnopened(): 'whole' {
    this.unopened++
    return 'whole'
  }
}

/** Moves to the next record of the batch at `at`. Throws DamagedLog. */
export function nextRecord(cursor: RecordCursor, bytes: Buffer, at: number): boolean {
  try {
    return cursor.next()
  } catch (error) {
    if (!(error instanceof CorruptRecords)) throw error
    throw new DamagedLog(`offset ${header.baseOffset(bytes, at)}: ${error.message}`)
  }
}
