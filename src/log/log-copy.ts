/**
 * Copies a log that is being written to into one in another directory, which takes its place when it has
 * everything. It reads as a follower would, a slice of the event loop's turn at a time; where the two
 * went apart, since a crash took from one of them what the other kept, the copy is cut by leader epochs
 * (KIP-101). The last of it is copied within the turn in which the places are exchanged.
 *
 * The log is not compacted meanwhile.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Environment } from '../environment/environment.ts'
import type { Log } from './log.ts'
import type { Pace } from './pace.ts'
import type { ReadResult } from './segment-read.ts'

/** Checked and written within a slice, about a millisecond's work; a segment is never larger for it. */
const chunkBytesMax = 1024 * 1024

const anyEpoch = 0x7fff_ffff

export interface LogCopyOptions {
  readonly environment: Environment
  readonly current: Log
  readonly next: Log
  readonly pace: Pace
  /** Throws where the copy is to end. */
  readonly check: () => void
}

export class LogCopy {
  readonly #options: LogCopyOptions
  readonly #current: Log
  readonly #next: Log
  #truncations: number

  constructor(options: LogCopyOptions) {
    this.#options = options
    this.#current = options.current
    this.#next = options.next
    this.#truncations = this.#current.cleanable.truncations
    this.#current.cleanable.isPaused = true
    this.#align()
  }

  /** Makes it known, after a crash too, that offsets may be missing. Rejects with DiskError. */
  async begin(): Promise<void> {
    const { cleanable } = this.#next
    if (this.#current.cleanedOffset >= 0 && cleanable.cleanedOffset < 0) {
      await cleanable.markCleaned(this.#next.logStartOffset)
    }
  }

  /**
   * Copies what there is. Rejects with KafkaError (CORRUPT_MESSAGE where the log is damaged), DiskError and
   * what `check` throws.
   */
  async catchUp(): Promise<void> {
    const { pace } = this.#options
    pace.begin()
    while (!this.#isWhole) {
      await pace.pay(await this.#copySome())
      this.#follow()
      if (pace.isOver) await pace.rest()
    }
  }

  /** As `catchUp`; `take` runs in the turn in which the copy is whole. */
  async complete(take: () => void): Promise<void> {
    for (;;) {
      await this.catchUp()
      await this.#next.flush()
      this.#options.check()
      const rest = this.#copyRest()
      if (rest === null) break
      await rest
    }
    take()
  }

  get #isWhole(): boolean {
    const { logEndOffset, logStartOffset, cleanable } = this.#current
    const { nextOffset } = this.#next
    const isSame = cleanable.truncations === this.#truncations
    return isSame && nextOffset === logEndOffset && nextOffset >= logStartOffset
  }

  /** Copies what is in memory, which is all but for a moment; null: the copy is whole. */
  #copyRest(): Promise<number> | null {
    while (!this.#isWhole) {
      const copied = this.#copySome()
      if (typeof copied !== 'number') return copied
    }
    return null
  }

  /** Gives the bytes that were copied. */
  #copySome(): number | Promise<number> {
    this.#options.check()
    const { logStartOffset, logEndOffset: upToOffset, cleanable, config } = this.#current
    if (cleanable.truncations !== this.#truncations) this.#align()
    if (this.#next.nextOffset < logStartOffset) {
      this.#next.truncateFullyAndStartAt(logStartOffset)
    }
    const offset = this.#next.nextOffset
    if (offset >= upToOffset) return 0
    const maxBytes = Math.min(chunkBytesMax, config.segmentBytes)
    const read = this.#current.reader.read({ offset, maxBytes, minOneBatch: true, upToOffset })
    if (!(read instanceof Promise)) return this.#append(read, offset, upToOffset)
    return read.then(
      (found) => this.#append(found, offset, upToOffset),
      (error: unknown) => {
        // Retention took the segment from under the read.
        const isGone = error instanceof KafkaError && error.error === errors.OFFSET_OUT_OF_RANGE
        if (isGone && offset < this.#current.logStartOffset) return 0
        throw error
      },
    )
  }

  #append({ chunks, bytes }: ReadResult, offset: number, upToOffset: number): number {
    this.#options.check()
    const isCut = this.#current.cleanable.truncations !== this.#truncations
    if (isCut || this.#next.nextOffset !== offset) return 0
    // What was there is compacted away, to the end.
    if (bytes === 0) this.#next.skipTo(upToOffset)
    const { buffers } = this.#options.environment
    for (const chunk of chunks) {
      const { written } = this.#next.appendAsFollower(chunk, anyEpoch)
      // Where it fails, the next append or sync does, too.
      written.then(
        () => buffers.release(chunk),
        () => {},
      )
    }
    return bytes
  }

  /** The copy knows what is committed, and where the log begins. */
  #follow(): void {
    const { highWatermark, logStartOffset } = this.#current
    const reached = this.#next.updateHighWatermark(highWatermark)
    if (logStartOffset <= reached) this.#next.deleteRecords(logStartOffset)
  }

  /** Cuts the copy at the end of what the two have in common; one that begins too late begins anew. */
  #align(): void {
    const { logStartOffset, cleanable } = this.#current
    this.#truncations = cleanable.truncations
    if (this.#next.logStartOffset > logStartOffset) {
      this.#next.truncateFullyAndStartAt(logStartOffset)
    }
    const end = commonEnd(this.#current, this.#next)
    if (end < this.#next.nextOffset) this.#next.truncateTo(end)
  }
}

/** The offset up to which both hold the same; where no epochs are known, the lower end. */
function commonEnd(one: Log, other: Log): number {
  let epoch = Math.min(one.latestLeaderEpoch, other.latestLeaderEpoch)
  while (epoch >= 0) {
    const ends = [one.endOffsetFor(epoch), other.endOffsetFor(epoch)] as const
    const [first, second] = ends
    if (first.leaderEpoch === second.leaderEpoch) return Math.min(first.endOffset, second.endOffset)
    epoch = Math.min(first.leaderEpoch, second.leaderEpoch)
  }
  return Math.min(one.logEndOffset, other.logEndOffset)
}
