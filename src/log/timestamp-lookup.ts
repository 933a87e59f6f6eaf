/**
 * From a timestamp to a record: the time index says from which offset on to look, the offset index
 * where that lies, and only the batch that must hold the record is opened.
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

export interface LookupRange {
  readonly segments: readonly Segment[]
  readonly fromOffset: number
  /** Exclusive. */
  readonly upToOffset: number
}

/** The first record in the range with at least `timestamp`. */
export function firstAtOrAfter(timestamp: number, range: LookupRange): OffsetAndTimestamp | null {
  const { segments, fromOffset, upToOffset } = range
  for (const [index, segment] of segments.entries()) {
    const endOffset = segments[index + 1]?.baseOffset ?? upToOffset
    if (endOffset <= fromOffset || segment.maxTimestamp < timestamp) continue
    const from = Math.max(segment.offsetOf(timestamp), fromOffset)
    const found = findRecord(segment, from, {
      isCandidate: (maxTimestamp) => maxTimestamp >= timestamp,
      isMatch: (record) => record.timestamp >= timestamp && record.offset >= fromOffset,
      upToOffset,
    })
    if (found !== null) return found
  }
  return null
}

/** The first record with the largest timestamp of all; null where none has one. */
export function largestTimestamp(range: LookupRange): OffsetAndTimestamp | null {
  let best: Segment | null = null
  for (const segment of range.segments) {
    if (segment.maxTimestamp > (best?.maxTimestamp ?? -1)) best = segment
  }
  if (best === null) return null
  const { maxTimestamp } = best
  return findRecord(best, best.maxTimestampOffset, {
    isCandidate: (timestamp) => timestamp === maxTimestamp,
    isMatch: (record) => record.timestamp === maxTimestamp,
    upToOffset: range.upToOffset,
  })
}

interface Search {
  readonly isCandidate: (maxTimestamp: number) => boolean
  readonly isMatch: (record: { offset: number; timestamp: number }) => boolean
  readonly upToOffset: number
}

function findRecord(segment: Segment, from: number, search: Search): OffsetAndTimestamp | null {
  let found: OffsetAndTimestamp | null = null
  segment.scan(segment.positionOf(from), (buffer, at) => {
    if (header.baseOffset(buffer, at) >= search.upToOffset) return false
    if (lastOffsetOf(buffer, at) < from || !search.isCandidate(maxTimestampOf(buffer, at))) {
      return true
    }
    found = findInBatch(buffer, at, search)
    return found === null
  })
  return found
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
