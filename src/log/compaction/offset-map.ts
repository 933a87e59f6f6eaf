/**
 * Which offset each key has last, in memory of a fixed limit. A slot is 24 bytes: 16 of the key's hash,
 * 8 of the offset plus one (zero: free). Collisions are resolved by double hashing: the number of slots
 * is prime, so that every step leads through all of them. Nothing is ever taken out.
 *
 * There are mostly far fewer keys than records, and a slot that is far from all others costs a miss of
 * the processor's caches, about as much as all else. So the map begins small; when it is full, its slots
 * move into four times as many. Old and new ones are within the limit together: those that fill a
 * sixteenth of it, or less, move into all that is left.
 *
 * The hash decides alone whether two keys are the same, as in Kafka. It is HalfSipHash-2-4, twice, under
 * secrets drawn anew for each map: nobody can choose keys that meet, and by chance two of a billion keys
 * do in one of 10^20 maps.
 */
import type { Random } from '../../environment/environment.ts'

const slotWords = 6
const slotBytes = slotWords * 4
/** What `put` gives where the key had no offset before, and where there is no room for it. */
const noOffset = -1
export const noRoom = -2
/** Of the memory of one map; positions in it stay small integers. */
const bytesMax = 2 ** 31 - slotBytes

/** Rounds of the hash for a word of the key, and at the ends. */
const wordRounds = 2
const endRounds = 4

export interface OffsetMapOptions {
  readonly random: Random
  /** Memory: at least two slots. */
  readonly bytes: number
  /** Slots that may be taken, of 1. */
  readonly loadFactor: number
}

/** Slots to begin with, where there is room for far more. */
const slotsMin = 16 * 1024

export class OffsetMap {
  readonly #slotsMax: number
  readonly #loadFactor: number
  readonly #secret: Uint32Array
  /** The hash of the key asked for last. */
  readonly #hash = new Uint32Array(4)
  #words: Uint32Array
  #slots: number
  /** Of the slots there are now. */
  #entriesMax: number
  #entries = 0

  constructor({ random, bytes, loadFactor }: OffsetMapOptions) {
    this.#slotsMax = Math.max(2, Math.floor(Math.min(bytes, bytesMax) / slotBytes))
    this.#loadFactor = loadFactor
    const secret = random.bytes(16)
    this.#secret = Uint32Array.from({ length: 4 }, (_, word) => secret.readUInt32LE(word * 4))
    this.#slots = primeAtMost(this.#slotsMax < slotsMin * 16 ? this.#slotsMax : slotsMin)
    this.#words = new Uint32Array(this.#slots * slotWords)
    this.#entriesMax = this.#entriesMaxOf(this.#slots)
  }

  get entries(): number {
    return this.#entries
  }

  /** How much of the limit is used, of 1. */
  get utilization(): number {
    return this.#entries / this.#slotsMax
  }

  /**
   * The key in [at, at + length) of `bytes` has this offset last. Gives the one it had before, or
   * `noOffset`; `noRoom` where the key could not be put.
   */
  put(bytes: Uint8Array, at: number, length: number, offset: number): number {
    let found = this.#find(bytes, at, length)
    if (found < 0 && this.#entries >= this.#entriesMax) {
      if (!this.#grow()) return noRoom
      found = this.#seek()
    }
    const words = this.#words
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
    hashInto(this.#hash, this.#secret, bytes, at, length)
    return this.#seek()
  }

  /** As `#find`, of the key whose hash is known. */
  #seek(): number {
    const hash = this.#hash
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

  #entriesMaxOf(slots: number): number {
    return Math.max(1, Math.min(slots - 1, Math.floor(slots * this.#loadFactor)))
  }

  /** False: there is no memory for more slots. */
  #grow(): boolean {
    const slots = this.#slots
    const words = this.#words
    if (slots * 2 > this.#slotsMax) return false
    const isFar = slots * 4 <= this.#slotsMax / 16
    const grown = primeAtMost(isFar ? slots * 4 : this.#slotsMax - slots)
    this.#words = new Uint32Array(grown * slotWords)
    this.#slots = grown
    this.#entriesMax = this.#entriesMaxOf(grown)
    const asked = this.#hash.slice()
    for (let word = 0; word < words.length; word += slotWords) {
      if (words[word + 4] === 0 && words[word + 5] === 0) continue
      this.#hash.set(words.subarray(word, word + 4))
      this.#words.set(words.subarray(word, word + slotWords), -this.#seek() - 1)
    }
    this.#hash.set(asked)
    return true
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

/** Two lanes of HalfSipHash with 64 bits of output each, under the halves of `secret`, in step. */
function hashInto(
  into: Uint32Array,
  secret: Uint32Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): void {
  let a0 = secret[0]! | 0
  let a1 = (secret[1]! ^ 0xee) | 0
  let a2 = 0x6c796765 ^ a0
  let a3 = (0x74656462 ^ secret[1]!) | 0
  let b0 = secret[2]! | 0
  let b1 = (secret[3]! ^ 0xee) | 0
  let b2 = 0x6c796765 ^ b0
  let b3 = (0x74656462 ^ secret[3]!) | 0
  const whole = at + (length & ~3)
  // Words of the key, one of the rest and the length, then the ends of both halves of the output.
  for (let position = at; position <= whole + 8; position += 4) {
    const word = position <= whole ? wordAt(bytes, position, whole, length) : 0
    if (position === whole + 4) {
      a2 ^= 0xee
      b2 ^= 0xee
    } else if (position === whole + 8) {
      a1 ^= 0xdd
      b1 ^= 0xdd
    }
    a3 ^= word
    b3 ^= word
    for (let round = position > whole ? endRounds : wordRounds; round > 0; round--) {
      a0 = (a0 + a1) | 0
      b0 = (b0 + b1) | 0
      a1 = ((a1 << 5) | (a1 >>> 27)) ^ a0
      b1 = ((b1 << 5) | (b1 >>> 27)) ^ b0
      a0 = (a0 << 16) | (a0 >>> 16)
      b0 = (b0 << 16) | (b0 >>> 16)
      a2 = (a2 + a3) | 0
      b2 = (b2 + b3) | 0
      a3 = ((a3 << 8) | (a3 >>> 24)) ^ a2
      b3 = ((b3 << 8) | (b3 >>> 24)) ^ b2
      a0 = (a0 + a3) | 0
      b0 = (b0 + b3) | 0
      a3 = ((a3 << 7) | (a3 >>> 25)) ^ a0
      b3 = ((b3 << 7) | (b3 >>> 25)) ^ b0
      a2 = (a2 + a1) | 0
      b2 = (b2 + b1) | 0
      a1 = ((a1 << 13) | (a1 >>> 19)) ^ a2
      b1 = ((b1 << 13) | (b1 >>> 19)) ^ b2
      a2 = (a2 << 16) | (a2 >>> 16)
      b2 = (b2 << 16) | (b2 >>> 16)
    }
    a0 ^= word
    b0 ^= word
    if (position === whole + 4) {
      into[0] = a1 ^ a3
      into[2] = b1 ^ b3
    }
  }
  into[1] = a1 ^ a3
  into[3] = b1 ^ b3
}

/** Four bytes of the key; at its end what is left of it, and the length. */
function wordAt(bytes: Uint8Array, at: number, whole: number, length: number): number {
  if (at < whole) {
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  }
  const rest = length & 3
  let word = length << 24
  if (rest > 2) word |= bytes[at + 2]! << 16
  if (rest > 1) word |= bytes[at + 1]! << 8
  if (rest > 0) word |= bytes[at]!
  return word
}
