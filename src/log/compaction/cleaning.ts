/**
 * One compaction of one log. First the keys of what is dirty are learned, and the last offset of each;
 * then all segments up to there are written anew without the records that a later one has replaced, a
 * group of neighbours at a time, from the front: so what makes a record superfluous is still there, or
 * was there, when the record goes. Where the memory is full before the dirty records end, the rest is left
 * for the next time.
 *
 * Whatever happens meanwhile to the log (cut, closed, deleted, given another policy) ends it; groups that
 * were replaced by then stay so, the others are as they were.
 */
import * as header from '../../../protocol/records/batch.ts'
import { DiskError } from '../../environment/disk.ts'
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import { lastOffsetOf, maxTimestampOf } from '../links.ts'
import { isCompacted } from '../log-config.ts'
import type { Segment } from '../segment.ts'
import { BatchFilter } from './batch-filter.ts'
import type { Candidate } from './candidate.ts'
import { DamagedLog } from './damaged-log.ts'
import { KeyPass } from './key-pass.ts'
import { LastOffsets } from './last-offsets.ts'
import type { Pace } from './pace.ts'
import { groupSegments } from './segment-groups.ts'
import { SegmentWalk } from './segment-walk.ts'
import { TransactionWalk } from './transaction-walk.ts'

export interface CleaningOptions {
  readonly environment: Environment
  readonly candidate: Candidate
  readonly pace: Pace
  readonly mapBytesMax: number
  /** Slots of the map that may be taken, of 1. */
  readonly loadFactor: number
  readonly windowBytes: number
  readonly isStopped: () => boolean
}

/** What a compaction did. */
export interface Cleaned {
  /** The dirty part that is compacted now, [from, to). */
  readonly fromOffset: number
  readonly toOffset: number
  readonly segmentsBefore: number
  readonly segmentsAfter: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly recordsBefore: number
  readonly recordsAfter: number
  /** Batches that could not be opened here, and are as they were. */
  readonly unopenedBatches: number
  /** How full the map was, of 1. */
  readonly mapUtilization: number
  readonly indexMs: Milliseconds
  readonly totalMs: Milliseconds
}

/** The log is not what it was when the compaction began. */
export class CleaningEnded extends Error {
  override readonly name = 'CleaningEnded'
}

/** The size of a segment's file stays a small integer. */
const segmentBytesMax = 0x7fff_ffff

export class Cleaning {
  readonly #options: CleaningOptions
  readonly #walk: SegmentWalk
  readonly #truncations: number
  readonly #startMs: number
  /** Wall clock, when it began: what horizons are held against. */
  readonly #now: Milliseconds
  /** The segments that are being read. */
  #group: readonly Segment[] = []
  #segmentsAfter = 0
  #bytesAfter = 0

  constructor(options: CleaningOptions) {
    const { candidate, pace, windowBytes, environment } = options
    this.#options = options
    this.#truncations = candidate.log.truncations
    this.#walk = new SegmentWalk({ pace, windowBytes, check: () => this.#check() })
    this.#startMs = environment.clock.monotonic()
    this.#now = environment.clock.now()
  }

  /** Rejects with CleaningEnded, DamagedLog, DiskError. */
  async run(): Promise<Cleaned> {
    try {
      return await this.#run()
    } catch (error) {
      // A file that was taken away with its log is no failure.
      if (error instanceof DiskError) this.#check()
      const { segments } = this.#options.candidate.log
      if (this.#group.every((segment) => segments.includes(segment))) throw error
      throw new CleaningEnded('its segments were deleted', { cause: error })
    }
  }

  async #run(): Promise<Cleaned> {
    const { candidate, environment } = this.#options
    const { log, firstDirtyOffset, upToOffset } = candidate
    // What makes others superfluous must not be lost after they are gone.
    if (log.recoveryPoint < upToOffset) {
      await log.log.flush()
      this.#check()
    }
    const keys = await this.#learnKeys()
    const { mappedUpTo } = keys
    const indexMs = environment.clock.monotonic() - this.#startMs
    // From the first replacement on offsets are missing: that is to be known after a crash.
    if (log.cleanedOffset < 0) await log.markCleaned(firstDirtyOffset)
    this.#check()
    const segments = log.segments.filter(({ baseOffset }) => baseOffset < mappedUpTo)
    const transactions = new TransactionWalk()
    let index: Segment | null = null
    const filter = new BatchFilter({
      ...keys,
      upToOffset,
      transactions,
      producers: log.log.activeProducers(),
      now: this.#now,
      deleteRetentionMs: log.log.config.deleteRetentionMs,
      onAborted: (transaction) => index?.transactionIndex.append(transaction),
    })
    let bytesBefore = 0
    for (const segment of segments) bytesBefore += segment.size
    const breathe = () => this.#breathe()
    for (const group of await groupSegments(segments, log.log.config, breathe)) {
      const cleaned = log.create((group[0] as Segment).baseOffset)
      index = cleaned
      await this.#cleanGroup(group, cleaned, filter, transactions)
    }
    this.#group = []
    await log.markCleaned(mappedUpTo)
    return {
      fromOffset: firstDirtyOffset,
      toOffset: mappedUpTo,
      segmentsBefore: segments.length,
      segmentsAfter: this.#segmentsAfter,
      bytesBefore,
      bytesAfter: this.#bytesAfter,
      recordsBefore: filter.recordsRead,
      recordsAfter: filter.recordsKept,
      unopenedBatches: filter.unopened,
      mapUtilization: keys.lastOffsets.utilization,
      indexMs,
      totalMs: environment.clock.monotonic() - this.#startMs,
    }
  }

