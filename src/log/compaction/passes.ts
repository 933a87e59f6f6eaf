/**
 * The two passes of one compaction over stored segments: all of it that takes long, and touches nothing
 * but files. What comes in and what goes out is plain data, so that it may be done in a thread of its
 * own (`threaded-passes`), or in slices of the event loop's turns, as in a simulated world. What it
 * means to the log, and whether the log is still what it was, is for `cleaning` to know.
 */
import type { Buffers } from '../../environment/buffers.ts'
import type { Disk } from '../../environment/disk.ts'
import type { Logger, Milliseconds, Random } from '../../environment/environment.ts'
import type { Pace } from '../pace.ts'
import type { SnapshotEntry } from '../producer-snapshot.ts'
import { Segment } from '../segment.ts'
import { SegmentFile } from '../segment-file.ts'
import { cleanedSuffix, type SegmentOptions } from '../segment-options.ts'
import type { AbortedTransaction } from '../transaction-index.ts'
import { BatchFilter } from './batch-filter.ts'
import { CopyPass } from './copy-pass.ts'
import { DamagedLog } from './damaged-log.ts'
import { KeyPass } from './key-pass.ts'
import { LastOffsets } from './last-offsets.ts'
import { SegmentWalk, type Visitor } from './segment-walk.ts'
import { TransactionWalk } from './transaction-walk.ts'

/** A segment that is read. */
export interface PassedSegment {
  /** Of its files, without their suffixes. */
  readonly path: string
  readonly size: number
  readonly endOffset: number
  /** Transactions that were aborted, and reach into it. */
  readonly aborted: readonly AbortedTransaction[]
}

/** What holds for one compaction. */
export interface PassesOptions {
  /** The dirty part, [from, upTo). */
  readonly firstDirtyOffset: number
  readonly upToOffset: number
  /** Bytes for what is remembered of keys. */
  readonly mapBytesMax: number
  /** Slots of the map that may be taken, of 1. */
  readonly loadFactor: number
  readonly windowBytes: number
  /** What horizons are held against. */
  readonly now: Milliseconds
  readonly deleteRetentionMs: Milliseconds
  /** Of the segments that are written. */
  readonly segment: Omit<SegmentOptions, 'disk' | 'buffers' | 'log' | 'baseOffset'>
}

/** Neighbours that become one segment. */
export interface SegmentGroup {
  readonly baseOffset: number
  readonly segments: readonly PassedSegment[]
  /** Each producer of the log with its last batch. */
  readonly producers: readonly SnapshotEntry[]
}

export interface Learned {
  /** Up to here the keys are known. */
  readonly mappedUpTo: number
  /** How full the map is, of 1. */
  readonly mapUtilization: number
}

/** Counts since the beginning of the second pass, but for the bytes. */
export interface Copied {
  /** Of the segment that was written. */
  readonly bytes: number
  readonly recordsRead: number
  readonly recordsKept: number
  /** Batches that could not be opened here, and are as they were. */
  readonly unopenedBatches: number
}

/** Who carries them out; all reject with DamagedLog and DiskError. */
export interface Passes {
  /** First the keys of all dirty segments, in order, until there is no room for more. */
  learn(segment: PassedSegment): Promise<Learned>
  /** Then group by group: writes what stays of it into `.cleaned` files, and makes them durable. */
  copy(group: SegmentGroup): Promise<Copied>
}

/** Where passes take place. */
export interface PassesWorld {
  readonly disk: Disk
  readonly buffers: Buffers
  readonly random: Random
  readonly log: Logger
  readonly pace: Pace
  /** Runs after all that was waited for; throws where the passes are to end. */
  readonly check: () => void
}

export class LocalPasses implements Passes {
  readonly #options: PassesOptions
  readonly #world: PassesWorld
  #walk: SegmentWalk
  readonly #lastOffsets: LastOffsets
  readonly #keyPass: KeyPass
  readonly #transactions = new TransactionWalk()
  #filter: BatchFilter | null = null
  /** The one that is being written. */
  #cleaned: Segment | null = null

  constructor(options: PassesOptions, world: PassesWorld) {
    const { firstDirtyOffset: fromOffset, upToOffset, mapBytesMax, loadFactor } = options
    this.#options = options
    this.#world = world
    this.#walk = this.#newWalk()
    const range = { fromOffset, toOffset: upToOffset }
    this.#lastOffsets = new LastOffsets({
      random: world.random,
      ...range,
      bytesMax: mapBytesMax,
      loadFactor,
    })
    this.#keyPass = new KeyPass(this.#lastOffsets, { fromOffset, upToOffset })
  }

  async learn(segment: PassedSegment): Promise<Learned> {
    this.#keyPass.transactions.tell(segment.aborted)
    await this.#visit(segment, this.#keyPass)
    const { mappedUpTo } = this.#keyPass
    // With so little memory it would never come further.
    if (mappedUpTo <= this.#options.firstDirtyOffset) {
      const message = 'log.cleaner.dedupe.buffer.size is too small for the keys of one batch'
      throw new DamagedLog(message)
    }
    return { mappedUpTo, mapUtilization: this.#lastOffsets.utilization }
  }

  async copy({ baseOffset, segments, producers }: SegmentGroup): Promise<Copied> {
    const filter = this.#filterFor(producers)
    const cleaned = this.#create(baseOffset)
    this.#cleaned = cleaned
    try {
      for (const segment of segments) {
        this.#transactions.tell(segment.aborted)
        await this.#visit(segment, new CopyPass(cleaned, filter))
      }
      cleaned.persistIndexes()
      await cleaned.sync()
      this.#world.check()
      await cleaned.syncIndexes()
      this.#world.check()
    } finally {
      cleaned.close(true)
    }
    const { recordsRead, recordsKept, unopened } = filter
    return { bytes: cleaned.size, recordsRead, recordsKept, unopenedBatches: unopened }
  }

  async #visit({ path, size, endOffset }: PassedSegment, visitor: Visitor): Promise<void> {
    const { disk, buffers } = this.#world
    const file = new SegmentFile(disk, buffers, `${path}.log`)
    try {
      await this.#walk.walk({ path, size, endOffset, file }, visitor)
    } finally {
      file.close()
    }
  }

  #create(baseOffset: number): Segment {
    const { disk, buffers, log } = this.#world
    const options = { disk, buffers, log, baseOffset, ...this.#options.segment }
    const segment = Segment.create({ ...options, suffix: cleanedSuffix })
    disk.remove(`${segment.path}.txnindex${cleanedSuffix}`)
    return segment
  }

  #newWalk(): SegmentWalk {
    const { pace, check } = this.#world
    return new SegmentWalk({ pace, windowBytes: this.#options.windowBytes, check })
  }

  #filterFor(producers: readonly SnapshotEntry[]): BatchFilter {
    if (this.#filter !== null) return this.#filter
    const { upToOffset, now, deleteRetentionMs } = this.#options
    const { mappedUpTo, isPlain } = this.#keyPass
    // Small windows again: many batches need not be read whole any more.
    this.#walk = this.#newWalk()
    this.#filter = new BatchFilter({
      lastOffsets: this.#lastOffsets,
      mappedUpTo,
      isPlain,
      upToOffset,
      transactions: this.#transactions,
      producers,
      now,
      deleteRetentionMs,
      onAborted: (transaction) => this.#cleaned?.transactionIndex.append(transaction),
    })
    return this.#filter
  }
}
