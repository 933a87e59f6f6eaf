/**
 * Columns of plain values in the making: numbers, and text and bytes. Beside `append`, which takes any value there is,
 * they have ways in for values that are known to fit, for whoever reads very many.
 */
import { type Column, type DataType, layoutOf, typeName, type Validity } from './column.ts'
import { copyBytes } from './copy-bytes.ts'
import type { Value } from './value.ts'

/** Bytes of one column in one batch: offsets are int32. */
const bytesMax = 2 ** 31 - 1
const wordRange = 2 ** 32

export interface ColumnBuilder {
  /** `null` and `undefined`: no value. */
  append(value: Value | undefined): void
  /** The rows behind the first `length` are gone. */
  truncate(length: number): void
  /** What has been appended; the builder begins anew. */
  finish(): Column
}

export function mismatch(name: string, value: unknown, type: string): RangeError {
  const shown = typeof value === 'object' ? 'an object' : String(value).slice(0, 40)
  return new RangeError(`${name} cannot hold ${shown}: it is of type ${type}`)
}

const leastRoom = 64
const leastBytes = 1024

/** Room for what comes next, where there was some for the last: what is alike needs as much, and does not grow to it again. */
function roomLike(used: number): number {
  return Math.max(leastRoom, used + (used >>> 4))
}

/** Which rows have values, forgotten as long as all have. */
export class Presence {
  #bytes = new Uint8Array(leastRoom)
  #missing = 0
  length = 0

  append(isThere: boolean): void {
    if (this.length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.length)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes[this.length++] = isThere ? 1 : 0
    if (!isThere) this.#missing++
  }

  truncate(length: number): void {
    for (let row = length; row < this.length; row++) if (this.#bytes[row] === 0) this.#missing--
    this.length = length
  }

  finish(): { length: number; validity: Validity } {
    const { length } = this
    const validity = this.#missing === 0 ? null : this.#bytes.slice(0, length)
    this.length = 0
    this.#missing = 0
    return { length, validity }
  }
}

type Numbers = Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array

/** Everything that takes the same room in each row. */
export class NumberBuilder implements ColumnBuilder {
  readonly #type: DataType
  readonly #name: string
  readonly #presence = new Presence()
  readonly #layout: Column['layout']
  #values: Numbers
  /** The memory of `#values` in words of 32 bits, where those are of 64. */
  #words: Int32Array = noWords
  /** Rows that there is to be room for, as soon as there is one. */
  #roomRows = leastRoom

  constructor(type: DataType, name: string) {
    this.#type = type
    this.#name = name
    this.#layout = layoutOf(type)
    this.#values = this.#room(0)
  }

  #room(length: number): Numbers {
    switch (this.#layout) {
      case 'int32':
        return new Int32Array(length)
      case 'int64':
        return new BigInt64Array(length)
      case 'int128':
        return new BigInt64Array(2 * length)
      case 'float':
        return new Float32Array(length)
      case 'double':
        return new Float64Array(length)
      default:
        return new Uint8Array(length)
    }
  }

  append(value: Value | undefined): void {
    const row = this.#nextRow()
    if (value !== null && value !== undefined) this.#put(row, value)
    this.#presence.append(value !== null && value !== undefined)
  }

  /** A number that the layout holds as it is: `boolean` as 0 or 1, `int32`, `float`, `double`. */
  appendNumber(value: number): void {
    const row = this.#nextRow()
    this.#values[row] = value
    this.#presence.append(true)
  }

  /** Of a column of int64: a safe integer, which so becomes no bigint on its way. */
  appendSafeInteger(value: number): void {
    const row = this.#nextRow()
    this.#putSafeInteger(row, value)
    this.#presence.append(true)
  }

  truncate(length: number): void {
    this.#presence.truncate(length)
  }

  /** There is room for it. */
  #nextRow(): number {
    const row = this.#presence.length
    const perRow = this.#layout === 'int128' ? 2 : 1
    if (perRow * row >= this.#values.length) {
      const larger = this.#room(Math.max(2 * row, this.#roomRows))
      ;(larger as Uint8Array).set(this.#values as Uint8Array)
      this.#values = larger
      this.#words = wordsOf(larger)
    }
    return row
  }

