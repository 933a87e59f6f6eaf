/**
 * Which records of the dirty part are the last of their keys. Keys are looked up while they are learned
 * only: beside the map there is a bit for each offset, set where the record is the last of its key so
 * far. When all keys are known, the bits say of every dirty record whether it stays, of a batch also how
 * many of its records do, without a look at a key, or into the batch.
 *
 *     offset     0  1  2  3  4        put(c, 4)       0  1  2  3  4
 *     key        a  b  a  c                           a  b  a  c  c
 *     bit        0  1  1  1  0       -------->        0  1  1  0  1
 *
 * Bits are few beside what the map takes for a key; where offsets are so many, or so far apart, that the
 * bits do not reach, the map answers for the rest, as it does for what was compacted before.
 */
import type { Random } from '../../environment/environment.ts'
import { noRoom, OffsetMap } from './offset-map.ts'

/** The part of the memory that bits may take; the map has the rest. */
const bitsShareMax = 1 / 32

export interface LastOffsetsOptions {
  readonly random: Random
  /** The dirty part, [from, to): nothing else is put. */
  readonly fromOffset: number
  readonly toOffset: number
  /** Bytes that map and bits may take together. */
  readonly bytesMax: number
  /** Slots of the map that may be taken, of 1. */
  readonly loadFactor: number
}

export class LastOffsets {
  readonly #fromOffset: number
  /** Bits are from there up to here, exclusive. */
  #bitsTo: number
  readonly #bits: Uint32Array
  readonly #map: OffsetMap

  constructor({ random, fromOffset, toOffset, bytesMax, loadFactor }: LastOffsetsOptions) {
    const offsets = toOffset - fromOffset
    const words = Math.min(Math.ceil(offsets / 32), Math.floor((bytesMax * bitsShareMax) / 4))
    this.#fromOffset = fromOffset
    this.#bits = new Uint32Array(words)
    this.#bitsTo = fromOffset + words * 32
    this.#map = new OffsetMap({ random, bytes: bytesMax - words * 4, loadFactor })
  }

  /** How much of the map's memory is used, of 1. */
  get utilization(): number {
    return this.#map.utilization
  }

  /**
   * The key in [at, at + length) of `bytes` has this offset last; offsets rise from call to call. False:
   * there is no room for it.
   */
  put(bytes: Uint8Array, at: number, length: number, offset: number): boolean {
    const before = this.#map.put(bytes, at, length, offset)
    if (before === noRoom) return false
    if (before >= 0 && before < this.#bitsTo) {
      const bit = before - this.#fromOffset
      this.#bits[bit >>> 5]! &= ~(1 << bit)
    }
    if (offset < this.#bitsTo) this.#set(offset)
    return true
  }

  /** Nothing is known of the records in [from, to]: they count as the last of their keys. */
  putUnknown(from: number, to: number): void {
    const end = Math.min(to + 1, this.#bitsTo)
    for (let offset = Math.max(from, this.#fromOffset); offset < end; offset++) this.#set(offset)
  }

  /** Offsets do not rise as they should: what bits say of one may be meant for another. */
  distrustBits(): void {
    this.#bitsTo = this.#fromOffset
  }

  /** Whether no later record has the key in [at, at + length) of `bytes`. */
  isLast(bytes: Uint8Array, at: number, length: number, offset: number): boolean {
    if (offset < this.#fromOffset || offset >= this.#bitsTo) {
      return offset >= this.#map.get(bytes, at, length)
    }
    const bit = offset - this.#fromOffset
    return (this.#bits[bit >>> 5]! & (1 << bit)) !== 0
  }

  /** How many records in [from, to] are the last of their keys; -1 where that is not known of all. */
  countLast(from: number, to: number): number {
    if (from < this.#fromOffset || to >= this.#bitsTo) return -1
    const first = from - this.#fromOffset
    const last = to - this.#fromOffset
    const firstWord = first >>> 5
    const lastWord = last >>> 5
    let count = 0
    for (let word = firstWord; word <= lastWord; word++) {
      let bits = this.#bits[word]!
      if (word === firstWord) bits &= -1 << first
      if (word === lastWord) bits &= -1 >>> (31 - (last & 31))
      count += ones(bits)
    }
    return count
  }

  #set(offset: number): void {
    const bit = offset - this.#fromOffset
    this.#bits[bit >>> 5]! |= 1 << bit
  }
}

/** Bits that are set in a word. */
function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555)
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}
