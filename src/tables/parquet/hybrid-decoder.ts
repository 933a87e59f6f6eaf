/**
 * Small unsigned integers of one bit width: levels, dictionary indices, booleans. The format mixes two kinds of runs.
 * A varint opens each: even, half of it is how often the one value repeats that follows in as few
 * bytes as hold the width; odd, half of it is how many groups of eight values follow, packed, lowest bit first.
 *
 * Runs may stand for any number of values, so they are unrolled only as far as somebody asks.
 */
import { corrupt } from './parquet-error.ts'

export type SmallIntegers = Uint8Array | Int32Array

export class HybridDecoder {
  readonly #bytes: Uint8Array
  readonly #width: number
  #at: number
  #left = 0
  /** Of a run of one value. */
  #value = 0
  /** Of a packed run: where it starts, and the values of it that were read; -1: a run of one value. */
  #packedAt = -1
  #packedRead = 0

  constructor(bytes: Uint8Array, width: number) {
    if (width > 32) throw corrupt(`integers of ${width} bits`)
    this.#bytes = bytes
    this.#width = width
    this.#at = 0
  }

  /** Whether the next `count` are all `value` by one run; if so, they are read. */
  skipIfAll(value: number, count: number): boolean {
    if (count === 0) return true
    if (this.#left === 0) this.#openRun()
    if (this.#packedAt >= 0 || this.#value !== value || this.#left < count) return false
    this.#left -= count
    return true
  }

  read(target: SmallIntegers, at: number, count: number): void {
    let to = at
    const end = at + count
    while (to < end) {
      if (this.#left === 0) this.#openRun()
      const length = Math.min(this.#left, end - to)
      if (this.#packedAt < 0) target.fill(this.#value, to, to + length)
      else this.#unpack(target, to, length)
      this.#left -= length
      to += length
    }
  }

  #openRun(): void {
    let header = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw corrupt('a page holds fewer levels or indices than it says')
      header += (byte & 127) * scale
      if (byte < 128) break
      if (scale > 2 ** 28) throw corrupt('a run longer than 2^31')
    }
    const length = Math.floor(header / 2)
    if (length === 0) throw corrupt('an empty run')
    const bytesLeft = this.#bytes.length - this.#at
    if (header % 2 === 1) {
      this.#packedAt = this.#at
      this.#packedRead = 0
      const bytes = length * this.#width
      // The last group of a page is not always filled up.
      this.#left = bytes <= bytesLeft ? length * 8 : Math.floor((bytesLeft * 8) / this.#width)
      this.#at += Math.min(bytes, bytesLeft)
      if (this.#left === 0) throw corrupt('a run beyond the end of its page')
      return
    }
    const valueBytes = (this.#width + 7) >>> 3
    if (valueBytes > bytesLeft) throw corrupt('a run beyond the end of its page')
    this.#packedAt = -1
    this.#left = length
    this.#value = 0
    for (let i = 0; i < valueBytes; i++) this.#value |= this.#bytes[this.#at++]! << (8 * i)
  }

  #unpack(target: SmallIntegers, to: number, count: number): void {
    const width = this.#width
    const read = this.#packedRead
    this.#packedRead += count
    if (width === 0) {
      target.fill(0, to, to + count)
      return
    }
    const from = this.#packedAt + Math.floor(read / 8) * width + (((read & 7) * width) >>> 3)
    unpackBits(this.#bytes, { from, bit: ((read & 7) * width) & 7, width }, target, to, count)
  }
}

/** Unpacks integers that lie lowest bit first, the first at bit `bit` of the byte at `from`. */
function unpackBits(
  bytes: Uint8Array,
  { from, bit, width }: { from: number; bit: number; width: number },
  target: SmallIntegers,
  to: number,
  count: number,
): void {
  let at = from
  if (width > 24) {
    for (let i = 0; i < count; i++) {
      const start = bit + i * width
      let value = 0
      let have = -(start & 7)
      for (let byte = at + (start >>> 3); have < width; byte++, have += 8) {
        value += (bytes[byte] ?? 0) * 2 ** have
      }
      target[to + i] = Math.floor(value) % 2 ** width
    }
    return
  }
  const mask = 2 ** width - 1
  let held = bytes[at++]! >>> bit
  let heldBits = 8 - bit
  for (let i = to; i < to + count; i++) {
    while (heldBits < width) {
      held |= bytes[at++]! << heldBits
      heldBits += 8
    }
    target[i] = held & mask
    held >>>= width
    heldBits -= width
  }
}

/** Levels of the oldest files: packed highest bit first, without runs. */
export class BitPackedDecoder {
  readonly #bytes: Uint8Array
  readonly #width: number
  #bit = 0

  constructor(bytes: Uint8Array, width: number) {
    this.#bytes = bytes
    this.#width = width
  }

  skipIfAll(): boolean {
    return false
  }

  read(target: SmallIntegers, at: number, count: number): void {
    if (this.#bit + count * this.#width > this.#bytes.length * 8) {
      throw corrupt('a page holds fewer levels than it says')
    }
    for (let i = at; i < at + count; i++) {
      let value = 0
      for (let left = this.#width; left > 0; left--, this.#bit++) {
        value = (value << 1) | ((this.#bytes[this.#bit >>> 3]! >>> (7 - (this.#bit & 7))) & 1)
      }
      target[i] = value
    }
  }
}
