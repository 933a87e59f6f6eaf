/**
 * When the active segment is full: by bytes, by the room in its indexes, by the span of its offsets
 * (indexes hold 31 bits), and by age, counted in the records' own time where they have one.
 */
import type { Milliseconds, Random } from '../environment/environment.ts'
import { largestTimestampOf } from './links.ts'
import { isCompacted, type LogConfig } from './log-config.ts'
import type { Segment } from './segment.ts'

const relativeOffsetMax = 0x7fff_ffff
/** Positions in an index are of 31 bits, too. */
const segmentBytesMax = 0x7fff_ffff

/** Whether the segment's indexes could not say where `lastOffset` is. */
export const isSpanTooWide = (segment: Segment, lastOffset: number): boolean =>
  lastOffset - segment.baseOffset > relativeOffsetMax

/** Whether a segment that is full as the settings say could take `bytes` all the same. */
export const hasRoom = (segment: Segment, bytes: Buffer, lastOffset: number): boolean =>
  segment.size + bytes.length <= segmentBytesMax &&
  !segment.isIndexFull &&
  !isSpanTooWide(segment, lastOffset)

export interface RollOptions {
  readonly config: LogConfig
  /** Taken off segment.ms. */
  readonly jitterMs: Milliseconds
  readonly now: Milliseconds
}

/**
 * Whether `bytes`, which end with `lastOffset`, must go to the next segment; this one is not empty.
 */
export function mustRoll(
  segment: Segment,
  bytes: Buffer,
  lastOffset: number,
  { config, jitterMs, now }: RollOptions,
): boolean {
  if (segment.size + bytes.length > config.segmentBytes || segment.isIndexFull) return true
  if (isSpanTooWide(segment, lastOffset)) return true
  const age =
    segment.firstTimestamp >= 0
      ? largestTimestampOf(bytes) - segment.firstTimestamp
      : now - segment.createdMs
  return age > maxAgeMs(config) - jitterMs
}

/** A compacted log rolls in time for what is in the active segment to be compacted. */
const maxAgeMs = (config: LogConfig): Milliseconds =>
  isCompacted(config) ? Math.min(config.segmentMs, config.maxCompactionLagMs) : config.segmentMs

/** Up to segment.jitter.ms at random, so that not all logs roll at once. */
export const drawJitter = (config: LogConfig, random: Random): Milliseconds =>
  Math.floor(random.float() * Math.min(config.segmentJitterMs, maxAgeMs(config)))
