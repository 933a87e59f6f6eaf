/**
 * Walks the batches of closed segments: read in pieces off the event loop, each batch held against the
 * one before and its checksum, in slices that leave room for others. Before one piece is looked at the
 * next one is on its way, which begins where the last batch of this one does that is not all in it:
 *
 *     window 1:  [batch|batch|batch|bat]          window 2:  [batch|batch|bat]
 *
 * A batch of which the header is enough is read no further than it happens to be in the window.
 */
import * as header from '../../../protocol/records/batch.ts'
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
import type { Pace } from '../pace.ts'
import type { SegmentFile } from '../segment-file.ts'
import { DamagedLog } from './damaged-log.ts'

/** A closed segment. */
export interface WalkedSegment {
  /** Of its files, without their suffixes. */
  readonly path: string
  readonly size: number
  readonly endOffset: number
  readonly file: SegmentFile
}

export interface WalkOptions {
  readonly pace: Pace
  /** Bytes read at a time, into two buffers by turns, which grow with the batches that are met. */
  readonly windowBytes: number
  /** Runs after all that was waited for; throws where the walk is to end. */
  readonly check: () => void
}

export interface Visitor {
  /** The batch at `at`. The buffer is used again after `onWindowEnd`. False ends the walk. */
  batch(bytes: Buffer, at: number): boolean
  /** Whether the header says all there is to know of a batch: its records may be missing then. */
  isHeaderEnough?(bytes: Buffer, at: number): boolean
  /** All batches of a window were visited, or the walk has ended. Gives the bytes written by now. */
  onWindowEnd?(): number
}

/** A stretch of a segment from `position` on. */
interface Window {
  readonly bytes: Buffer
  readonly position: number
}

export class SegmentWalk {
  readonly #options: WalkOptions
  readonly #buffers: [Buffer, Buffer]
  #turn = 0

  constructor(options: WalkOptions) {
    this.#options = options
    const buffer = () => Buffer.allocUnsafeSlow(options.windowBytes)
    this.#buffers = [buffer(), buffer()]
  }

  /**
   * Visits all batches. Rejects with DamagedLog before the first byte that begins none; with DiskError.
   */
  async walk(segment: WalkedSegment, visitor: Visitor): Promise<void> {
    let reading = this.#read(segment, 0, peekBytes)
    const link = noLink()
    try {
      for (;;) {
        const window = await reading
        this.#options.check()
        if (window === null) return
        const next = this.#nextOf(segment, window, visitor)
        reading = this.#read(segment, next.position, next.bytes)
        const isEnded = await this.#visit(segment, window, link, visitor)
        const bytes = Math.min(next.position - window.position, window.bytes.length)
        await this.#pay(bytes + (visitor.onWindowEnd?.() ?? 0))
        if (isEnded) return
      }
    } catch (error) {
      // What was cut off meanwhile is no damage.
      this.#options.check()
      throw error
    } finally {
      // What is still being read would fill a window that is used again.
      await Promise.allSettled([reading])
    }
  }

  /** A window with room for so many bytes at least. Null: there is nothing more. */
  #read(segment: WalkedSegment, position: number, bytesMin: number): Promise<Window | null> {
    const left = segment.size - position
    if (left <= 0) return Promise.resolve(null)
    const turn = (this.#turn++ & 1) as 0 | 1
    if (this.#buffers[turn].length < bytesMin) {
      // Most of a window should not be a batch that is read again.
      this.#buffers[turn] = Buffer.allocUnsafeSlow(bytesMin * 2)
    }
    const buffer = this.#buffers[turn]
    const bytes = left < buffer.length ? buffer.subarray(0, left) : buffer
    const reading = segment.file.readInto(bytes, position).then((read) => {
      if (read < bytes.length) throw damage(segment, position + read)
      return { bytes, position }
    })
    // Somebody waits for it, if only when the walk ends.
    reading.catch(() => {})
    return reading
  }

  /** Where the window behind this one begins, and how many bytes it has to hold. */
  #nextOf(
    segment: WalkedSegment,
    { bytes, position }: Window,
    visitor: Visitor,
  ): { position: number; bytes: number } {
    let at = 0
    while (bytes.length - at >= peekBytes) {
      const size = plausibleBytes(bytes, at)
      // The visit comes upon it.
      if (size === 0 || position + at + size > segment.size) break
      if (at + size > bytes.length) {
        const isInView = bytes.length - at >= header.headerBytes
        if (!isInView) return { position: position + at, bytes: header.headerBytes }
        if (!isHeaderEnough(visitor, bytes, at)) return { position: position + at, bytes: size }
        return { position: position + at + size, bytes: peekBytes }
      }
      at += size
    }
    return { position: position + at, bytes: peekBytes }
  }

  /** Visits the batches of a window. Whether the walk is to end. */
  async #visit(
    segment: WalkedSegment,
    { bytes, position }: Window,
    link: Link,
    visitor: Visitor,
  ): Promise<boolean> {
    const { pace, check } = this.#options
    const isLast = position + bytes.length === segment.size
    let at = 0
    while (isLast ? at < bytes.length : bytes.length - at >= peekBytes) {
      const size = bytes.length - at < peekBytes ? 0 : linkedBytes(bytes, at, bytes.length, link)
      if (size === 0 || position + at + size > segment.size) throw damage(segment, position + at)
      const isEnough = isHeaderEnough(visitor, bytes, at)
      if (at + size > bytes.length && !isEnough) return false
      const isOfSegment = lastOffsetOf(bytes, at) < segment.endOffset
      const isGood = isOfSegment && (isEnough || isSound(bytes, at))
      if (!isGood) throw damage(segment, position + at)
      const goesOn = visitor.batch(bytes, at)
      pass(link, bytes, at)
      at += size
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

function isHeaderEnough(visitor: Visitor, bytes: Buffer, at: number): boolean {
  if (visitor.isHeaderEnough === undefined || bytes.length - at < header.headerBytes) return false
  return header.magic(bytes, at) === 2 && visitor.isHeaderEnough(bytes, at)
}

const damage = (segment: WalkedSegment, position: number): DamagedLog =>
  new DamagedLog(`${segment.path}.log is damaged at byte ${position}`)
