/**
 * From a timestamp to a record: the time index says from which offset on to look, the offset index
 * where that lies, and only the batch that must hold the record is opened.
 *
 * Where timestamps are out of order, or the largest lies below the start of the log, a segment may have to
 * be walked to its end. That is done a slice at a time, with a pause after each; meanwhile the log goes on,
 * and segments may be removed or cut.
 */
import * as header from '../../protocol/records/batch.ts'
import { unpackedPerRequestBytesMax } from '../../protocol/records/compression/compression.ts'
import { OversizedRecords } from '../../protocol/records/corrupt-records.ts'
import { openBatch } from '../../protocol/records/record.ts'
import type { RecordCursor } from '../../protocol/records/record-cursor.ts'
import { lastOffsetOf, leaderEpochOf, maxTimestampOf } from './links.ts'
import type { Segment } from './segment.ts'

export interface OffsetAndTimestamp {
  readonly offset: number
  readonly timestamp: number
  /** -1: unknown. */
  readonly leaderEpoch: number
}

/** Of batches that are looked at in one go: about a millisecond. */
const sliceBytes = 1024 * 1024

export interface LookupRange {
  /** Those of the log, at any time. */
  readonly segments: readonly Segment[]
  readonly fromOffset: number
  /** Exclusive. */
  readonly upToOffset: number
  /** Resolves when others have had their turn. Rejects where the log cannot be used any more. */
  readonly pause: () => Promise<void>
}

/** The first record in the range with at least `timestamp`. */
export async function firstAtOrAfter(
  timestamp: number,
  range: LookupRange,
): Promise<OffsetAndTimestamp | null> {
  const { fromOffset, upToOffset } = range
  const segments = [...range.segments]
  for (const [index, segment] of segments.entries()) {
    const endOffset = segments[index + 1]?.baseOffset ?? upToOffset
    if (endOffset <= fromOffset || !isThere(segment, range)) continue
    if (segment.maxTimestamp < timestamp) continue
    const from = Math.max(segment.offsetOf(timestamp), fromOffset)
    const found = await findRecord(segment, from, {
      isCandidate: (maxTimestamp) => maxTimestamp >= timestamp,
      isMatch: (record) => record.timestamp >= timestamp && record.offset >= fromOffset,
      range,
    })
    if (found !== null) return found
  }
  return null
}

/** The first record with the largest timestamp of all; null where none has one. */
export async function largestTimestamp(range: LookupRange): Promise<OffsetAndTimestamp | null> {
  let best: Segment | null = null
  for (const segment of range.segments) {
    if (segment.maxTimestamp > (best?.maxTimestamp ?? -1)) best = segment
  }
  if (best === null) return null
  const { maxTimestamp } = best
  return findRecord(best, best.maxTimestampOffset, {
    isCandidate: (timestamp) => timestamp === maxTimestamp,
    isMatch: (record) => record.timestamp === maxTimestamp,
    range,
  })
}

interface Search {
  readonly isCandidate: (maxTimestamp: number) => boolean
  readonly isMatch: (record: { offset: number; timestamp: number }) => boolean
  readonly range: LookupRange
}

/** Whether the log still has the segment. */
const isThere = (segment: Segment, { segments }: LookupRange): boolean => segments.includes(segment)

async function findRecord(
  segment: Segment,
  from: number,
  search: Search,
): Promise<OffsetAndTimestamp | null> {
  const { range } = search
  for (let next: number | null = from; next !== null; ) {
    const { found, nextOffset } = findInSlice(segment, next, search)
    if (found !== null) return found
    next = nextOffset
    if (next === null) break
    await range.pause()
    if (!isThere(segment, range)) break
  }
  return null
}

interface SliceResult {
  readonly found: OffsetAndTimestamp | null
  /** Where to go on; null where the segment ends. */
  readonly nextOffset: number | null
}

function findInSlice(segment: Segment, from: number, search: Search): SliceResult {
  let found: OffsetAndTimestamp | null = null
  let nextOffset: number | null = null
  let leftBytes = sliceBytes
  segment.scan(segment.positionOf(from), (buffer, at) => {
    const lastOffset = lastOffsetOf(buffer, at)
    if (header.baseOffset(buffer, at) >= search.range.upToOffset) return false
    if (lastOffset < from) return true
    if (search.isCandidate(maxTimestampOf(buffer, at))) found = findInBatch(buffer, at, search)
    leftBytes -= header.batchBytes(buffer, at)
    if (leftBytes < 0) nextOffset = lastOffset + 1
    return found === null && nextOffset === null
  })
  return { found, nextOffset }
}

/** An entry of an old message set is answered as a whole. */
function findInBatch(buffer: Buffer, at: number, search: Search): OffsetAndTimestamp | null {
  const leaderEpoch = leaderEpochOf(buffer, at)
  if (header.magic(buffer, at) !== 2) {
    return { offset: lastOffsetOf(buffer, at), timestamp: maxTimestampOf(buffer, at), leaderEpoch }
  }
  const cursor = openIfSmall(buffer, at)
  if (cursor === null) {
    // Who reads from its start on misses nothing.
    const offset = header.baseOffset(buffer, at)
    return { offset, timestamp: maxTimestampOf(buffer, at), leaderEpoch }
  }
  while (cursor.next()) {
    if (search.isMatch(cursor)) {
      return { offset: cursor.offset, timestamp: cursor.timestamp, leaderEpoch }
    }
  }
  return null
}

/** Null for a batch that takes so long to unpack that others would notice. */
function openIfSmall(buffer: Buffer, at: number): RecordCursor | null {
  try {
    return openBatch(buffer, at, { unpackedBytesMax: unpackedPerRequestBytesMax })
  } catch (error) {
    if (error instanceof OversizedRecords) return null
    throw error
  }
}
