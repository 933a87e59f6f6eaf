/**
 * One log as compaction sees it: what it may read, and how cleaned segments take the place of those
 * they were made from.
 *
 *     00…0.log                     00…0.log                      00…0.log.deleted
 *     00…9.log       cleaned,      00…9.log        renamed,      00…9.log.deleted     00…0.log
 *     00…0.log.cleaned  synced     00…0.log.swap   synced        00…0.log.swap
 *
 * Up to the second picture a crash leaves the old segments (`.cleaned` is removed at the next start),
 * from then on the new one (`.swap` is put in its place). The names are Kafka's, and so is the order.
 */
import type { Disk, DiskError } from '../../environment/disk.ts'
import type { LogConfig } from '../log-config.ts'
import type { LogDirectory } from '../log-directory.ts'
import type { OpenLog } from '../log-inventory.ts'
import type { LogReader } from '../log-reader.ts'
import { isOutOfFiles } from '../out-of-files.ts'
import type { ProducerSnapshots, SnapshotEntry } from '../producer-snapshot.ts'
import { Segment } from '../segment.ts'
import {
  cleanedSuffix,
  fileNameOf,
  type SegmentOptions,
  segmentSuffixes,
} from '../segment-options.ts'
import type { Segments } from '../segments.ts'

/** What a log tells compaction of itself. */
export interface CleanedLog {
  readonly topic: string
  readonly partition: number
  readonly directory: LogDirectory
  readonly config: LogConfig
  readonly isUsable: boolean
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly lastStableOffset: number
  /** Each producer with its last batch. */
  activeProducers(): SnapshotEntry[]
  readonly reader: Pick<LogReader, 'abortedTransactions'>
  /** Makes all durable that was appended before. Rejects with DiskError. */
  flush(): Promise<void>
}

export interface CleanableLogOptions {
  readonly log: CleanedLog & OpenLog
  readonly disk: Disk
  /** The partition's directory. */
  readonly path: string
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  /** From the checkpoint; -1 where the log never was compacted. */
  readonly cleanedOffset: number
  readonly segmentOptions: (baseOffset: number) => SegmentOptions
  /** What lies below `endOffset` was compacted. */
  readonly onReplaced: (endOffset: number) => void
}

export class CleanableLog {
  /** Another log is about to take this one's place, and would not be what this one became. */
  isPaused = false
  readonly #options: CleanableLogOptions
  #cleanedOffset: number

  constructor(options: CleanableLogOptions) {
    this.#options = options
    this.#cleanedOffset = options.cleanedOffset
  }

  get log(): CleanedLog {
    return this.#options.log
  }

  /** `topic-partition`. */
  get name(): string {
    return `${this.log.topic}-${this.log.partition}`
  }

  /** In offset order, the active one last. */
  get segments(): readonly Segment[] {
    return this.#options.segments.list
  }

  /** Everything below is on the device. */
  get recoveryPoint(): number {
    return this.#options.segments.recoveryPoint
  }

  /** How often the log was cut: what was learned of its records before does not hold after. */
  get truncations(): number {
    return this.#options.segments.truncations
  }

  /** Up to where the log is compacted; -1: it never was. */
  get cleanedOffset(): number {
    return this.#cleanedOffset
  }

  /**
   * The log is compacted up to `offset`, or is about to be compacted for the first time: from then on
   * offsets may be missing in it. Resolves when that is durable. Rejects with DiskError, and is as before
   * then.
   */
  async markCleaned(offset: number): Promise<void> {
    this.#options.disk.syncDirectory(this.#options.path)
    const before = this.#cleanedOffset
    this.#cleanedOffset = offset
    this.#noteChange()
    try {
      await this.log.directory.logs.checkpoint()
    } catch (error) {
      this.#cleanedOffset = Math.min(before, this.#cleanedOffset)
      this.#noteChange()
      throw error
    }
  }

  /** This log holds what `other` holds. */
  copy(other: CleanableLog): void {
    this.#cleanedOffset = other.#cleanedOffset
    this.#noteChange()
  }

  /** The log ends at `offset` now. */
  onTruncated(offset: number): void {
    this.#cleanedOffset = Math.min(this.#cleanedOffset, offset)
    this.#noteChange()
  }

  #noteChange(): void {
    const { log } = this.#options
    log.directory.logs.noteChange(log)
  }

  /** Of the segments that compaction writes, beside what the place is where it is done. */
  get segmentOptions(): Pick<
    SegmentOptions,
    'directory' | 'indexBytesMax' | 'indexIntervalBytes' | 'createdMs'
  > {
    const { directory, indexBytesMax, indexIntervalBytes, createdMs } =
      this.#options.segmentOptions(0)
    return { directory, indexBytesMax, indexIntervalBytes, createdMs }
  }

  /** Gives the `.cleaned` files of a segment up again. Throws DiskError. */
  discard(baseOffset: number): void {
    const path = `${this.#options.path}/${fileNameOf(baseOffset)}`
    for (const kind of segmentSuffixes) this.#options.disk.remove(path + kind + cleanedSuffix)
  }

  /**
   * Puts the segment in `.cleaned` files, which is durable, in the place of those it was made from.
   * False: they are not all there any more. Throws DiskError, and the partition is offline then: what is
   * on disk is put in order at the next start. Where no file can be opened all is as before.
   */
  replace(replaced: readonly Segment[]): boolean {
    const { segments, snapshots, segmentOptions, log, onReplaced } = this.#options
    const { path, baseOffset } = replaced[0] as Segment
    const gone = new Set(replaced.slice(1).map((segment) => segment.baseOffset))
    try {
      const isReplaced = segments.replace(replaced, {
        path,
        open: () => Segment.open(segmentOptions(baseOffset)),
        delayMs: log.config.fileDeleteDelayMs,
      })
      if (!isReplaced) return false
      snapshots.keepOnly((offset) => !gone.has(offset))
      onReplaced((replaced.at(-1) as Segment).endOffset)
      return true
    } catch (error) {
      if (!isOutOfFiles(error)) log.directory.failPartition(this.name, error as DiskError)
      throw error
    }
  }
}
