/**
 * Compacts the logs of a broker, one at a time, the dirtiest first; looks again after
 * `log.cleaner.backoff.ms` where none is dirty enough. A log that cannot be compacted, because it is
 * damaged, is told of once and left alone until the next start.
 *
 * In this folder: one log's side of it (`cleanable-log`), what could be compacted (`candidate`), one
 * compaction (`cleaning`, `segment-groups`), its two passes over the batches (`passes`: `segment-walk`,
 * `transaction-walk`; `key-pass`, `last-offsets`, `offset-map`; `copy-pass`, `batch-filter`), which a thread
 * of its own carries out where the log is large (`threaded-passes`), and how fast it may go (`../pace`).
 */
import type { Environment, Milliseconds, Timer } from '../../environment/environment.ts'
import type { Thread } from '../../environment/threads.ts'
import { isOutOfFiles } from '../out-of-files.ts'
import { Pace } from '../pace.ts'
import { type Candidate, candidateOf, isDue } from './candidate.ts'
import type { CleanableLog } from './cleanable-log.ts'
import { type Cleaned, Cleaning, CleaningEnded } from './cleaning.ts'
import { LocalPasses, type Passes, type PassesOptions } from './passes.ts'
import { ThreadedPasses } from './threaded-passes.ts'

/** The broker's settings `log.cleaner.*`. */
export interface CompactionConfig {
  readonly isEnabled: boolean
  readonly backoffMs: Milliseconds
  readonly dedupeBufferSize: number
  readonly ioBufferSize: number
  readonly ioBufferLoadFactor: number
  readonly ioMaxBytesPerSecond: number
}

export interface CompactorOptions {
  readonly environment: Environment
  /** The logs that are open; those that are not compacted are passed over. */
  readonly logs: () => Iterable<CleanableLog>
  /** Read anew for each log. */
  readonly config: () => CompactionConfig
}

/** What was done since the start; counts only rise. */
export class CompactionCounters {
  cleanings = 0
  /** Ended before their end, because the log changed. */
  ended = 0
  bytesBefore = 0
  bytesAfter = 0
  recordsBefore = 0
  recordsAfter = 0
  totalMs: Milliseconds = 0
  /** Of the last one; null: there was none. */
  last: Cleaned | null = null
  /** Monotonic; 0: never. */
  lastLookMs: Milliseconds = 0
  /** Of the dirtiest log at the last look, of 1. */
  dirtyRatioMax = 0
  /** The longest by which max.compaction.lag.ms was exceeded at the last look. */
  delayMsMax: Milliseconds = 0

  add(cleaned: Cleaned): void {
    this.cleanings++
    this.bytesBefore += cleaned.bytesBefore
    this.bytesAfter += cleaned.bytesAfter
    this.recordsBefore += cleaned.recordsBefore
    this.recordsAfter += cleaned.recordsAfter
    this.totalMs += cleaned.totalMs
    this.last = cleaned
  }
}

/** Between two looks at all logs, however short the backoff. */
const backoffMsMin = 10

/** A log of fewer bytes is compacted here before a thread has even begun. */
const threadBytesMin = 16 * 1024 * 1024

/** Smaller pieces are not worth a read. */
const windowBytesMin = 1024

export class Compactor {
  readonly counters = new CompactionCounters()
  readonly #options: CompactorOptions
  readonly #pace: Pace
  /** With what cannot be compacted, and why. */
  readonly #uncleanable = new Map<CleanableLog, Error>()
  /** Of these it was said that some batches cannot be opened here. */
  readonly #toldOf = new WeakSet<CleanableLog>()
  /** While there are large logs to compact. */
  #thread: Thread | null = null
  #timer: Timer | null = null
  #running: Promise<void> | null = null
  #isStopped = false

  constructor(options: CompactorOptions) {
    this.#options = options
    this.#pace = new Pace(options.environment, () => options.config().ioMaxBytesPerSecond)
  }

  /** Logs that are open and cannot be compacted, with the reason. */
  get uncleanable(): ReadonlyMap<CleanableLog, Error> {
    for (const log of this.#uncleanable.keys()) {
      if (!log.log.isUsable) this.#uncleanable.delete(log)
    }
    return this.#uncleanable
  }

  start(): void {
    this.#later()
  }

