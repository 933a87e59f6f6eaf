/**
 * Grows the bytes of one frame. Small values are gathered into one buffer; large byte values and
 * record batches are passed on by reference, so `finish` gives chunks: whoever hands a large value
 * in leaves it unchanged until the chunks are sent.
 *
 * Numbers are checked on the way out: a value that its type cannot hold is a bug here and throws.
 */
import { writeInt16, writeInt32 } from './records/big-endian.ts'
import type { Uuid } from './types.ts'

/** Most frames other than Fetch and Metadata answers fit. */
const capacityStart = 512

/**
 * Small frames are written one behind the other into the same memory, as long as it lasts. What one of
 * them leaves of its capacity the next one gets.
 */
const slabBytes = 16 * 1024
let slab = Buffer.allocUnsafeSlow(slabBytes)
let slabTaken = 0

/**
 * A buffer of this size that is full is a chunk, and another begins: one that grew on would be copied, and
 * take memory that nobody has touched yet, in a piece that holds up everybody else.
 */
const capacityMax = 256 * 1024

/** Room for what mostly follows records that are copied: it would take as much again. */
const afterBytes = 64

/** From here on, a chunk of its own is cheaper than copying (one more entry in a `writev`). */
const referencedBytesMin = 2048

/** Kafka's own limit for a string. */
const stringBytesMax = 0x7fff

const base64Values = new Uint8Array(128).fill(255)
for (const [value, char] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
].entries()) {
  base64Values[char.charCodeAt(0)] = value
}

/** What is written takes more bytes than this writer may have. */
export class WriterFull extends Error {
  override name = 'WriterFull'
}

export class Writer {
  readonly #bytesMax: number
  #buffer: Buffer
  #position: number
  /** Where the bytes not yet in a chunk begin. */
  #chunkStart: number
  /** How far this writer may go in the buffer. */
  #end: number
  #capacity = capacityStart
  readonly #chunks: Buffer[] = []
  /** Of full buffers. */
  #fullBytes = 0
  /** While a tagged field is open everything is copied, as its size goes in front of it. */
  #openTags = 0

  /** `bytesMax`: of what is not passed on by reference, about; more throws WriterFull. */
  constructor(bytesMax = Number.POSITIVE_INFINITY) {
    this.#bytesMax = bytesMax
    if (slabTaken + capacityStart > slabBytes) {
      slab = Buffer.allocUnsafeSlow(slabBytes)
      slabTaken = 0
    }
    this.#buffer = slab
    this.#position = slabTaken
    this.#chunkStart = slabTaken
    slabTaken += capacityStart
    this.#end = slabTaken
  }

  /** The bytes written, as chunks. The writer is spent afterwards. */
  finish(): Buffer[] {
    this.#cut()
    this.#leave()
    return this.#chunks
  }

  /** Gives back what is left of the slab, unless others write behind it. */
  #leave(): void {
    if (this.#buffer === slab && this.#end === slabTaken) slabTaken = this.#chunkStart
  }

  #cut(): void {
    if (this.#position === this.#chunkStart) return
    this.#chunks.push(this.#buffer.subarray(this.#chunkStart, this.#position))
    this.#chunkStart = this.#position
  }

  #advance(size: number): number {
    if (this.#position + size > this.#end) this.#grow(size)
    const start = this.#position
    this.#position = start + size
    return start
  }

