/**
 * What is done to hosted logs again and again: their recovery points move up and are written down with
 * high watermarks and log starts, old segments go, producers that have fallen silent are forgotten.
 */
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { Partition } from './partition.ts'

export interface UpkeepIntervals {
  /** replica.high.watermark.checkpoint.interval.ms. */
  readonly checkpointMs: Milliseconds
  /** log.initial.task.delay.ms: before the first look at retention. */
  readonly firstRetentionMs: Milliseconds
  /** log.retention.check.interval.ms. */
  readonly retentionMs: Milliseconds
  /** producer.id.expiration.check.interval.ms. */
  readonly producerExpiryMs: Milliseconds
}

export interface UpkeepOptions {
  readonly environment: Environment
  readonly intervals: UpkeepIntervals
  readonly partitions: () => Iterable<Partition>
  /** Those that still work. */
  readonly directories: () => readonly LogDirectory[]
}

export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #duties = new Map<() => void, Timer>()
  #advancing: Promise<void> | null = null
  #isStopped = false

  constructor(options: UpkeepOptions) {
    this.#options = options
  }

  start(): void {
    const { intervals, partitions } = this.#options
    this.#every(intervals.checkpointMs, intervals.checkpointMs, () => {
      this.#advancing ??= this.#advance().finally(() => {
        this.#advancing = null
      })
    })
    this.#every(intervals.firstRetentionMs, intervals.retentionMs, () => this.deleteOldSegments())
    this.#every(intervals.producerExpiryMs, intervals.producerExpiryMs, () => {
      for (const partition of partitions()) partition.tend((log) => log.expireProducers())
    })
  }

  /** Resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const timer of this.#duties.values()) timer.cancel()
    this.#duties.clear()
    await this.#advancing
  }

  /**
   * Writes recovery points, log starts and high watermarks, as far as they have changed, off the
   * event loop. Never rejects.
   */
  async checkpoint(): Promise<void> {
    const writing = this.#options
      .directories()
      .map((directory) =>
        directory.logs
          .checkpoint()
          .catch((error: unknown) => directory.logs.reportCheckpointError(error)),
      )
    await Promise.all(writing)
  }

  /** Retention by time and size, and the removal of what DeleteRecords passed. */
  deleteOldSegments(): void {
    const { partitions } = this.#options
    for (const partition of partitions()) partition.tend((log) => log.deleteOldSegments())
  }

  /** Moves the recovery points up, of one log after the other, and writes down where they are. */
  async #advance(): Promise<void> {
    const { environment, partitions } = this.#options
    for (const partition of partitions()) {
      const log = partition.openedLog
      if (this.#isStopped || log === null || partition.isOffline) continue
      await log.advance().catch((err: unknown) => {
        // One that was closed meanwhile is not missed.
        if (!log.isUsable) return
        environment.log.error('syncing a log failed', { partition: `${partition}`, err })
      })
    }
    await this.checkpoint()
  }

  #every(firstMs: Milliseconds, intervalMs: Milliseconds, duty: () => void): void {
    const run = () => {
      this.#duties.set(run, this.#options.environment.timers.after(intervalMs, run))
      duty()
    }
    this.#duties.set(run, this.#options.environment.timers.after(firstMs, run))
  }
}