  /** Ends what is under way; resolves when nothing more is done. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#pace.wake()
    await this.#endThread()
    await this.#running
  }

  /**
   * Compacts the dirtiest log if one is dirty enough. Whether there may be more: not where there was none, or
   * no file could be opened. Never rejects.
   */
  async compactOne(): Promise<boolean> {
    const candidate = this.#dirtiest()
    return candidate !== null && (await this.#compact(candidate))
  }

  #later(): void {
    if (this.#isStopped) return
    const { environment, config } = this.#options
    const backoffMs = Math.max(backoffMsMin, config().backoffMs)
    this.#timer = environment.timers.after(backoffMs, () => {
      this.#running = this.#round().finally(() => {
        this.#running = null
        this.#later()
      })
    })
  }

  async #round(): Promise<void> {
    const { config } = this.#options
    while (!this.#isStopped && config().isEnabled && (await this.compactOne())) {
      await this.#pace.rest()
    }
    await this.#endThread()
  }

  #dirtiest(): Candidate | null {
    const { environment, logs } = this.#options
    const { counters, uncleanable } = this
    const now = environment.clock.now()
    counters.lastLookMs = environment.clock.monotonic()
    counters.dirtyRatioMax = 0
    counters.delayMsMax = 0
    let dirtiest: Candidate | null = null
    for (const log of logs()) {
      if (uncleanable.has(log)) continue
      const candidate = this.#candidateOf(log, now)
      if (candidate === null) continue
      counters.dirtyRatioMax = Math.max(counters.dirtyRatioMax, candidate.dirtyRatio)
      counters.delayMsMax = Math.max(counters.delayMsMax, candidate.delayMs)
      if (!isDue(candidate) || candidate.dirtyRatio <= (dirtiest?.dirtyRatio ?? -1)) continue
      dirtiest = candidate
    }
    return dirtiest
  }

  #candidateOf(log: CleanableLog, now: Milliseconds): Candidate | null {
    try {
      return candidateOf(log, now, this.#options.environment.log)
    } catch (error) {
      this.#giveUp(log, error)
      return null
    }
  }

  async #compact(candidate: Candidate): Promise<boolean> {
    const { environment, config } = this.#options
    const { dedupeBufferSize, ioBufferLoadFactor, ioBufferSize } = config()
    const { log } = candidate
    const cleaning = new Cleaning({
      candidate,
      clock: environment.clock,
      pace: this.#pace,
      limits: {
        mapBytesMax: dedupeBufferSize,
        loadFactor: ioBufferLoadFactor,
        // Half is for what is written, as in Kafka.
        windowBytes: Math.max(windowBytesMin, Math.floor(ioBufferSize / 2)),
      },
      startPasses: (options, check) => this.#startPasses(candidate, options, check),
      isStopped: () => this.#isStopped,
    })
    try {
      this.#report(log, await cleaning.run())
      return true
    } catch (error) {
      // It may have been ended, or still hold what the log is done with.
      await this.#endThread()
      const isForLater = isOutOfFiles(error)
      if (isForLater || error instanceof CleaningEnded) {
        this.counters.ended++
        const fields = { partition: log.name, reason: error.message }
        environment.log.info('the compaction of a log was ended', fields)
      } else this.#giveUp(log, error)
      return !isForLater
    }
  }

  #startPasses({ log, bytes }: Candidate, options: PassesOptions, check: () => void): Passes {
    const { environment, config } = this.#options
    const { threads, buffers, random, log: logger } = environment
    const { directory } = log.log
    if (threads === undefined || bytes < threadBytesMin) {
      const { disk } = directory
      return new LocalPasses(options, {
        disk,
        buffers,
        random,
        log: logger,
        pace: this.#pace,
        check,
      })
    }
    this.#thread ??= threads.start('compaction')
    return new ThreadedPasses({
      thread: this.#thread,
      environment,
      directory,
      beginning: options,
      check,
      ioMaxBytesPerSecond: () => config().ioMaxBytesPerSecond,
    })
  }

  async #endThread(): Promise<void> {
    const thread = this.#thread
    this.#thread = null
    await thread?.end()
  }

  #report(log: CleanableLog, cleaned: Cleaned): void {
    this.counters.add(cleaned)
    const { mapUtilization, indexMs, totalMs, ...counts } = cleaned
    const { environment } = this.#options
    environment.log.info('compacted a log', {
      partition: log.name,
      ...counts,
      mapPercent: Math.round(mapUtilization * 100),
      indexMs: Math.round(indexMs),
      totalMs: Math.round(totalMs),
    })
    if (cleaned.unopenedBatches === 0 || this.#toldOf.has(log)) return
    this.#toldOf.add(log)
    const fields = { partition: log.name, batches: cleaned.unopenedBatches }
    const message = 'batches of a compacted log cannot be opened here, and stay as they are'
    environment.log.warn(message, fields)
  }

  /** Where the disk failed, the partition was fenced, or no file can be opened, that was told already. */
  #giveUp(log: CleanableLog, err: unknown): void {
    if (!log.log.isUsable || isOutOfFiles(err)) return
    this.#uncleanable.set(log, err as Error)
    const message = 'a log cannot be compacted, and is left as it is until the next start'
    this.#options.environment.log.error(message, { partition: log.name, err })
  }
}
