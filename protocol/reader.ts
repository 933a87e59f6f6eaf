/**
 * A cursor over the bytes of one frame. Every read is checked against the end, and every length
 * and count against the bytes that are left and a budget, before anything is allocated for it;
 * what does not fit throws `MalformedError`, and nothing else comes out.
 */

import { readInt16, readInt32, readInt64 } from './records/big-endian.ts'
import type { Uuid } from './types.ts'
import { zeroUuid } from './types.ts'

/** The bytes are not what the table says. The connection they came from has to be closed. */
export class MalformedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'MalformedError'
  }
}

/**
 * What the arrays of one frame may cost in memory once decoded, nested ones included: an element costs
 * far more there than its one or two bytes on the wire, so the bytes left alone are no limit. Metadata
 * of 200 000 partitions with three replicas each costs about 200 MB.
 */
const decodedBytesMaxDefault = 512 * 1024 * 1024

/** Kafka's own limit for a string, compact or not. */
const stringBytesMax = 0x7fff

/** Strings and uuids repeat from frame to frame: a small table saves decoding them again. */
const internedStringBytesMax = 64
const internedSlots = 1024
const strings: string[] = new Array(internedSlots).fill('')
const uuids: Uuid[] = new Array(internedSlots).fill(zeroUuid)
const uuidWords = new Int32Array(internedSlots * 4)

export class Reader {
  readonly #buffer: Buffer
  readonly #end: number
  readonly #decodedBytesMax: number
  #decodedBytes = 0
  /** Where the next read starts, counted from the buffer's start. */
  position: number

  /** `decodedBytesMax`: what all arrays together may cost in memory; more is malformed. */
  constructor(
    buffer: Buffer,
    start = 0,
    end = buffer.length,
    decodedBytesMax = decodedBytesMaxDefault,
  ) {
    this.#decodedBytesMax = decodedBytesMax
    this.#buffer = buffer
    this.#end = end
    this.position = start
  }

  get remaining(): number {
    return this.#end - this.position
  }

  /** About what the arrays read so far cost in memory. */
  get decodedBytes(): number {
    return this.#decodedBytes
  }

  /** An array was refused because all together would cost too much. */
  get isOverBudget(): boolean {
    return this.#decodedBytes > this.#decodedBytesMax
  }

  /** Throws unless everything was read. */
  expectEnd(): void {
    if (this.position !== this.#end) {
      throw new MalformedError(`${this.remaining} bytes left over after the message`)
    }
  }

  #advance(size: number): number {
    const start = this.position
    if (size > this.#end - start) throw this.#short(size)
    this.position = start + size
    return start
  }

