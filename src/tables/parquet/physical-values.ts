/**
 * Values of a leaf as the file has them, one behind another without gaps for nulls. Decoders append to them.
 * Two shapes serve all eight physical types: values of one width as their little-endian bytes (booleans
 * as one byte, 0 or 1), and byte arrays as offsets and bytes.
 */
import { strict as assert } from 'node:assert'
import { copyBytes } from '../columns/copy-bytes.ts'
import { columnBatchBytesMax } from './limits.ts'
import { beyondLimit } from './parquet-error.ts'

assert(new Uint8Array(new Uint16Array([1]).buffer)[0] === 1, 'a little-endian machine')

export class FixedWidthValues {
  readonly width: number
  length = 0
  bytes: Uint8Array
  /** The same memory in words, for widths that are multiples of four. */
  words: Int32Array

  constructor(width: number, capacity: number) {
    this.width = width
    this.bytes = new Uint8Array(0)
    this.words = new Int32Array(0)
    this.#allocate(capacity)
  }

  /** Makes room for so many more. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed * this.width <= this.bytes.length) return
    const before = this.bytes
    this.#allocate(Math.max(needed, 2 * this.length))
    this.bytes.set(before.subarray(0, this.length * this.width))
  }

  #allocate(capacity: number): void {
    const bytes = capacity * this.width
    if (bytes > columnBatchBytesMax) throw tooLarge()
    const buffer = new ArrayBuffer((bytes + 7) & ~7)
    this.bytes = new Uint8Array(buffer)
    this.words = new Int32Array(buffer)
  }
}

export class ByteArrays {
  length = 0
  offsets: Int32Array
  bytes: Uint8Array

  constructor(capacity: number, bytes = 16 * capacity) {
    this.offsets = new Int32Array(capacity + 1)
    this.bytes = new Uint8Array(Math.min(bytes, columnBatchBytesMax))
  }

  get byteLength(): number {
    return this.offsets[this.length]!
  }

  /** Makes room for so many more, of so many bytes together. */
  reserve(count: number, bytes: number): void {
    const values = this.length + count
    if (values >= this.offsets.length) {
      const larger = new Int32Array(Math.max(values, 2 * this.length) + 1)
      larger.set(this.offsets.subarray(0, this.length + 1))
      this.offsets = larger
    }
    const byteLength = this.byteLength + bytes
    if (byteLength > columnBatchBytesMax) throw tooLarge()
    if (byteLength > this.bytes.length) {
      const larger = new Uint8Array(
        Math.min(Math.max(byteLength, 2 * this.bytes.length), columnBatchBytesMax),
      )
      larger.set(this.bytes.subarray(0, this.byteLength))
      this.bytes = larger
    }
  }

  /** One value; there must be room for it. */
  append(source: Uint8Array, start: number, end: number): void {
    const at = this.offsets[this.length]!
    copyBytes(source, start, end, this.bytes, at)
    this.offsets[++this.length] = at + (end - start)
  }
}

export type PhysicalValues = FixedWidthValues | ByteArrays

/** Decodes the values of one page, in steps. Throws ParquetError where there are not so many. */
export interface ValueDecoder {
  read(target: PhysicalValues, count: number): void
}

function tooLarge(): Error {
  return beyondLimit(`more than ${columnBatchBytesMax} bytes of one column at once`)
}
