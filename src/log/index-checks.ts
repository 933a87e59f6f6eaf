/**
 * Whether an index agrees with the log it is of. The checks at opening cost the same for any
 * segment: the last entries, and the batches behind them. An entry that a lookup finds is held
 * against the batch it points to; if that is right the lookup is, whatever lies around it.
 */
import * as header from '../../protocol/records/batch.ts'
import type { DiskFile } from '../environment/disk.ts'
import {
  isSound,
  lastOffsetOf,
  leaderEpochOf,
  linkedBytes,
  maxTimestampOf,
  noLink,
  peekBytes,
  plausibleBytes,
} from './links.ts'
import type { IndexedBatch } from './offset-index.ts'
import { scanBatches } from './scan.ts'
import type { SegmentIndexes } from './segment-indexes.ts'
import type { IndexedTimestamp } from './time-index.ts'

/**
 * More than so much behind the last entry, and more batches: entries are missing. Older releases of
 * Kafka wrote one for all batches of an append.
 */
const unindexedBytesMax = 4 * 1024 * 1024
const unindexedBatchesMax = 3
/** A walk begins at no batch that is larger: it would have to be read whole to know that it is sound. */
const resumedBytesMax = 64 * 1024 * 1024

/** The log file, as far as it is written. */
export interface Written {
  readonly file: DiskFile
  readonly bytes: number
  readonly baseOffset: number
  readonly indexIntervalBytes: number
}

/** What lies at and behind the last entry of the offset index. */
export interface IndexTail {
  readonly from: number
  /** Where the whole batches end. */
  readonly end: number
  readonly nextOffset: number
  /** Of the last batch. */
  readonly leaderEpoch: number
  readonly maxTimestamp: number
  /** The last offset of the first batch that has it. */
  readonly maxTimestampOffset: number
  /** False: entries are missing, and not all was read. */
  readonly isShort: boolean
}

export function readTail(written: Written, indexes: SegmentIndexes): IndexTail {
  const from = indexes.offsets.last?.position ?? 0
  // A smaller segment is read as fast from front to back, and its index built again.
  const isSmall = written.bytes <= unindexedBytesMax
  const bytesMax = Math.max(isSmall ? 0 : unindexedBytesMax, 4 * written.indexIntervalBytes)
  let nextOffset = written.baseOffset
  let leaderEpoch = -1
  let maxTimestamp = -1
  let maxTimestampOffset = -1
  let batches = 0
  let isShort = true
  const end = scanBatches(written.file, from, written.bytes, (buffer, at, position) => {
    isShort = batches++ < unindexedBatchesMax || position - from <= bytesMax
    if (!isShort) return false
    nextOffset = lastOffsetOf(buffer, at) + 1
    leaderEpoch = leaderEpochOf(buffer, at)
    if (maxTimestampOf(buffer, at) > maxTimestamp) {
      maxTimestamp = maxTimestampOf(buffer, at)
      maxTimestampOffset = nextOffset - 1
    }
    return true
  })
  return { from, end, nextOffset, leaderEpoch, maxTimestamp, maxTimestampOffset, isShort }
}

/**
 * Cuts the indexes at the last entry that tells of a batch below `offset`. Gives that batch, if it is there
 * and sound, and the time index knows of none before that is later; else null. All entries are looked at,
 * though not held against the log: a search among some that do not rise would cut anywhere.
 */
export function keepBelow(
  written: Written,
  indexes: SegmentIndexes,
  offset: number,
): { position: number; offset: number } | null {
  if (!indexes.offsets.isInOrder || !indexes.times.isInOrder) return null
  const found = indexes.offsets.floor(offset - 1)
  if (found === null || found.position === 0 || !isBatchAt(written, found)) return null
  const { lastOffset, position } = found
  const first = Buffer.allocUnsafe(header.headerBytes)
  if (written.file.read(first, position) < first.length) return null
  const batch = Buffer.allocUnsafe(Math.max(plausibleBytes(first, 0), first.length))
  const isWhole = position + batch.length <= written.bytes && batch.length <= resumedBytesMax
  if (!isWhole || written.file.read(batch, position) < batch.length) return null
  // No checksum covers the offset: index and log agree on it.
  if (lastOffsetOf(batch, 0) !== lastOffset || !isSound(batch, 0)) return null
  indexes.offsets.truncateTo(lastOffset + 1)
  indexes.times.truncateTo(lastOffset + 1)
  const isTold = isTimeRight(written, indexes, { maxTimestamp: maxTimestampOf(batch, 0) })
  return isTold ? { position, offset: header.baseOffset(batch, 0) } : null
}

/** Whether the last entries fit to the log. */
export function isRight(written: Written, indexes: SegmentIndexes): boolean {
  const last = indexes.offsets.last
  return last === null || isBatchAt(written, last)
}

/** Whether the time index is complete, as it is when its file was written. */
export function isTimeRight(
  written: Written,
  indexes: SegmentIndexes,
  tail: Pick<IndexTail, 'maxTimestamp'>,
): boolean {
  const time = indexes.times.last
  if (time === null) return tail.maxTimestamp < 0
  // The entry of the largest timestamp is written last.
  return time.timestamp >= tail.maxTimestamp && isTimeThere(written, indexes, time)
}

/** Whether the last entries of both are those of batches. More may be missing behind. */
export function areLastThere(written: Written, indexes: SegmentIndexes): boolean {
  const time = indexes.times.last
  return isRight(written, indexes) && (time === null || isTimeThere(written, indexes, time))
}

/**
 * Whether the batch that an entry tells of is there, and the first of those that can be seen from the
 * entry of the offset index before that has so large a timestamp.
 */
export function isTimeThere(
  written: Written,
  indexes: SegmentIndexes,
  { timestamp, offset }: IndexedTimestamp,
): boolean {
  const { file, bytes, baseOffset } = written
  if (offset < baseOffset) return false
  const before = indexes.offsets.floor(offset - 1)
  if (before !== null && !isBatchAt(written, before)) return false
  let isThere = false
  scanBatches(file, before?.position ?? 0, bytes, (buffer, at) => {
    const isHere = lastOffsetOf(buffer, at) >= offset
    const found = maxTimestampOf(buffer, at)
    isThere = isHere && header.baseOffset(buffer, at) <= offset && found === timestamp
    return !isHere && found < timestamp
  })
  return isThere
}

/** Whether the batch that an entry tells of is there. */
export function isBatchAt({ file, bytes, baseOffset }: Written, indexed: IndexedBatch): boolean {
  const { position, lastOffset } = indexed
  if (position < 0 || position >= bytes || lastOffset < baseOffset) return false
  const found = Buffer.allocUnsafe(header.headerBytes)
  return file.read(found, position) >= peekBytes && isBatchIn(found, indexed)
}

/** Whether `window` begins with the batch that an entry tells of. */
export function isBatchIn(window: Buffer, { lastOffset }: IndexedBatch): boolean {
  // Older releases of Kafka wrote one entry for all batches of an append.
  return linkedBytes(window, 0, peekBytes, noLink()) > 0 && lastOffsetOf(window, 0) <= lastOffset
}
