/**
 * How much of a log could be compacted now, and whether that is worth it.
 *
 *     log start          first dirty           up to                    log end
 *         | compacted        | to be compacted    | not yet: active, not committed, young
 *         [ segment ][ segment ][ segment ][ seg ][ segment ]...[ active ]
 */
import type { Logger, Milliseconds } from '../../environment/environment.ts'
import { isCompacted, isDeleted, unlimited } from '../log-config.ts'
import type { Segment } from '../segment.ts'
import type { CleanableLog } from './cleanable-log.ts'

export interface Candidate {
  readonly log: CleanableLog
  readonly firstDirtyOffset: number
  /** Where a segment begins; exclusive. */
  readonly upToOffset: number
  /** Of all that could be read. */
  readonly bytes: number
  readonly dirtyBytes: number
  /** The part of the bytes that is dirty. */
  readonly dirtyRatio: number
  /** By how much the oldest dirty record exceeds max.compaction.lag.ms; 0: not at all. */
  readonly delayMs: Milliseconds
}

/** Null for a log that is not compacted, or not now, or has nothing to look at. May throw DiskError. */
export function candidateOf(
  log: CleanableLog,
  now: Milliseconds,
  logger: Logger,
): Candidate | null {
  const { config, isUsable } = log.log
  if (!isUsable || log.isPaused || !isCompacted(config)) return null
  const firstDirtyOffset = firstDirtyOf(log, logger)
  const upToOffset = upToOf(log, firstDirtyOffset, now)
  let cleanBytes = 0
  let dirtyBytes = 0
  let delayMs = 0
  for (const segment of log.segments.slice(0, -1)) {
    if (segment.baseOffset < firstDirtyOffset) cleanBytes += segment.size
    if (segment.endOffset <= firstDirtyOffset) continue
    if (segment.baseOffset < upToOffset) dirtyBytes += segment.size
    if (config.maxCompactionLagMs < unlimited) {
      delayMs = Math.max(delayMs, delayOf(segment, now - config.maxCompactionLagMs))
    }
  }
  const bytes = cleanBytes + dirtyBytes
  if (bytes === 0) return null
  const dirtyRatio = dirtyBytes / bytes
  return { log, firstDirtyOffset, upToOffset, bytes, dirtyBytes, dirtyRatio, delayMs }
}

export function isDue({ log, dirtyBytes, dirtyRatio, delayMs }: Candidate): boolean {
  return (delayMs > 0 && dirtyBytes > 0) || dirtyRatio > log.log.config.minCleanableDirtyRatio
}

/** What the checkpoint says may have been deleted, or cut off, since. */
function firstDirtyOf(log: CleanableLog, logger: Logger): number {
  const { logStartOffset, logEndOffset, config } = log.log
  const { cleanedOffset } = log
  if (cleanedOffset > logEndOffset) {
    const fields = { partition: log.name, cleanedOffset, logEndOffset }
    logger.warn('the cleaner checkpoint lies above the log end: all is compacted anew', fields)
    return logStartOffset
  }
  if (cleanedOffset >= 0 && cleanedOffset < logStartOffset && !isDeleted(config)) {
    const fields = { partition: log.name, cleanedOffset, logStartOffset }
    logger.warn('the cleaner checkpoint lies below the log start: all is compacted anew', fields)
  }
  return Math.max(cleanedOffset, logStartOffset)
}

/** The beginning of the first segment that must not be touched. */
function upToOf(log: CleanableLog, firstDirtyOffset: number, now: Milliseconds): number {
  const { segments } = log
  const { config, lastStableOffset } = log.log
  const active = segments.at(-1) as Segment
  for (const segment of segments.slice(0, -1)) {
    if (segment.endOffset <= firstDirtyOffset) continue
    const isYoung =
      config.minCompactionLagMs > 0 && segment.maxTimestamp > now - config.minCompactionLagMs
    if (segment.endOffset > lastStableOffset || isYoung) return segment.baseOffset
  }
  return active.baseOffset
}

function delayOf({ firstTimestamp }: Segment, before: Milliseconds): Milliseconds {
  return firstTimestamp > 0 ? Math.max(0, before - firstTimestamp) : 0
}