  #grow(size: number): void {
    if (this.#fullBytes + this.#capacity > this.#bytesMax) throw new WriterFull()
    if (this.#capacity >= capacityMax && this.#openTags === 0) {
      this.#fullBytes += this.#capacity
      this.#cut()
    }
    const pending = this.#position - this.#chunkStart
    const doubled = Math.min(2 * this.#capacity, capacityMax)
    this.#capacity = Math.max(doubled, 2 * pending, pending + size + afterBytes)
    const buffer = Buffer.allocUnsafe(this.#capacity)
    this.#buffer.copy(buffer, 0, this.#chunkStart, this.#position)
    this.#leave()
    this.#buffer = buffer
    this.#position = pending
    this.#chunkStart = 0
    this.#end = this.#capacity
  }

  bool(value: boolean): void {
    const start = this.#advance(1)
    this.#buffer[start] = value ? 1 : 0
  }

  int8(value: number): void {
    if ((value << 24) >> 24 !== value) throw unfit(value, 'int8')
    const start = this.#advance(1)
    this.#buffer[start] = value
  }

  int16(value: number): void {
    if ((value << 16) >> 16 !== value) throw unfit(value, 'int16')
    const start = this.#advance(2)
    writeInt16(this.#buffer, start, value)
  }

  uint16(value: number): void {
    if ((value & 0xffff) !== value) throw unfit(value, 'uint16')
    const start = this.#advance(2)
    writeInt16(this.#buffer, start, value)
  }

  int32(value: number): void {
    if ((value | 0) !== value) throw unfit(value, 'int32')
    const start = this.#advance(4)
    writeInt32(this.#buffer, start, value)
  }

  uint32(value: number): void {
    if (value >>> 0 !== value) throw unfit(value, 'uint32')
    const start = this.#advance(4)
    writeInt32(this.#buffer, start, value)
  }

  /** Saturates at both ends of the range. */
  int64(value: number): void {
    if (!Number.isInteger(value)) throw unfit(value, 'int64')
    const start = this.#advance(8)
    const high = Math.floor(value / 0x1_0000_0000)
    if (high > 0x7fff_ffff) {
      writeInt32(this.#buffer, start, 0x7fff_ffff)
      writeInt32(this.#buffer, start + 4, 0xffff_ffff)
    } else if (high < -0x8000_0000) {
      writeInt32(this.#buffer, start, -0x8000_0000)
      writeInt32(this.#buffer, start + 4, 0)
    } else {
      writeInt32(this.#buffer, start, high)
      writeInt32(this.#buffer, start + 4, value - high * 0x1_0000_0000)
    }
  }

  int64Exact(value: bigint): void {
    if (typeof value !== 'bigint') throw unfit(value, 'int64Exact')
    const start = this.#advance(8)
    this.#buffer.writeBigInt64BE(value, start)
  }

  float64(value: number): void {
    if (typeof value !== 'number') throw unfit(value, 'float64')
    const start = this.#advance(8)
    this.#buffer.writeDoubleBE(value, start)
  }

  uvarint(value: number): void {
    if (value >>> 0 !== value) throw unfit(value, 'uvarint')
    let rest = value
    while (rest > 0x7f) {
      this.#byte((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.#byte(rest)
  }

  #byte(value: number): void {
    const start = this.#advance(1)
    this.#buffer[start] = value
  }

  uuid(value: Uuid): void {
    if (value.length !== 22) throw unfit(value, 'uuid')
    const start = this.#advance(16)
    const buffer = this.#buffer
    let bits = 0
    let bitCount = 0
    let at = start
    for (let i = 0; i < 22; i++) {
      const digit = base64Values[value.charCodeAt(i)] ?? 255
      if (digit > 63) throw unfit(value, 'uuid')
      bits = ((bits << 6) | digit) & 0xffff
      bitCount += 6
      if (bitCount >= 8) {
        bitCount -= 8
        buffer[at++] = bits >>> bitCount
      }
    }
  }

  string(value: string): void {
    this.#reserveText(value)
    const mark = this.#advance(2)
    const size = this.#text(value)
    writeInt16(this.#buffer, mark, size)
  }

  compactString(value: string): void {
    const length = value.length
    if (length < 0x7f) {
      // Nearly always ASCII, of which the length is known before it is written.
      this.#reserveText(value)
      const mark = this.#advance(1)
      const size = this.#text(value)
      if (size < 0x7f) {
        this.#buffer[mark] = size + 1
        return
      }
      this.#position = mark
    }
    this.uvarint(Buffer.byteLength(value) + 1)
    this.#text(value)
  }

  /** Makes room for a string and its length, so that the place of the length stays where it is. */
  #reserveText(value: string): void {
    const bytesMax = 2 + 3 * value.length
    if (this.#position + bytesMax > this.#end) this.#grow(bytesMax)
  }

  /** The bytes of a string, without its length; gives their number. */
  #text(value: string): number {
    const length = value.length
    if (length > 40) return this.#longText(value)
    const start = this.#advance(length)
    const buffer = this.#buffer
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) {
        this.#position = start
        return this.#longText(value)
      }
      buffer[start + i] = code
    }
    return length
  }

  #longText(value: string): number {
    const size = Buffer.byteLength(value)
    if (size > stringBytesMax) throw new RangeError(`a string of ${size} bytes`)
    const start = this.#advance(size)
    this.#buffer.write(value, start, size, 'utf8')
    return size
  }

  bytes(value: Buffer): void {
    this.int32(value.length)
    this.raw(value)
  }

  compactBytes(value: Buffer): void {
    this.uvarint(value.length + 1)
    this.raw(value)
  }

  records(chunks: readonly Buffer[]): void {
    this.int32(sizeOf(chunks))
    for (const chunk of chunks) this.raw(chunk)
  }

  compactRecords(chunks: readonly Buffer[]): void {
    this.uvarint(sizeOf(chunks) + 1)
    for (const chunk of chunks) this.raw(chunk)
  }

  /** Bytes without a length, by reference if there are many. */
  raw(value: Buffer): void {
    if (value.length >= referencedBytesMin && this.#openTags === 0) {
      this.#cut()
      this.#chunks.push(value)
      return
    }
    const start = this.#advance(value.length)
    this.#buffer.set(value, start)
  }

  /** Opens a tagged field; what is written until `closeTag` is its value. */
  openTag(tag: number): number {
    this.uvarint(tag)
    this.#openTags++
    this.#advance(1)
    return this.#position - this.#chunkStart
  }

  closeTag(mark: number): void {
    this.#openTags--
    const size = this.#position - this.#chunkStart - mark
    let extra = 0
    for (let rest = size >>> 7; rest > 0; rest >>>= 7) extra++
    if (extra > 0) {
      this.#advance(extra)
      const from = this.#chunkStart + mark
      this.#buffer.copyWithin(from + extra, from, from + size)
    }
    const end = this.#position
    this.#position = this.#chunkStart + mark - 1
    this.uvarint(size)
    this.#position = end
  }
}

function sizeOf(chunks: readonly Buffer[]): number {
  let size = 0
  for (const chunk of chunks) size += chunk.length
  return size
}

function unfit(value: unknown, type: string): TypeError {
  return new TypeError(`${String(value)} is no ${type}`)
}
