/**
 * Avro's binary form, value by value: numbers as zigzag varints, little-endian floats, bytes and texts
 * behind their length, arrays and maps in blocks. The reader checks every length against the bytes left
 * before it takes them; what it fails with is a SchemaError, as the bytes are not of the schema.
 */
import { SchemaError } from './schema.ts'

/** Values within values: a schema may refer to itself. */
const depthMax = 500
/** Items of arrays and maps that take no bytes; nothing else bounds their number. */
const emptyItemsMax = 100_000

export class AvroReader {
  readonly #bytes: Buffer
  #at: number
  #depth = 0
  #emptyItems = 0

  constructor(bytes: Buffer, start = 0) {
    this.#bytes = bytes
    this.#at = start
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  boolean(): boolean {
    const byte = this.#byte()
    if (byte > 1) throw new SchemaError(`A boolean is 0 or 1, not ${byte}`)
    return byte === 1
  }

  int(): number {
    const value = this.long()
    if (BigInt.asIntN(32, value) !== value) throw new SchemaError(`${value} is no int`)
    return Number(value)
  }

  long(): bigint {
    // Most are short: those that fit 28 bits need no bigint on their way.
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) return BigInt((low >>> 1) ^ -(low & 1))
    }
    let value = BigInt(low)
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
    throw new SchemaError('A number has more than ten bytes')
  }

  float(): number {
    return this.#bytes.readFloatLE(this.#take(4))
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#take(8))
  }

  /** A copy: the bytes around it may be let go. */
  fixed(size: number): Buffer {
    const start = this.#take(size)
    return Buffer.from(this.#bytes.subarray(start, start + size))
  }

  bytes(): Buffer {
    return this.fixed(this.#length())
  }

  string(): string {
    const length = this.#length()
    const start = this.#take(length)
    return this.#bytes.toString('utf8', start, start + length)
  }

  /** Which of so many. */
  index(count: number): number {
    const index = this.long()
    if (index < 0n || index >= BigInt(count))
      throw new SchemaError(`${index} is none of ${count} branches or symbols`)
    return Number(index)
  }

  /** Calls `item` for each of an array or map, whose blocks follow. */
  items(item: () => void): void {
    for (;;) {
      let count = this.long()
      if (count === 0n) return
      if (count < 0n) {
        count = -count
        // The bytes of the block, for those who skip it.
        this.long()
      }
      for (let left = count; left > 0n; left--) {
        const before = this.#at
        item()
        if (this.#at === before && ++this.#emptyItems > emptyItemsMax)
          throw new SchemaError(`More than ${emptyItemsMax} items without a byte`)
      }
    }
  }

  nested<Value>(read: () => Value): Value {
    if (++this.#depth > depthMax)
      throw new SchemaError(`Values are nested deeper than ${depthMax} levels`)
    const value = read()
    this.#depth--
    return value
  }

  #length(): number {
    const length = this.long()
    if (length < 0n || length > BigInt(this.remaining))
      throw new SchemaError(`${length} bytes are announced and ${this.remaining} are left`)
    return Number(length)
  }

  #byte(): number {
    return this.#bytes[this.#take(1)]!
  }

  #take(size: number): number {
    const start = this.#at
    if (size > this.remaining)
      throw new SchemaError(`${size} bytes are needed and ${this.remaining} are left`)
    this.#at = start + size
    return start
  }
}

export class AvroWriter {
  #bytes = Buffer.allocUnsafe(256)
  #length = 0

  /** What was written, a copy of it. */
  taken(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length))
  }

  /** As it is, without a length. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  boolean(value: boolean): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value ? 1 : 0
  }

  int(value: number): void {
    this.long(BigInt(value))
  }

  long(value: bigint): void {
    this.#reserve(10)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest > 0x7fffffffn) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    let low = Number(rest)
    while (low > 0x7f) {
      this.#bytes[this.#length++] = (low & 0x7f) | 0x80
      low >>>= 7
    }
    this.#bytes[this.#length++] = low
  }

  float(value: number): void {
    this.#reserve(4)
    this.#length = this.#bytes.writeFloatLE(value, this.#length)
  }

  double(value: number): void {
    this.#reserve(8)
    this.#length = this.#bytes.writeDoubleLE(value, this.#length)
  }

  bytes(value: Uint8Array): void {
    this.int(value.length)
    this.raw(value)
  }

  string(value: string): void {
    const length = Buffer.byteLength(value)
    this.int(length)
    this.#reserve(length)
    this.#length += this.#bytes.write(value, this.#length)
  }

  /** All in one block. */
  items<Item>(items: Iterable<Item>, count: number, write: (item: Item) => void): void {
    if (count > 0) {
      this.int(count)
      for (const item of items) write(item)
    }
    this.int(0)
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + size))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
