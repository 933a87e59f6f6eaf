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
  readonly log: Logger
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

export type RebuildOptions = Pick<Examination, 'mayResume' | 'unsettledFrom'>

export const segmentSuffixes = ['.log', '.index', '.timeindex', '.txnindex'] as const
export const deletedSuffix = '.deleted'

export const fileNameOf = (offset: number): string => String(offset).padStart(20, '0')

/** `topic-partition`, of a partition's directory. */
export const nameOf = (directory: string): string => directory.slice(directory.lastIndexOf('/') + 1)
