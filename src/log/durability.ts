/**
 * When a log is synced: before an acknowledgement where flush.messages or flush.ms ask for it,
 * after flush.ms at the latest, after a roll, and on demand. Snapshots of producers go along, since
 * retention will leave nothing else of them.
 */
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'
import { type LogConfig, unlimited } from './log-config.ts'
import type { ProducerSnapshots } from './producer-snapshot.ts'
import type { Segments } from './segments.ts'

/**
 * Whether so many records that were found after an unclean end, and may be in the page cache only, are
 * to be made durable before anybody reads them or is told that they are there.
 */
export const mustSyncAtStart = (config: LogConfig, records: number): boolean =>
  records >= config.flushMessages || config.flushMs < unlimited

export interface DurabilityOptions {
  readonly environment: Environment
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  /** The offset after what was handed to the operating system. */
  readonly writtenOffset: () => number
  /** The partition, for messages. */
  readonly name: string
  /** Runs after each sync: the recovery point may have moved. */
  readonly onSynced: () => void
}

export class Durability {
  readonly #options: DurabilityOptions
  #lastSyncMs: Milliseconds
  #timer: Timer | null = null
  #isStopped = false

  constructor(options: DurabilityOptions) {
    this.#options = options
    this.#lastSyncMs = options.environment.clock.monotonic()
  }

  /** Whether what was written must be synced before it is acknowledged. */
  isDue({ flushMessages, flushMs }: LogConfig): boolean {
    const { segments, writtenOffset, environment } = this.#options
    if (writtenOffset() - segments.recoveryPoint >= flushMessages) return true
    return environment.clock.monotonic() - this.#lastSyncMs >= flushMs
  }

  /** Makes durable all that was written before. Rejects with DiskError. */
  async sync(): Promise<void> {
    const { segments, snapshots, writtenOffset, environment } = this.#options
    const synced = segments.sync(writtenOffset)
    await (snapshots.hasUnsynced ? Promise.all([synced, snapshots.sync()]) : synced)
    this.#lastSyncMs = environment.clock.monotonic()
    this.#options.onSynced()
  }

  /**
   * As `sync`, for which nobody waits: where it fails the directory is fenced, which all notice.
   */
  syncInBackground(): void {
    const { environment, name } = this.#options
    this.sync().catch((error: unknown) => {
      if (this.#isStopped) return
      environment.log.error('syncing a log failed', { partition: name, err: error })
    })
  }

  /** Something was written: with flush.ms set it is synced by then. */
  onWritten({ flushMs }: LogConfig): void {
    if (this.#timer !== null || flushMs >= unlimited) return
    this.#timer = this.#options.environment.timers.after(flushMs, () => {
      this.#timer = null
      this.syncInBackground()
    })
  }

  /** The log is closed or gone: no sync begins by itself any more, and none that fails matters. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }
}