  #short(size: number): MalformedError {
    return new MalformedError(
      `${size} bytes expected at ${this.position}, ${this.remaining} are left`,
    )
  }

  bool(): boolean {
    return this.#buffer[this.#advance(1)] !== 0
  }

  int8(): number {
    return ((this.#buffer[this.#advance(1)] as number) << 24) >> 24
  }

  int16(): number {
    return readInt16(this.#buffer, this.#advance(2))
  }

  uint16(): number {
    return readInt16(this.#buffer, this.#advance(2)) & 0xffff
  }

  int32(): number {
    return readInt32(this.#buffer, this.#advance(4))
  }

  uint32(): number {
    return readInt32(this.#buffer, this.#advance(4)) >>> 0
  }

  /** Beyond 2^53 the nearest double. */
  int64(): number {
    return readInt64(this.#buffer, this.#advance(8))
  }

  /** All 64 bits, where they are a hash and no count. */
  int64Exact(): bigint {
    return this.#buffer.readBigInt64BE(this.#advance(8))
  }

  float64(): number {
    return this.#buffer.readDoubleBE(this.#advance(8))
  }

  /** An unsigned varint of up to 32 bits. */
  uvarint(): number {
    const first = this.#buffer[this.#advance(1)] as number
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let shift = 7; shift <= 28; shift += 7) {
      const byte = this.#buffer[this.#advance(1)] as number
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new MalformedError(`a varint is longer than five bytes at ${this.position}`)
  }

  uuid(): Uuid {
    const start = this.#advance(16)
    const buffer = this.#buffer
    const a = readInt32(buffer, start)
    const b = readInt32(buffer, start + 4)
    const c = readInt32(buffer, start + 8)
    const d = readInt32(buffer, start + 12)
    const slot = (a ^ b ^ c ^ d ^ (d >>> 16)) & (internedSlots - 1)
    const at = slot * 4
    const words = uuidWords
    if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) {
      return uuids[slot] as Uuid
    }
    const text = buffer.toString('base64url', start, start + 16)
    words[at] = a
    words[at + 1] = b
    words[at + 2] = c
    words[at + 3] = d
    uuids[slot] = text
    return text
  }

  /** A length of two bytes: -1 stands for null. */
  shortLength(): number {
    return this.#length(this.int16())
  }

  /** A length of four bytes: -1 stands for null. */
  intLength(): number {
    return this.#length(this.int32())
  }

  /** A compact length: one more than it says, and 0 (here -1) stands for null. */
  compactLength(): number {
    return this.#length(this.uvarint() - 1)
  }

  #length(length: number): number {
    if (length < -1) throw new MalformedError(`a length of ${length} at ${this.position}`)
    return length
  }

  #present(length: number): void {
    if (length < 0) throw new MalformedError(`null where a value must be, at ${this.position}`)
  }

  string(length: number): string {
    this.#present(length)
    if (length > stringBytesMax) {
      throw new MalformedError(`a string of ${length} bytes at ${this.position}`)
    }
    const start = this.#advance(length)
    if (length > internedStringBytesMax) return this.#buffer.toString('utf8', start, start + length)
    return this.#intern(start, length)
  }

  stringOrNull(length: number): string | null {
    return length < 0 ? null : this.string(length)
  }

  /** Costs a pass over the bytes instead of the 200 ns and more of a call into `toString`. */
  #intern(start: number, length: number): string {
    const buffer = this.#buffer
    const end = start + length
    let hash = length
    let bits = 0
    for (let i = start; i < end; i++) {
      const byte = buffer[i] as number
      hash = (Math.imul(hash, 31) + byte) | 0
      bits |= byte
    }
    if (bits >= 0x80) return buffer.toString('utf8', start, end)
    const slot = (hash ^ (hash >>> 15)) & (internedSlots - 1)
    const known = strings[slot] as string
    if (known.length === length) {
      let i = 0
      while (i < length && known.charCodeAt(i) === buffer[start + i]) i++
      if (i === length) return known
    }
    const text = buffer.toString('latin1', start, end)
    strings[slot] = text
    return text
  }

  /** A slice, not a copy. */
  bytes(length: number): Buffer {
    this.#present(length)
    const start = this.#advance(length)
    return this.#buffer.subarray(start, start + length)
  }

  bytesOrNull(length: number): Buffer | null {
    return length < 0 ? null : this.bytes(length)
  }

  records(length: number): readonly Buffer[] {
    return [this.bytes(length)]
  }

  recordsOrNull(length: number): readonly Buffer[] | null {
    return length < 0 ? null : [this.bytes(length)]
  }

  /**
   * Accepts the count of an array whose elements take at least `elementBytesMin` each here, and about
   * `decodedBytes` each once decoded.
   */
  count(count: number, elementBytesMin: number, decodedBytes: number): number {
    this.#present(count)
    if (count * elementBytesMin > this.remaining) throw this.#short(count * elementBytesMin)
    this.#decodedBytes += count * decodedBytes
    if (this.#decodedBytes > this.#decodedBytesMax) {
      throw new MalformedError(
        `arrays that take more than ${this.#decodedBytesMax} bytes once decoded, at ${this.position}`,
      )
    }
    return count
  }

  countOrNull(count: number, elementBytesMin: number, decodedBytes: number): number {
    return count < 0 ? -1 : this.count(count, elementBytesMin, decodedBytes)
  }

  /** Starts a tagged field of so many bytes; gives the position at which it has to end. */
  enterTag(size: number): number {
    if (size > this.remaining) throw this.#short(size)
    return this.position + size
  }

  leaveTag(end: number): void {
    if (this.position !== end) {
      throw new MalformedError(`a tagged field ends at ${this.position} instead of ${end}`)
    }
  }

  skip(size: number): void {
    this.#advance(size)
  }
}
