/**
 * Moves the recovery point of a log up while it runs. After an unclean end all above it is read, and a roll,
 * which moves it as well, may be a gigabyte away. So now and then, where much was written since, the active
 * segment is synced off the event loop, with what a start wants to know of it: its indexes, and a snapshot
 * of the producers as they are there. By then the operating system has written most of it by itself.
 */
import type { LogConfig } from './log-config.ts'
import type { LogEnd } from './log-end.ts'
import type { ProducerSnapshots } from './producer-snapshot.ts'
import type { ProducerStates } from './producer-states.ts'
import type { Segment } from './segment.ts'
import type { Segments } from './segments.ts'

/** Less is read again as fast. */
const bytesMin = 16 * 1024 * 1024
/** Of a segment that is small, so much of it. */
const segmentShareMin = 1 / 4

export interface RecoveryPointOptions {
  readonly config: () => LogConfig
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  readonly producers: ProducerStates
  readonly end: LogEnd
  readonly isClosed: () => boolean
}

export class RecoveryPoint {
  readonly #options: RecoveryPointOptions
  #segment: Segment | null = null
  /** Up to where the segment was synced. */
  #size = 0

  constructor(options: RecoveryPointOptions) {
    this.#options = options
  }

  /** Moves it up if much was written since the last time. Rejects with DiskError. */
  async advance(): Promise<void> {
    const { segments, snapshots, producers, end, isClosed } = this.#options
    const { active } = segments
    if (isClosed() || !this.#isMuch(active)) return
    this.#segment = active
    this.#size = active.size
    end.write()
    const offset = end.nextOffset
    active.persistIndexes()
    segments.markNames()
    // Of transactions the segment is read from its beginning, whatever snapshot there is.
    const isSnapshotOfUse = producers.areWithoutTransactions
    if (isSnapshotOfUse) snapshots.take(offset, producers.entries())
    await end.sync()
    // By now the files may be those of another topic of the same name.
    if (isClosed()) return
    await Promise.all([active.syncIndexes(), active.transactionIndex.sync()])
    // Those taken before within the segment tell less.
    if (isClosed() || !isSnapshotOfUse) return
    snapshots.keepOnly((one) => one <= active.baseOffset || one >= offset)
  }

  #isMuch(active: Segment): boolean {
    const { segmentBytes } = this.#options.config()
    const size = this.#segment === active ? Math.min(this.#size, active.size) : 0
    return active.size - size >= Math.min(bytesMin, segmentBytes * segmentShareMin)
  }
}
