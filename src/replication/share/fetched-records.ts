/** What one read brought for a share partition, by the batches of the log: offsets, never records. */
import {
  baseOffset,
  batches,
  isControl,
  isTransactional,
  lastOffset,
  producerId,
} from '../../../protocol/records/batch.ts'
import type { ReadResult } from '../../log/segment-read.ts'
import type { AbortedTransaction } from '../../log/transaction-index.ts'
import type { Partition } from '../partition.ts'
import type { AcquiredRecords, FetchedBatch } from './in-flight.ts'

export interface FetchedRecords {
  /** Where the read began. */
  readonly fetchOffset: number
  /** Whole batches. */
  readonly chunks: readonly Buffer[]
  readonly bytes: number
  readonly batches: readonly FetchedBatch[]
}

export function fetchedBatches(
  partition: Partition,
  fetchOffset: number,
  { chunks, bytes, firstOffset, nextOffset }: ReadResult,
  isReadCommitted: boolean,
): FetchedRecords {
  const aborted =
    isReadCommitted && bytes > 0
      ? partition.log.reader.abortedTransactions(firstOffset, nextOffset)
      : []
  const isOfAborted = passAborted(aborted)
  const found: FetchedBatch[] = []
  for (const chunk of chunks) {
    for (const at of batches(chunk)) {
      const offset = baseOffset(chunk, at)
      const isAborted =
        aborted.length > 0 &&
        isTransactional(chunk, at) &&
        !isControl(chunk, at) &&
        isOfAborted(producerId(chunk, at), offset)
      found.push({ firstOffset: offset, lastOffset: lastOffset(chunk, at), isAborted })
    }
  }
  return { fetchOffset, chunks, bytes, batches: found }
}

/** Tells of offsets that rise whether the transaction in which their producer wrote them was aborted. */
function passAborted(
  transactions: readonly AbortedTransaction[],
): (producerId: number, offset: number) => boolean {
  const ahead = [...transactions].sort((a, b) => b.firstOffset - a.firstOffset)
  /** By producer, where the last that it began so far ended. */
  const ends = new Map<number, number>()
  return (producerId, offset) => {
    for (let next = ahead.at(-1); next !== undefined; next = ahead.at(-1)) {
      if (next.firstOffset > offset) break
      ends.set(next.producerId, next.lastOffset)
      ahead.pop()
    }
    return offset <= (ends.get(producerId) ?? -1)
  }
}

/** The whole batches that hold any of the offsets. */
export function sliceOf(chunks: readonly Buffer[], first: number, last: number): Buffer[] {
  const slices: Buffer[] = []
  for (const chunk of chunks) {
    let start = chunk.length
    let end = 0
    for (const at of batches(chunk)) {
      if (baseOffset(chunk, at) > last) break
      // The end of this batch is the start of the next, or of nothing: it moves on below.
      if (lastOffset(chunk, at) >= first) start = Math.min(start, at)
      end = at
    }
    if (start > end) continue
    slices.push(chunk.subarray(start, endOfBatchAt(chunk, end)))
  }
  return slices
}

function endOfBatchAt(chunk: Buffer, at: number): number {
  for (const next of batches(chunk, at)) if (next > at) return next
  return chunk.length
}

/** Acquired records in pieces of about `batchSize`, cut only where batches of the log begin. */
export function splitBySize(
  acquired: readonly AcquiredRecords[],
  fetched: readonly FetchedBatch[],
  batchSize: number,
): readonly AcquiredRecords[] {
  const isSmall = ({ firstOffset, lastOffset }: AcquiredRecords) =>
    lastOffset - firstOffset < batchSize
  if (acquired.every(isSmall)) return acquired
  const pieces: AcquiredRecords[] = []
  let at = 0
  for (const { firstOffset, lastOffset: end, deliveryCount } of acquired) {
    let first = firstOffset
    for (; at < fetched.length; at++) {
      const start = (fetched[at] as FetchedBatch).firstOffset
      if (start > end) break
      if (start - first < batchSize) continue
      pieces.push({ firstOffset: first, lastOffset: start - 1, deliveryCount })
      first = start
    }
    pieces.push({ firstOffset: first, lastOffset: end, deliveryCount })
  }
  return pieces
}