  #putSafeInteger(row: number, value: number): void {
    this.#words[2 * row] = value % wordRange
    this.#words[2 * row + 1] = Math.floor(value / wordRange)
  }

  #put(row: number, value: Exclude<Value, null>): void {
    const kind = this.#type.kind
    switch (this.#layout) {
      case 'boolean':
        if (typeof value !== 'boolean') break
        this.#values[row] = value ? 1 : 0
        return
      case 'float':
      case 'double':
        if (typeof value !== 'number' && typeof value !== 'bigint') break
        this.#values[row] = Number(value)
        return
      case 'int32': {
        const [least, most] = rangeOf(kind)
        const number = typeof value === 'bigint' ? Number(value) : value
        if (typeof number !== 'number' || !Number.isInteger(number)) break
        if (number < least || number > most) break
        this.#values[row] = number
        return
      }
      case 'int64':
      case 'int128': {
        if (this.#type.kind === 'int64' && Number.isSafeInteger(value)) {
          this.#putSafeInteger(row, value as number)
          return
        }
        const integer = integerOf(value)
        if (integer === null || !this.#fits(integer)) break
        const words = this.#values as BigInt64Array
        if (this.#layout === 'int64') words[row] = integer
        else {
          words[2 * row] = integer
          words[2 * row + 1] = integer >> 64n
        }
        return
      }
      default:
        break
    }
    throw mismatch(this.#name, value, typeName(this.#type))
  }

  #fits(value: bigint): boolean {
    const type = this.#type
    if (type.kind === 'decimal') {
      const bound = 10n ** BigInt(type.precision)
      return value < bound && value > -bound
    }
    return type.kind === 'uint64'
      ? BigInt.asUintN(64, value) === value
      : BigInt.asIntN(64, value) === value
  }

  finish(): Column {
    const rows = this.#presence.finish()
    if (this.#layout === 'null') return { layout: 'null', ...rows }
    const perRow = this.#layout === 'int128' ? 2 : 1
    const values = this.#values.subarray(0, perRow * rows.length)
    this.#roomRows = roomLike(rows.length)
    this.#values = this.#room(0)
    this.#words = noWords
    return { layout: this.#layout, ...rows, values } as Column
  }
}

const noWords = new Int32Array(0)

function wordsOf(values: Numbers): Int32Array {
  return values instanceof BigInt64Array ? new Int32Array(values.buffer) : noWords
}

function integerOf(value: Value): bigint | null {
  if (typeof value === 'bigint') return value
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : null
}

function rangeOf(kind: DataType['kind']): readonly [number, number] {
  switch (kind) {
    case 'int8':
      return [-128, 127]
    case 'int16':
      return [-32768, 32767]
    case 'uint8':
      return [0, 255]
    case 'uint16':
      return [0, 65535]
    case 'uint32':
      return [0, 2 ** 32 - 1]
    default:
      return [-(2 ** 31), 2 ** 31 - 1]
  }
}

export class BytesBuilder implements ColumnBuilder {
  readonly #type: DataType
  readonly #name: string
  readonly #presence = new Presence()
  #offsets = new Int32Array(leastRoom)
  #bytes = Buffer.alloc(0)
  #length = 0
  /** Rows and bytes that there is to be room for, as soon as there is one. */
  #roomRows = leastRoom
  #roomBytes = leastBytes

  constructor(type: DataType, name: string) {
    this.#type = type
    this.#name = name
  }

  append(value: Value | undefined): void {
    const isThere = value !== null && value !== undefined
    if (typeof value === 'string') this.#appendText(value)
    else if (value instanceof Uint8Array) this.#appendBytes(value)
    else if (isThere) throw mismatch(this.#name, value, typeName(this.#type))
    this.#endRow(isThere)
  }

  /** Bytes that the type holds as they are. */
  appendSlice(source: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start)
    copyBytes(source, start, end, this.#bytes, this.#length)
    this.#length += end - start
    this.#endRow(true)
  }

  truncate(length: number): void {
    this.#presence.truncate(length)
    this.#length = this.#offsets[length]!
  }

  #endRow(isThere: boolean): void {
    this.#presence.append(isThere)
    const rows = this.#presence.length
    if (rows === this.#offsets.length) {
      const larger = new Int32Array(Math.max(2 * rows, this.#roomRows + 1))
      larger.set(this.#offsets)
      this.#offsets = larger
    }
    this.#offsets[rows] = this.#length
  }

  #appendText(text: string): void {
    const { kind } = this.#type
    if (kind !== 'string' && kind !== 'enum' && kind !== 'json') {
      throw mismatch(this.#name, text, typeName(this.#type))
    }
    // A UTF-16 unit takes three bytes at most.
    this.#reserve(text.length * 3)
    this.#length += this.#bytes.write(text, this.#length)
  }

  #appendBytes(bytes: Uint8Array): void {
    const size = sizeOf(this.#type)
    if (size !== null && bytes.length !== size) {
      throw mismatch(this.#name, bytes, typeName(this.#type))
    }
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    if (needed > bytesMax) throw new RangeError(`${this.#name} would hold more than 2 GiB at once`)
    const room = Math.max(needed, 2 * this.#bytes.length, this.#roomBytes)
    const larger = Buffer.allocUnsafe(Math.min(room, bytesMax))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  finish(): Column {
    const rows = this.#presence.finish()
    const offsets = this.#offsets.subarray(0, rows.length + 1)
    const bytes = this.#bytes.subarray(0, this.#length)
    this.#roomRows = roomLike(rows.length)
    this.#roomBytes = Math.max(leastBytes, roomLike(this.#length))
    this.#offsets = new Int32Array(leastRoom)
    this.#bytes = Buffer.alloc(0)
    this.#length = 0
    return { layout: 'bytes', ...rows, offsets, bytes }
  }
}

function sizeOf(type: DataType): number | null {
  switch (type.kind) {
    case 'fixed':
      return type.size
    case 'uuid':
      return 16
    case 'interval':
      return 12
    default:
      return null
  }
}
