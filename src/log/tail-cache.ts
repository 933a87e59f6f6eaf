/**
 * The newest batches of all logs, so that consumers and followers that keep up never touch the disk.
 * They are copied into one ring of memory and out of it again: nothing else ever refers to the ring, so
 * what is overwritten is nobody's loss. One ring serves all logs, and the oldest entry goes first
 * whichever log it belongs to. What a log has here is always one run up to its end.
 *
 *     ring:    [a3]......[b1][a1][a2][b2]     positions count on from lap to lap; an entry that
 *                  ^ next                     does not fit before the ring's end goes to its start
 *     log A:   [a1][a2][a3]                   each log's `Tail` lists its own, in offset order;
 *     queue:   b1 -> a1 -> a2 -> b2 -> a3     all entries form one queue in order of arrival
 */
import * as header from '../../protocol/records/batch.ts'
import type { Buffers } from '../environment/buffers.ts'
import { lastOffsetOf } from './links.ts'
import type { ReadOptions, ReadResult } from './segment-read.ts'

interface Entry {
  readonly tail: Tail
  readonly baseOffset: number
  readonly lastOffset: number
  /** Counted over all laps of the ring. */
  readonly position: number
  readonly length: number
  next: Entry | null
  /** Its log let go of it; it leaves the queue in its turn. */
  isDropped: boolean
}

/** What an entry costs beside its bytes: the objects around them. */
const entryOverheadBytes = 200

export class TailCache {
  readonly bytesMax: number
  /** Allocated when it is needed; the system gives memory to what is written only. */
  #ring: Buffer | null = null
  #nextPosition = 0
  #count = 0
  #oldest: Entry | null = null
  #newest: Entry | null = null

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get ring(): Buffer {
    this.#ring ??= Buffer.allocUnsafeSlow(this.bytesMax)
    return this.#ring
  }

  /** Copies bytes in, for which the oldest entries make room. They are fewer than `bytesMax`. */
  insert(tail: Tail, baseOffset: number, lastOffset: number, bytes: Buffer): Entry {
    const { length } = bytes
    let position = this.#nextPosition
    const leftInLap = this.bytesMax - (position % this.bytesMax)
    if (length > leftInLap) position += leftInLap
    this.#nextPosition = position + length
    this.#count++
    this.#makeRoom()
    this.ring.set(bytes, position % this.bytesMax)
    const entry = { tail, baseOffset, lastOffset, position, length, next: null, isDropped: false }
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.next = entry
    this.#newest = entry
    return entry
  }

  /** Drops entries from the oldest on until none lies where the next one goes. */
  #makeRoom(): void {
    for (let oldest = this.#oldest; oldest !== null; oldest = oldest.next) {
      const bytes = this.#nextPosition - oldest.position
      if (bytes + this.#count * entryOverheadBytes <= this.bytesMax) return
      if (!oldest.isDropped) oldest.tail.dropOldest()
      this.#count--
      this.#oldest = oldest.next
    }
    this.#newest = null
  }
}

/** The run of batches of one log. */
export class Tail {
  /** While it is not, what is added is left out. */
  isFilled = true
  readonly #cache: TailCache
  #entries: Entry[] = []
  #head = 0

  constructor(cache: TailCache) {
    this.#cache = cache
  }

  /** Everything from here to the log's end is here; the largest number where there is nothing. */
  get startOffset(): number {
    return this.#entries[this.#head]?.baseOffset ?? Number.MAX_SAFE_INTEGER
  }

  /** Copies whole batches that follow those already here. */
  add(baseOffset: number, lastOffset: number, bytes: Buffer): void {
    if (!this.isFilled) return
    if (bytes.length + entryOverheadBytes > this.#cache.bytesMax) {
      this.clear()
      return
    }
    // Making room may replace our list of entries, so it is looked up only afterwards.
    const entry = this.#cache.insert(this, baseOffset, lastOffset, bytes)
    this.#entries.push(entry)
  }

