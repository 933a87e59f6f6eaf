/**
 * One compaction of one log. First the keys of what is dirty are learned, and the last offset of each;
 * then all segments up to there are written anew without the records that a later one has replaced, a
 * group of neighbours at a time, from the front: so what makes a record superfluous is still there, or
 * was there, when the record goes. Where the memory is full before the dirty records end, the rest is left
 * for the next time.
 *
 * Whatever happens meanwhile to the log (cut, closed, moved, deleted, given another policy) ends it; groups that
 * were replaced by then stay so, the others are as they were.
 */
import { DiskError } from '../../environment/disk.ts'
import type { Clock, Milliseconds } from '../../environment/environment.ts'
import { isCompacted } from '../log-config.ts'
import type { Pace } from '../pace.ts'
import type { Segment } from '../segment.ts'
import type { Candidate } from './candidate.ts'
import type { Copied, Learned, PassedSegment, Passes, PassesOptions } from './passes.ts'
import { groupSegments } from './segment-groups.ts'

export interface CleaningOptions {
  readonly candidate: Candidate
  readonly clock: Clock
  readonly pace: Pace
  readonly limits: Pick<PassesOptions, 'mapBytesMax' | 'loadFactor' | 'windowBytes'>
  /** Who carries the passes out, calling `check` meanwhile, which throws where they are to end. */
  readonly startPasses: (options: PassesOptions, check: () => void) => Passes
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

export class Cleaning {
  readonly #options: CleaningOptions
  readonly #passes: Passes
  readonly #truncations: number
  readonly #startMs: number
  /** The segments that are being read. */
  #group: readonly Segment[] = []

  constructor(options: CleaningOptions) {
    const { candidate, clock, limits, startPasses } = options
    const { log, firstDirtyOffset, upToOffset } = candidate
    this.#options = options
    this.#truncations = log.truncations
    this.#startMs = clock.monotonic()
    const { deleteRetentionMs } = log.log.config
    const rules = { firstDirtyOffset, upToOffset, now: clock.now(), deleteRetentionMs }
    const { segmentOptions } = log
    this.#passes = startPasses({ ...rules, ...limits, segment: segmentOptions }, () =>
      this.#check(),
    )
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
    const { candidate, clock } = this.#options
    const { log, firstDirtyOffset, upToOffset } = candidate
    // What makes others superfluous must not be lost after they are gone.
    if (log.recoveryPoint < upToOffset) {
      await log.log.flush()
      this.#check()
    }
    const { mappedUpTo, mapUtilization } = await this.#learn()
    const indexMs = clock.monotonic() - this.#startMs
    // From the first replacement on offsets are missing: that is to be known after a crash.
    if (log.cleanedOffset < 0) await log.markCleaned(firstDirtyOffset)
    this.#check()
    const segments = log.segments.filter(({ baseOffset }) => baseOffset < mappedUpTo)
    const bytesBefore = segments.reduce((bytes, { size }) => bytes + size, 0)
    const copied = await this.#copy(segments)
    await log.markCleaned(mappedUpTo)
    const last = copied.at(-1)
    return {
      fromOffset: firstDirtyOffset,
      toOffset: mappedUpTo,
      segmentsBefore: segments.length,
      segmentsAfter: copied.length,
      bytesBefore,
      bytesAfter: copied.reduce((sum, { bytes }) => sum + bytes, 0),
      recordsBefore: last?.recordsRead ?? 0,
      recordsAfter: last?.recordsKept ?? 0,
      unopenedBatches: last?.unopenedBatches ?? 0,
      mapUtilization,
      indexMs,
      totalMs: clock.monotonic() - this.#startMs,
    }
  }

  async #learn(): Promise<Learned> {
    const { log, firstDirtyOffset, upToOffset } = this.#options.candidate
    let learned: Learned = { mappedUpTo: upToOffset, mapUtilization: 0 }
    for (const segment of log.segments.filter(({ baseOffset }) => baseOffset < upToOffset)) {
      if (segment.endOffset <= firstDirtyOffset || learned.mappedUpTo < upToOffset) continue
      this.#check()
      this.#group = [segment]
      learned = await this.#passes.learn(this.#passed(segment))
    }
    return learned
  }

  async #copy(segments: readonly Segment[]): Promise<Copied[]> {
    const { log } = this.#options.candidate
    const producers = log.log.activeProducers()
    const copied: Copied[] = []
    const groups = await groupSegments(segments, log.log.config, () => this.#breathe())
    for (const group of groups) {
      this.#group = group
      const { baseOffset } = group[0] as Segment
      const passed = group.map((segment) => this.#passed(segment))
      try {
        copied.push(await this.#passes.copy({ baseOffset, segments: passed, producers }))
        this.#check()
      } catch (error) {
        if (log.log.isUsable) log.discard(baseOffset)
        throw error
      }
      if (log.replace(group)) continue
      log.discard(baseOffset)
      throw new CleaningEnded('its segments were deleted')
    }
    this.#group = []
    return copied
  }

  #passed({ path, size, baseOffset, endOffset }: Segment): PassedSegment {
    const { log } = this.#options.candidate.log
    return { path, size, endOffset, aborted: log.reader.abortedTransactions(baseOffset, endOffset) }
  }

  #breathe(): Promise<void> | undefined {
    if (!this.#options.pace.isOver) return undefined
    return this.#options.pace.rest().then(() => this.#check())
  }

  /** Throws CleaningEnded where the log is not what it was. */
  #check(): void {
    const { candidate, isStopped } = this.#options
    const { log } = candidate
    const isSame = log.log.isUsable && !log.isPaused && log.truncations === this.#truncations
    if (isSame && isCompacted(log.log.config) && !isStopped()) return
    throw new CleaningEnded('the log was cut, closed, moved, or given another policy')
  }
}
