/** What a segment is told and what it tells, and how its files are named. */
import type { Buffers } from '../environment/buffers.ts'
import type { Disk } from '../environment/disk.ts'
import type { Logger, Milliseconds } from '../environment/environment.ts'
import type { Examination } from './damage.ts'

export interface SegmentOptions {
  readonly disk: Disk
  readonly buffers: Buffers
  /** The partition's directory. */
  readonly directory: string
  readonly baseOffset: number
  readonly indexBytesMax: number
  readonly indexIntervalBytes: number
  readonly createdMs: Milliseconds
  /** Behind the names of all its files, while compaction writes them. */
  readonly suffix?: string
  readonly log: Logger
}

/** The offsets that a segment can hold, the second exclusive. */
export interface OffsetRange {
  readonly baseOffset: number
  readonly endOffset: number
}

/** What stands at the end of a segment. */
export interface SegmentEnd {
  /** The offset after the last batch; the segment's base where it is empty. */
  readonly nextOffset: number
  /** Bytes of whole batches. */
  readonly size: number
  /** Of the last batch; -1 where there is none. */
  readonly leaderEpoch: number
}

export type RebuildOptions = Pick<Examination, 'mayResume' | 'unsettledFrom' | 'from'>

export const segmentSuffixes = ['.log', '.index', '.timeindex', '.txnindex'] as const
export const deletedSuffix = '.deleted'
/** Being written by compaction: worth nothing yet. */
export const cleanedSuffix = '.cleaned'
/** Whole and durable: takes the place of what it was made from, if need be at the next start. */
export const swapSuffix = '.swap'

export const fileNameOf = (offset: number): string => String(offset).padStart(20, '0')

/** The path of a segment's file of this kind; without one, that which its files have in common. */
export const pathOf = (segment: SegmentOptions, kind = ''): string => {
  const path = `${segment.directory}/${fileNameOf(segment.baseOffset)}`
  return kind === '' ? path : path + kind + (segment.suffix ?? '')
}

/** `topic-partition`, of a partition's directory. */
export const nameOf = (directory: string): string => directory.slice(directory.lastIndexOf('/') + 1)

/** Renames the files of a segment, the log first, from one suffix to another; gives the new paths. */
export function renameSegment(
  disk: Disk,
  path: string,
  { from, to }: { from: string; to: string },
): string[] {
  const renamed: string[] = []
  for (const suffix of segmentSuffixes) {
    if (!disk.exists(path + suffix + from)) continue
    disk.rename(path + suffix + from, path + suffix + to)
    renamed.push(path + suffix + to)
  }
  return renamed
}