  /** Gives what is known of the keys then. */
  async #learnKeys(): Promise<{ lastOffsets: LastOffsets; mappedUpTo: number; isPlain: boolean }> {
    const { candidate, mapBytesMax, loadFactor, environment } = this.#options
    const { log, firstDirtyOffset, upToOffset } = candidate
    const lastOffsets = new LastOffsets({
      random: environment.random,
      fromOffset: firstDirtyOffset,
      toOffset: upToOffset,
      bytesMax: mapBytesMax,
      loadFactor,
    })
    const pass = new KeyPass(lastOffsets, { fromOffset: firstDirtyOffset, upToOffset })
    for (const segment of log.segments.filter(({ baseOffset }) => baseOffset < upToOffset)) {
      if (segment.endOffset <= firstDirtyOffset || pass.mappedUpTo < upToOffset) continue
      this.#check()
      const { baseOffset, endOffset } = segment
      pass.transactions.tell(log.log.abortedTransactions(baseOffset, endOffset))
      this.#group = [segment]
      await this.#walk.walk(segment, pass)
      segment.close()
    }
    const { mappedUpTo, isPlain } = pass
    // With so little memory it would never come further.
    if (mappedUpTo <= firstDirtyOffset) {
      const message = 'log.cleaner.dedupe.buffer.size is too small for the keys of one batch'
      throw new DamagedLog(message)
    }
    return { lastOffsets, mappedUpTo, isPlain }
  }

  async #cleanGroup(
    group: readonly Segment[],
    cleaned: Segment,
    filter: BatchFilter,
    transactions: TransactionWalk,
  ): Promise<void> {
    const { log } = this.#options.candidate
    this.#group = group
    try {
      for (const segment of group) {
        transactions.tell(log.log.abortedTransactions(segment.baseOffset, segment.endOffset))
        await this.#walk.walk(segment, new Copy(cleaned, filter))
        segment.close()
      }
      cleaned.persistIndexes()
      await cleaned.sync()
      this.#check()
      await cleaned.syncIndexes()
      this.#check()
    } catch (error) {
      if (log.log.isUsable) log.discard(cleaned)
      throw error
    }
    if (!log.replace(group, cleaned)) {
      log.discard(cleaned)
      throw new CleaningEnded('its segments were deleted')
    }
    this.#segmentsAfter++
    this.#bytesAfter += cleaned.size
  }

  #breathe(): Promise<void> | undefined {
    if (!this.#options.pace.isOver) return undefined
    return this.#options.pace.rest().then(() => this.#check())
  }

  /** Throws CleaningEnded where the log is not what it was. */
  #check(): void {
    const { candidate, isStopped } = this.#options
    const { log } = candidate
    const isSame = log.log.isUsable && log.truncations === this.#truncations
    if (isSame && isCompacted(log.log.config) && !isStopped()) return
    throw new CleaningEnded('the log was cut, closed, or given another policy')
  }
}

/** Writes what the filter leaves of a segment into another one. */
class Copy {
  readonly #cleaned: Segment
  readonly #filter: BatchFilter
  /** Batches that stay as they are, back to back in the window, that are not written yet. */
  #window: Buffer | null = null
  #from = 0
  #to = 0
  #writtenBytes: number

  constructor(cleaned: Segment, filter: BatchFilter) {
    this.#cleaned = cleaned
    this.#filter = filter
    this.#writtenBytes = cleaned.size
  }

  batch(bytes: Buffer, at: number): boolean {
    const left = this.#filter.filter(bytes, at)
    if (left === null) return true
    const size = left === 'whole' ? header.batchBytes(bytes, at) : left.length
    if (this.#cleaned.size + size > segmentBytesMax) {
      throw new DamagedLog(`${this.#cleaned.path}.log would be too large`)
    }
    if (left === 'whole') this.#takeWhole(bytes, at, size)
    else {
      this.#queueWhole()
      this.#cleaned.queue(left)
    }
    const maxTimestamp = left === 'whole' ? maxTimestampOf(bytes, at) : maxTimestampOf(left, 0)
    this.#cleaned.note(size, lastOffsetOf(bytes, at), maxTimestamp)
    return true
  }

  onWindowEnd(): number {
    this.#queueWhole()
    this.#cleaned.write()
    const written = this.#cleaned.size - this.#writtenBytes
    this.#writtenBytes = this.#cleaned.size
    return written
  }

  #takeWhole(bytes: Buffer, at: number, size: number): void {
    if (this.#window !== bytes || this.#to !== at) {
      this.#queueWhole()
      this.#window = bytes
      this.#from = at
    }
    this.#to = at + size
  }

  #queueWhole(): void {
    if (this.#window === null) return
    this.#cleaned.queue(this.#window.subarray(this.#from, this.#to))
    this.#window = null
  }
}
