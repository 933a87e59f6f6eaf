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
 *
 * Where each is lies in rows of numbers: objects, a hundred thousand of them for small batches, would have
 * the collector of garbage walk the heap every second, for milliseconds.
 */
import * as header from '../../protocol/records/batch.ts'
import type { Buffers } from '../environment/buffers.ts'
import { lastOffsetOf } from './links.ts'
import { NumberRows } from './number-rows.ts'
import type { ReadOptions, ReadResult } from './segment-read.ts'

/** What an entry costs beside its bytes: its rows, when their memory has just been doubled. */
const entryOverheadBytes = 96

/** Columns of a log's entries. */
const baseOffsetAt = 0
const lastOffsetAt = 1
/** Counted over all laps of the ring. */
const positionAt = 2
const lengthAt = 3
const columns = 4

const queueStart = 16

export class TailCache {
  readonly bytesMax: number
  /** Allocated when it is needed; the system gives memory to what is written only. */
  #ring: Buffer | null = null
  #nextPosition = 0
  /** The queue: whose each entry is, and where. What goes round the end goes on at the start. */
  #tails: (Tail | undefined)[] = new Array(queueStart).fill(undefined)
  #positions = new Float64Array(queueStart)
  #first = 0
  #count = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get ring(): Buffer {
    this.#ring ??= Buffer.allocUnsafeSlow(this.bytesMax)
    return this.#ring
  }

  /** Copies bytes in, for which the oldest entries make room; gives their position. They are fewer than `bytesMax`. */
  insert(tail: Tail, bytes: Buffer): number {
    const { length } = bytes
    let position = this.#nextPosition
    const leftInLap = this.bytesMax - (position % this.bytesMax)
    if (length > leftInLap) position += leftInLap
    this.#nextPosition = position + length
    this.#makeRoom()
    this.ring.set(bytes, position % this.bytesMax)
    if (this.#count === this.#tails.length) this.#widen()
    const at = (this.#first + this.#count++) & (this.#tails.length - 1)
    this.#tails[at] = tail
    this.#positions[at] = position
    return position
  }

  /** Drops entries from the oldest on until none lies where the next one goes. */
  #makeRoom(): void {
    while (this.#count > 0) {
      const at = this.#first
      const position = this.#positions[at] as number
      const bytes = this.#nextPosition - position
      if (bytes + (this.#count + 1) * entryOverheadBytes <= this.bytesMax) return
      this.#tails[at]?.dropOldest(position)
      this.#tails[at] = undefined
      this.#first = (at + 1) & (this.#tails.length - 1)
      this.#count--
    }
  }

  #widen(): void {
    const { length } = this.#tails
    const first = this.#first
    const positions = new Float64Array(2 * length)
    positions.set(this.#positions.subarray(first))
    positions.set(this.#positions.subarray(0, first), length - first)
    const tails = [...this.#tails.slice(first), ...this.#tails.slice(0, first)]
    this.#tails = tails.concat(new Array(length).fill(undefined))
    this.#positions = positions
    this.#first = 0
  }
}

/** The run of batches of one log. */
export class Tail {
  /** While it is not, what is added is left out. */
  isFilled = true
  readonly #cache: TailCache
  readonly #entries = new NumberRows(columns)

  constructor(cache: TailCache) {
    this.#cache = cache
  }

  /** Everything from here to the log's end is here; the largest number where there is nothing. */
  get startOffset(): number {
    return this.#entries.length > 0 ? this.#entries.at(0, baseOffsetAt) : Number.MAX_SAFE_INTEGER
  }

  /** Copies whole batches that follow those already here. */
  add(baseOffset: number, lastOffset: number, bytes: Buffer): void {
    if (!this.isFilled) return
    if (bytes.length + entryOverheadBytes > this.#cache.bytesMax) {
      this.clear()
      return
    }
    // Making room may take from our entries, so the row is added only afterwards.
    const position = this.#cache.insert(this, bytes)
    const entries = this.#entries
    const row = entries.length
    entries.push()
    entries.set(row, baseOffsetAt, baseOffset)
    entries.set(row, lastOffsetAt, lastOffset)
    entries.set(row, positionAt, position)
    entries.set(row, lengthAt, bytes.length)
  }

  /**
   * Whole batches from the one that holds `offset` on, as far as the limits allow, copied into a buffer
   * of `buffers`.
   */
  read(options: ReadOptions, buffers: Buffers): ReadResult {
    const { ring, bytesMax } = this.#cache
    const entries = this.#entries
    const taking = new Taking(options)
    for (let row = this.#indexOf(options.offset); row < entries.length; row++) {
      const start = entries.at(row, positionAt) % bytesMax
      const length = entries.at(row, lengthAt)
      const baseOffset = entries.at(row, baseOffsetAt)
      if (taking.takeWhole(baseOffset, entries.at(row, lastOffsetAt), start, length)) continue
      if (!taking.takeBatches(ring, start, start + length)) break
    }
    return taking.copied(ring, buffers)
  }

  /** Forgets everything: the log was truncated or closed. */
  clear(): void {
    this.#entries.clear()
  }

  /** Forgets what ends below `offset`: less is left of it on the disk. */
  dropBelow(offset: number): void {
    const entries = this.#entries
    while (entries.length > 0 && entries.at(0, lastOffsetAt) < offset) entries.shift()
  }

  /** The entry at `position` makes room. It is this log's first, unless the log has let go of it before. */
  dropOldest(position: number): void {
    const entries = this.#entries
    if (entries.length > 0 && entries.at(0, positionAt) === position) entries.shift()
  }

  /** The entry that holds `offset`. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#entries.at(middle, lastOffsetAt) < offset) low = middle + 1
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
