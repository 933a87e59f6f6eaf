/**
 * Walks the batches of closed segments: read in pieces off the event loop, each batch held against the
 * one before and its checksum, in slices that leave room for others. While one piece is looked at the
 * next one is read; a batch that reaches into it is moved to before its beginning:
 *
 *     window 1:  [      |batch batch bat]        window 2:  [   bat|ch batch batch b]
 */
import {
  isSound,
  type Link,
  lastOffsetOf,
  linkedBytes,
  noLink,
  pass,
  peekBytes,
  plausibleBytes,
} from '../links.ts'
import type { Segment } from '../segment.ts'
import { DamagedLog } from './damaged-log.ts'
import type { Pace } from './pace.ts'

export interface WalkOptions {
  readonly pace: Pace
  /** Bytes read at a time; there are two windows of so many, and a quarter of that before each. */
  readonly windowBytes: number
  /** Runs after all that was waited for; throws where the walk is to end. */
  readonly check: () => void
}

export interface Visitor {
  /** The batch at `at`. The buffer is used again after `onWindowEnd`. False ends the walk. */
  batch(bytes: Buffer, at: number): boolean
  /** All batches of a window were visited, or the walk has ended. Gives the bytes written by now. */
  onWindowEnd?(): number
}

/** A stretch of a segment, in [from, to) of a buffer. */
interface Window {
  readonly bytes: Buffer
  from: number
  readonly to: number
  /** Of `from`, in the segment. */
  position: number
}

export class SegmentWalk {
  readonly #options: WalkOptions
  /** Bytes before what is read. */
  readonly #roomBytes: number
  readonly #buffers: readonly [Buffer, Buffer]
  #turn = 0

  constructor(options: WalkOptions) {
    const { windowBytes } = options
    this.#options = options
    this.#roomBytes = windowBytes >> 2
    const buffer = () => Buffer.allocUnsafeSlow(this.#roomBytes + windowBytes)
    this.#buffers = [buffer(), buffer()]
  }

  /**
   * Visits all batches. Rejects with DamagedLog before the first byte that begins none; with DiskError.
   */
  async walk(segment: Segment, visitor: Visitor): Promise<void> {
    let reading = this.#read(segment, 0)
    const link = noLink()
    let rest: Window | null = null
    try {
      for (;;) {
        let window = await reading
        this.#options.check()
        if (window === null) break
        const end = window.position + window.to - window.from
        const bytes = window.to - window.from
        if (rest !== null) window = this.#joined(rest, window)
        reading = this.#read(segment, end)
        await this.#pay(bytes)
        const isEnded = await this.#visit(segment, window, link, visitor)
        await this.#pay(visitor.onWindowEnd?.() ?? 0)
        if (isEnded) return
        rest = window.from < window.to ? window : null
      }
      if (rest !== null) throw damage(segment, rest.position)
    } catch (error) {
      // What was cut off meanwhile is no damage.
      this.#options.check()
      throw error
    } finally {
      // What is still being read would fill a window that is used again.
      await Promise.allSettled([reading])
    }
  }

  /** Null: there is nothing more. */
  #read(segment: Segment, position: number): Promise<Window | null> {
    const bytes = this.#buffers[this.#turn++ & 1] as Buffer
    const from = this.#roomBytes
    const wanted = Math.min(bytes.length - from, segment.size - position)
    if (wanted <= 0) return Promise.resolve(null)
    const reading = segment.readInto(bytes.subarray(from, from + wanted), position).then((read) => {
      if (read < wanted) throw damage(segment, position + read)
      return { bytes, from, to: from + wanted, position }
    })
    // Somebody waits for it, if only when the walk ends.
    reading.catch(() => {})
    return reading
  }

  /** A window that begins with the rest of the one before. */
  #joined(rest: Window, window: Window): Window {
    const bytes = rest.to - rest.from
    const from = window.from - bytes
    const { position } = rest
    if (from >= 0) {
      rest.bytes.copy(window.bytes, from, rest.from, rest.to)
      return { bytes: window.bytes, from, to: window.to, position }
    }
    // A large batch gets a buffer of its own, for all that follows of it.
    const isOwn = !this.#buffers.includes(rest.bytes)
    let large = rest
    if (!isOwn || rest.to + window.to - window.from > rest.bytes.length) {
      const needed = bytes >= peekBytes ? plausibleBytes(rest.bytes, rest.from) : 0
      const room = window.bytes.length
      large = {
        bytes: Buffer.allocUnsafe(Math.max(needed, bytes) + room),
        from: 0,
        to: bytes,
        position,
      }
      rest.bytes.copy(large.bytes, 0, rest.from, rest.to)
    }
    const copied = window.bytes.copy(large.bytes, large.to, window.from, window.to)
    return { bytes: large.bytes, from: large.from, to: large.to + copied, position }
  }

  /** Visits the whole batches; the window begins behind them then. Whether the walk is to end. */
  async #visit(segment: Segment, window: Window, link: Link, visitor: Visitor): Promise<boolean> {
    const { pace, check } = this.#options
    const { bytes, to } = window
    while (to - window.from >= peekBytes) {
      const at = window.from
      const size = linkedBytes(bytes, at, to, link)
      if (size === 0 || window.position + size > segment.size)
        throw damage(segment, window.position)
      if (at + size > to) return false
      const isOfSegment = lastOffsetOf(bytes, at) < segment.endOffset
      if (!isOfSegment || !isSound(bytes, at)) throw damage(segment, window.position)
      const goesOn = visitor.batch(bytes, at)
      pass(link, bytes, at)
      window.from += size
      window.position += size
      if (!goesOn) return true
      if (!pace.isOver) continue
      await pace.rest()
      check()
    }
    return false
  }

  async #pay(bytes: number): Promise<void> {
    const { pace, check } = this.#options
    await pace.pay(bytes)
    check()
    pace.begin()
  }
}

const damage = (segment: Segment, position: number): DamagedLog =>
  new DamagedLog(`${segment.path}.log is damaged at byte ${position}`)
