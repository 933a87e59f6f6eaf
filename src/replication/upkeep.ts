/**
 * What is done to hosted logs again and again: their recovery points move up and are written down with
 * high watermarks and log starts, old segments go, producers that have fallen silent are forgotten. There may
 * be ten thousand logs: what comes every few seconds is done to those that have changed, and all of it in
 * slices of the event loop's turns.
 */
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'
import { allInTurns, inTurns, type Steps } from '../environment/in-turns.ts'
import type { Log } from '../log/log.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { OpenLog } from '../log/log-inventory.ts'
import type { Partition } from './partition.ts'

export interface UpkeepIntervals {
  /** replica.high.watermark.checkpoint.interval.ms. */
  readonly checkpointMs: Milliseconds
  /**
   * log.flush.offset.checkpoint.interval.ms: so long after a log was written its recovery point moves up. By
   * default the operating system has brought most of it to the device by then (Linux within 30 s). Sooner,
   * syncing it would hold up whatever else is written meanwhile, in any file, for hundreds of milliseconds.
   */
  readonly settledMs: Milliseconds
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
  /** The partition of this name, if it is hosted. */
  readonly partition: (topic: string, index: number) => Partition | undefined
  /** Those that still work. */
  readonly directories: () => readonly LogDirectory[]
}

export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #duties = new Map<() => void, Timer>()
  /** Logs that were written, and when their recovery points are to move up; those that come first, first. */
  readonly #settling = new Map<OpenLog, Milliseconds>()
  #advancing: Promise<void> | null = null
  #isStopped = false

  constructor(options: UpkeepOptions) {
    this.#options = options
  }

  start(): void {
    const { intervals } = this.#options
    this.#every(intervals.checkpointMs, intervals.checkpointMs, () => {
      this.#advancing ??= this.#advance().finally(() => {
        this.#advancing = null
      })
    })
    this.#every(intervals.firstRetentionMs, intervals.retentionMs, () => {
      void this.deleteOldSegments()
    })
    this.#every(intervals.producerExpiryMs, intervals.producerExpiryMs, () => {
      void this.#tendAll((log) => log.expireProducers())
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

  /** Retention by time and size, and the removal of what DeleteRecords passed. Resolves when all have had it. */
  deleteOldSegments(): void | Promise<void> {
    return this.#tendAll((log) => void log.deleteOldSegments())
  }

  #tendAll(work: (log: Log) => void): void | Promise<void> {
    return inTurns(this.#options.environment, this.#tendSteps(work))
  }

  *#tendSteps(work: (log: Log) => void): Steps<void> {
    for (const partition of this.#options.partitions()) {
      if (this.#isStopped) return
      partition.tend(work)
      yield
    }
  }

  /** Moves the recovery points up that are due, of one log after the other, and writes down where all are. */
  async #advance(): Promise<void> {
    const due = this.#takeDue()
    await allInTurns(this.#options.environment, due, (log) => this.#advanceOne(log), { atOnce: 1 })
    await this.checkpoint()
  }

  #takeDue(): OpenLog[] {
    const { environment, directories, intervals } = this.#options
    const nowMs = environment.clock.monotonic()
    for (const { logs } of directories()) {
      for (const log of logs.takeChanged()) {
        if (!this.#settling.has(log)) this.#settling.set(log, nowMs + intervals.settledMs)
      }
    }
    const due: OpenLog[] = []
    for (const [log, dueMs] of this.#settling) {
      if (dueMs > nowMs) break
      this.#settling.delete(log)
      due.push(log)
    }
    return due
  }

  #advanceOne(open: OpenLog): void | Promise<void> {
    const { environment, partition } = this.#options
    const hosted = partition(open.topic, open.partition)
    // Others are copies on their way, and the metadata log, which looks after itself.
    const isTended = hosted?.openedLog === open && !hosted.isOffline
    if (this.#isStopped || !isTended) return
    return open.advance().catch((err: unknown) => {
      // One that was closed meanwhile is not missed.
      if (hosted.openedLog?.isUsable !== true) return
      environment.log.error('syncing a log failed', { partition: `${hosted}`, err })
    })
  }

  #every(firstMs: Milliseconds, intervalMs: Milliseconds, duty: () => void): void {
    const run = () => {
      this.#duties.set(run, this.#options.environment.timers.after(intervalMs, run))
      duty()
    }
    this.#duties.set(run, this.#options.environment.timers.after(firstMs, run))
  }
}
