/**
 * Which offset each key has last, in one piece of memory of fixed size. A slot is 24 bytes: 16 of the
 * key's hash, 8 of the offset plus one (zero: free). Collisions are resolved by double hashing: the
 * number of slots is prime, so that every step leads through all of them. Nothing is ever taken out.
 *
 * The hash decides alone whether two keys are the same, as in Kafka. It is HalfSipHash-2-4, twice, under
 * secrets drawn anew for each map: nobody can choose keys that meet, and by chance two of a billion keys
 * do in one of 10^20 maps.
 */
import type { Random } from '../../environment/environment.ts'

const slotWords = 6
export const slotBytes = slotWords * 4
/** What `put` gives where the key had no offset before, and where there is no room for it. */
export const noOffset = -1
export const noRoom = -2
/** Of the memory of one map; positions in it stay small integers. */
const bytesMax = 2 ** 31 - slotBytes

export interface OffsetMapOptions {
  readonly random: Random
  /** Memory: at least two slots. */
  readonly bytes: number
  /** Slots that may be taken, of 1. */
  readonly loadFactor: number
}

export class OffsetMap {
  readonly #words: Uint32Array
  readonly #slots: number
  readonly #entriesMax: number
  readonly #secret: Uint32Array
  /** The hash of the key asked for last. */
  readonly #hash = new Uint32Array(4)
  #entries = 0

  /** The system gives memory to what is written only. */
  constructor({ random, bytes, loadFactor }: OffsetMapOptions) {
    this.#slots = primeAtMost(Math.max(2, Math.floor(Math.min(bytes, bytesMax) / slotBytes)))
    this.#entriesMax = Math.max(1, Math.min(this.#slots - 1, Math.floor(this.#slots * loadFactor)))
    this.#words = new Uint32Array(this.#slots * slotWords)
    const secret = random.bytes(16)
    this.#secret = Uint32Array.from({ length: 4 }, (_, word) => secret.readUInt32LE(word * 4))
  }

  get entries(): number {
    return this.#entries
  }

  /** Of 1. */
  get utilization(): number {
    return this.#entries / this.#slots
  }

  /**
   * The key in [at, at + length) of `bytes` has this offset last. Gives the one it had before, or
   * `noOffset`; `noRoom` where the key could not be put.
   */
  put(bytes: Uint8Array, at: number, length: number, offset: number): number {
    const words = this.#words
    const found = this.#find(bytes, at, length)
    if (found < 0 && this.#entries >= this.#entriesMax) return noRoom
    const word = found < 0 ? -found - 1 : found
    let before = noOffset
    if (found < 0) {
      this.#entries++
      const hash = this.#hash
      for (let i = 0; i < hash.length; i++) words[word + i] = hash[i]!
    } else before = this.#offsetAt(word)
    const stored = offset + 1
    words[word + 4] = Math.floor(stored / 2 ** 32)
    words[word + 5] = stored >>> 0
    return before
  }

  /** The last offset of the key; `noOffset` where it is not here. */
  get(bytes: Uint8Array, at: number, length: number): number {
    const word = this.#find(bytes, at, length)
    return word < 0 ? noOffset : this.#offsetAt(word)
  }

  #offsetAt(word: number): number {
    return this.#words[word + 4]! * 2 ** 32 + this.#words[word + 5]! - 1
  }

  /** The first word of the key's slot; where it has none, that of the free one for it, as -word - 1. */
  #find(bytes: Uint8Array, at: number, length: number): number {
    const hash = this.#hash
    hashInto(hash, this.#secret, bytes, at, length)
    const words = this.#words
    const step = 1 + (hash[1]! % (this.#slots - 1))
    for (let slot = hash[0]! % this.#slots; ; slot = (slot + step) % this.#slots) {
      const word = slot * slotWords
      if (words[word + 4] === 0 && words[word + 5] === 0) return -word - 1
      if (
        words[word] === hash[0] &&
        words[word + 1] === hash[1] &&
        words[word + 2] === hash[2] &&
        words[word + 3] === hash[3]
      ) {
        return word
      }
    }
  }
}

function primeAtMost(number: number): number {
  for (let candidate = number; candidate > 2; candidate--) if (isPrime(candidate)) return candidate
  return 2
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) {
    if (number % divisor === 0) return false
  }
  return true
}

/** Two lanes of HalfSipHash with 64 bits of output each, under the halves of `secret`. */
function hashInto(
  into: Uint32Array,
  secret: Uint32Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): void {
  half(into, 0, secret[0]!, secret[1]!, bytes, at, length)
  half(into, 2, secret[2]!, secret[3]!, bytes, at, length)
}

function half(
  into: Uint32Array,
  lane: number,
  k0: number,
  k1: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): void {
  let v0 = k0 | 0
  let v1 = (k1 ^ 0xee) | 0
  let v2 = (0x6c796765 ^ k0) | 0
  let v3 = (0x74656462 ^ k1) | 0
  const whole = at + (length & ~3)
  // Words of the key, one of the rest and the length, then the end; 2 rounds for each word, 4 at the ends.
  let rounds = 2
  let word = 0
  for (let position = at; ; position += 4) {
    if (position < whole) {
      word =
        bytes[position]! |
        (bytes[position + 1]! << 8) |
        (bytes[position + 2]! << 16) |
        (bytes[position + 3]! << 24)
    } else if (position === whole) {
      word = length << 24
      const rest = length & 3
      if (rest > 2) word |= bytes[position + 2]! << 16
      if (rest > 1) word |= bytes[position + 1]! << 8
      if (rest > 0) word |= bytes[position]!
    } else {
      word = 0
      rounds = 4
      if (position === whole + 4) v2 ^= 0xee
      else v1 ^= 0xdd
    }
    v3 ^= word
    for (let round = 0; round < rounds; round++) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    v0 ^= word
    if (position === whole + 4) into[lane] = v1 ^ v3
    if (position > whole + 4) {
      into[lane + 1] = v1 ^ v3
      return
    }
  }
}
