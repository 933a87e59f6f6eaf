/**
 * Walks the batches of closed segments: read in pieces off the event loop, each held against the one
 * before and its checksum, in slices that leave room for others.
 */
import * as header from '../../../protocol/records/batch.ts'
import { entryBytesMin, isSound, lastOffsetOf, linkedBytes, noLink, pass } from '../links.ts'
import type { Segment } from '../segment.ts'
import { DamagedLog } from './damaged-log.ts'
import type { Pace } from './pace.ts'

export interface WalkOptions {
  readonly pace: Pace
  /** Bytes read at a time. */
  readonly windowBytes: number
  /** Runs after all that was waited for; throws where the walk is to end. */
  readonly check: () => void
}

export interface Visitor {
  /** The batch at `at`. The buffer is used again after `onWindowEnd`. False ends the walk. */
  batch(bytes: Buffer, at: number): boolean
  /** All batches of a piece were visited, or the walk has ended. Gives the bytes written by now. */
  onWindowEnd?(): number
}

export class SegmentWalk {
  readonly #options: WalkOptions
  readonly #window: Buffer
  bytesRead = 0

  constructor(options: WalkOptions) {
    this.#options = options
    this.#window = Buffer.allocUnsafeSlow(Math.max(options.windowBytes, header.headerBytes))
  }

  /**
   * Visits the batches from `from` on, where one begins. Rejects with DamagedLog before the first byte
   * that begins none; with DiskError.
   */
  async walk(segment: Segment, from: number, visitor: Visitor): Promise<void> {
    const { pace, check } = this.#options
    const link = noLink()
    let window = this.#window
    let position = from
    while (position < segment.size) {
      const wanted = Math.min(window.length, segment.size - position)
      const bytes = await segment.readInto(window.subarray(0, wanted), position)
      this.bytesRead += bytes
      check()
      await pace.pay(bytes)
      check()
      pace.begin()
      if (bytes < wanted) throw this.#damage(segment, position)
      let at = 0
      let needed = entryBytesMin
      let isEnded = false
      while (!isEnded && bytes - at >= entryBytesMin) {
        const size = linkedBytes(window, at, bytes, link)
        if (size === 0 || position + at + size > segment.size) {
          throw this.#damage(segment, position + at)
        }
        needed = size
        if (at + size > bytes) break
        const isOfSegment = lastOffsetOf(window, at) < segment.endOffset
        if (!isOfSegment || !isSound(window, at)) throw this.#damage(segment, position + at)
        isEnded = !visitor.batch(window, at)
        pass(link, window, at)
        at += size
        if (!pace.isOver) continue
        await pace.rest()
        check()
      }
      await pace.pay(visitor.onWindowEnd?.() ?? 0)
      check()
      if (isEnded) return
      if (at === 0) {
        if (needed <= bytes) throw this.#damage(segment, position)
        window = Buffer.allocUnsafe(needed)
      }
      position += at
    }
  }

  #damage(segment: Segment, position: number): DamagedLog {
    return new DamagedLog(`${segment.path}.log is damaged at byte ${position}`)
  }
}