  /**
   * Whole batches from the one that holds `offset` on, as far as the limits allow, copied into a buffer
   * of `buffers`.
   */
  read(options: ReadOptions, buffers: Buffers): ReadResult {
    const { ring, bytesMax } = this.#cache
    const taking = new Taking(options)
    for (let index = this.#indexOf(options.offset); index < this.#entries.length; index++) {
      const { baseOffset, lastOffset, position, length } = this.#entries[index] as Entry
      const start = position % bytesMax
      if (taking.takeWhole(baseOffset, lastOffset, start, length)) continue
      if (!taking.takeBatches(ring, start, start + length)) break
    }
    return taking.copied(ring, buffers)
  }

  /** Forgets everything: the log was truncated or closed. */
  clear(): void {
    for (let index = this.#head; index < this.#entries.length; index++) {
      ;(this.#entries[index] as Entry).isDropped = true
    }
    this.#entries = []
    this.#head = 0
  }

  /** Forgets what ends below `offset`: less is left of it on the disk. */
  dropBelow(offset: number): void {
    for (;;) {
      const entry = this.#entries[this.#head]
      if (entry === undefined || entry.lastOffset >= offset) return
      entry.isDropped = true
      this.dropOldest()
    }
  }

  /** This log's first entry is the oldest of all, and makes room. */
  dropOldest(): void {
    this.#head++
    if (this.#head < 1024 || this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }

  /** The entry that holds `offset`. */
  #indexOf(offset: number): number {
    let low = this.#head
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle] as Entry).lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What one read takes: stretches of the ring. */
class Taking {
  readonly #options: ReadOptions
  /** Start and end of each stretch. */
  readonly #stretches: number[] = []
  #bytes = 0
  #firstOffset: number
  #nextOffset: number

  constructor(options: ReadOptions) {
    this.#options = options
    this.#firstOffset = options.offset
    this.#nextOffset = options.offset
  }

  /** Takes an entry without a look into it, if all of it is wanted and allowed. */
  takeWhole(baseOffset: number, lastOffset: number, start: number, length: number): boolean {
    const { maxBytes, upToOffset } = this.#options
    const isWhole = baseOffset >= this.#nextOffset && lastOffset < upToOffset
    if (!isWhole || this.#bytes + length > maxBytes) return false
    this.#take(start, start + length, baseOffset, lastOffset)
    return true
  }

  /** Takes the batches of [from, to) that are wanted and allowed. False: the limits are reached. */
  takeBatches(ring: Buffer, from: number, to: number): boolean {
    const { offset, maxBytes, minOneBatch, upToOffset } = this.#options
    for (let at = from; at < to; ) {
      const end = at + header.batchBytes(ring, at)
      const lastOffset = lastOffsetOf(ring, at)
      if (lastOffset >= offset) {
        const isFirst = this.#bytes === 0
        const isAllowed = this.#bytes + end - at <= maxBytes || (isFirst && minOneBatch)
        if (lastOffset >= upToOffset || !isAllowed) return false
        this.#take(at, end, header.baseOffset(ring, at), lastOffset)
      }
      at = end
    }
    return true
  }

  copied(ring: Buffer, buffers: Buffers): ReadResult {
    const bytes = this.#bytes
    const nextOffset = this.#nextOffset
    if (bytes === 0) return { chunks: [], bytes, firstOffset: nextOffset, nextOffset }
    const chunk = buffers.take(bytes)
    const stretches = this.#stretches
    let filled = 0
    for (let i = 0; i < stretches.length; i += 2) {
      filled += ring.copy(chunk, filled, stretches[i], stretches[i + 1])
    }
    return { chunks: [chunk], bytes, firstOffset: this.#firstOffset, nextOffset }
  }

  #take(start: number, end: number, baseOffset: number, lastOffset: number): void {
    if (this.#bytes === 0) this.#firstOffset = baseOffset
    this.#bytes += end - start
    this.#nextOffset = lastOffset + 1
    const stretches = this.#stretches
    // Entries of one log often lie side by side.
    if (stretches.at(-1) === start) stretches[stretches.length - 1] = end
    else stretches.push(start, end)
  }
}
