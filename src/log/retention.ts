/**
 * Which segments a log may let go of: the oldest ones, as many in a row as are too old, too much,
 * or wholly below the log start. Nothing at or above the high watermark goes, and the empty active
 * segment stays.
 */
import type { Milliseconds } from '../environment/environment.ts'
import { isDeleted, type LogConfig } from './log-config.ts'
import type { Segment } from './segment.ts'

export interface RetentionOptions {
  readonly segments: readonly Segment[]
  readonly config: LogConfig
  readonly now: Milliseconds
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly highWatermark: number
}

/**
 * How many of the first segments are to go. What lies above the high watermark may never come to count
 * for anybody, so its bytes push out nothing.
 */
export function countDeletable(options: RetentionOptions): number {
  const { segments, config, now, logStartOffset, logEndOffset, highWatermark } = options
  const byPolicy = isDeleted(config)
  const isBySize = byPolicy && config.retentionBytes >= 0
  let excess = isBySize ? bytesBelowHighWatermark(options) - config.retentionBytes : 0
  let count = 0
  for (const segment of segments) {
    const next = segments[count + 1]
    const endOffset = next?.baseOffset ?? logEndOffset
    if (endOffset > highWatermark || (next === undefined && segment.size === 0)) break
    const isBelowStart = next !== undefined && endOffset <= logStartOffset
    const isTooMuch = isBySize && excess - segment.size >= 0
    if (!isBelowStart && !isTooMuch && !(byPolicy && isTooOld(segment, config, now))) break
    excess -= segment.size
    count++
  }
  return count
}

/** Up to an index interval less, where the high watermark lies within a segment. */
function bytesBelowHighWatermark(options: RetentionOptions): number {
  const { segments, logEndOffset, highWatermark } = options
  let bytes = 0
  for (const [index, segment] of segments.entries()) {
    const endOffset = segments[index + 1]?.baseOffset ?? logEndOffset
    if (endOffset <= highWatermark) bytes += segment.size
    else if (segment.baseOffset < highWatermark) bytes += segment.positionOf(highWatermark)
  }
  return bytes
}

const isTooOld = (segment: Segment, config: LogConfig, now: Milliseconds): boolean => {
  if (config.retentionMs < 0) return false
  const newest = segment.maxTimestamp >= 0 ? segment.maxTimestamp : segment.modifiedMs
  return now - newest > config.retentionMs
}
