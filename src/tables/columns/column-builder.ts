/**
 * Columns built value by value, for rows that come as objects: from a command line, a log, a connector. The
 * values are those that `value.ts` takes out again; besides, a number may stand for a bigint, and a
 * plain object for a map with text for keys. What a type cannot hold is refused with a RangeError.
 */
import {
  type Column,
  type ColumnBatch,
  type DataType,
  type Field,
  layoutOf,
  typeName,
  type Validity,
} from './column.ts'
import type { Value } from './value.ts'

/** Bytes of one column in one batch: offsets are int32. */
const bytesMax = 2 ** 31 - 1

export interface ColumnBuilder {
  /** `null` and `undefined`: no value. */
  append(value: Value | undefined): void
  /** What has been appended; the builder begins anew. */
  finish(): Column
}

/** A column for each field, filled row by row. */
export class BatchBuilder {
  readonly #fields: readonly Field[]
  readonly #builders: readonly ColumnBuilder[]
  #rowCount = 0

  constructor(fields: readonly Field[]) {
    this.#fields = fields
    this.#builders = fields.map(builderOf)
  }

  get rowCount(): number {
    return this.#rowCount
  }

  /** A row by the names of its fields; names that no field has are passed over. */
  append(row: { readonly [name: string]: Value | undefined }): void {
    for (const [i, { name }] of this.#fields.entries()) {
      this.#builders[i]!.append(Object.hasOwn(row, name) ? row[name] : null)
    }
    this.#rowCount++
  }

  /** A row in the order of the fields, which fits them: where one does not, the columns are of no use any more. */
  appendValues(row: readonly Value[]): void {
    for (const [i, builder] of this.#builders.entries()) builder.append(row[i])
    this.#rowCount++
  }

  /** What has been appended; the builder begins anew. */
  finish(): ColumnBatch {
    const rowCount = this.#rowCount
    this.#rowCount = 0
    return { rowCount, fields: this.#fields, columns: this.#builders.map((one) => one.finish()) }
  }
}

export function batchOf(
  fields: readonly Field[],
  rows: Iterable<{ readonly [name: string]: Value | undefined }>,
): ColumnBatch {
  const builder = new BatchBuilder(fields)
  for (const row of rows) builder.append(row)
  return builder.finish()
}

/** Builds a column of the field's type; refuses a missing value where the field is not nullable. */
export function builderOf(field: Field): ColumnBuilder {
  const { type, name } = field
  const builder = builderOfType(type, name)
  if (field.isNullable) return builder
  return {
    append: (value) => {
      if (value === null || value === undefined) throw new RangeError(`No value for ${name}`)
      builder.append(value)
    },
    finish: () => builder.finish(),
  }
}

function builderOfType(type: DataType, name: string): ColumnBuilder {
  switch (type.kind) {
    case 'list':
      return new ListBuilder(name, builderOf(type.element))
    case 'map':
      return new MapBuilder(name, builderOf(type.key), builderOf(type.value))
    case 'struct':
      return new StructBuilder(name, type.fields)
    default:
      return layoutOf(type) === 'bytes'
        ? new BytesBuilder(type, name)
        : new NumberBuilder(type, name)
  }
}

function mismatch(name: string, value: unknown, type: string): RangeError {
  const shown = typeof value === 'object' ? 'an object' : String(value).slice(0, 40)
  return new RangeError(`${name} cannot hold ${shown}: it is of type ${type}`)
}

/** Which rows have values, forgotten as long as all have. */
class Presence {
  #bytes = new Uint8Array(64)
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
class NumberBuilder implements ColumnBuilder {
  readonly #type: DataType
  readonly #name: string
  readonly #presence = new Presence()
  readonly #layout: Column['layout']
  #values: Numbers

  constructor(type: DataType, name: string) {
    this.#type = type
    this.#name = name
    this.#layout = layoutOf(type)
    this.#values = this.#room(64)
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
    const row = this.#presence.length
    const perRow = this.#layout === 'int128' ? 2 : 1
    if (perRow * row >= this.#values.length) {
      const larger = this.#room(2 * row)
      ;(larger as Uint8Array).set(this.#values as Uint8Array)
      this.#values = larger
    }
    if (value !== null && value !== undefined) this.#put(row, value)
    this.#presence.append(value !== null && value !== undefined)
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
    this.#values = this.#room(64)
    return { layout: this.#layout, ...rows, values } as Column
  }
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

class BytesBuilder implements ColumnBuilder {
  readonly #type: DataType
  readonly #name: string
  readonly #presence = new Presence()
  #offsets = new Int32Array(64)
  #bytes = Buffer.alloc(1024)
  #length = 0

  constructor(type: DataType, name: string) {
    this.#type = type
    this.#name = name
  }

  append(value: Value | undefined): void {
    const isThere = value !== null && value !== undefined
    if (typeof value === 'string') this.#appendText(value)
    else if (value instanceof Uint8Array) this.#appendBytes(value)
    else if (isThere) throw mismatch(this.#name, value, typeName(this.#type))
    this.#presence.append(isThere)
    const rows = this.#presence.length
    if (rows === this.#offsets.length) {
      const larger = new Int32Array(2 * rows)
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
    const larger = Buffer.allocUnsafe(Math.min(Math.max(needed, 2 * this.#bytes.length), bytesMax))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  finish(): Column {
    const rows = this.#presence.finish()
    const offsets = this.#offsets.subarray(0, rows.length + 1)
    const bytes = this.#bytes.subarray(0, this.#length)
    this.#offsets = new Int32Array(64)
    this.#bytes = Buffer.alloc(1024)
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

class ListBuilder implements ColumnBuilder {
  readonly #name: string
  readonly #element: ColumnBuilder
  readonly #presence = new Presence()
  #offsets: number[] = [0]
  #elements = 0

  constructor(name: string, element: ColumnBuilder) {
    this.#name = name
    this.#element = element
  }

  append(value: Value | undefined): void {
    const isThere = value !== null && value !== undefined
    if (isThere) {
      if (!Array.isArray(value)) throw mismatch(this.#name, value, 'array')
      for (const one of value) this.#element.append(one)
      this.#elements += value.length
    }
    this.#presence.append(isThere)
    this.#offsets.push(this.#elements)
  }

  finish(): Column {
    const offsets = Int32Array.from(this.#offsets)
    this.#offsets = [0]
    this.#elements = 0
    return { layout: 'list', ...this.#presence.finish(), offsets, element: this.#element.finish() }
  }
}

class MapBuilder implements ColumnBuilder {
  readonly #name: string
  readonly #key: ColumnBuilder
  readonly #value: ColumnBuilder
  readonly #presence = new Presence()
  #offsets: number[] = [0]
  #entries = 0

  constructor(name: string, key: ColumnBuilder, value: ColumnBuilder) {
    this.#name = name
    this.#key = key
    this.#value = value
  }

  append(value: Value | undefined): void {
    const isThere = value !== null && value !== undefined
    if (isThere) {
      for (const [key, one] of this.#entriesOf(value)) {
        this.#key.append(key)
        this.#value.append(one)
        this.#entries++
      }
    }
    this.#presence.append(isThere)
    this.#offsets.push(this.#entries)
  }

  #entriesOf(value: Exclude<Value, null>): Iterable<readonly [Value, Value]> {
    if (value instanceof Map) return value
    if (typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
      throw mismatch(this.#name, value, 'map')
    }
    return Object.entries(value)
  }

  finish(): Column {
    const children = [this.#key.finish(), this.#value.finish()]
    const element: Column = { layout: 'struct', length: this.#entries, validity: null, children }
    const offsets = Int32Array.from(this.#offsets)
    this.#offsets = [0]
    this.#entries = 0
    return { layout: 'list', ...this.#presence.finish(), offsets, element }
  }
}

class StructBuilder implements ColumnBuilder {
  readonly #name: string
  readonly #fields: readonly Field[]
  readonly #children: readonly ColumnBuilder[]
  readonly #presence = new Presence()

  constructor(name: string, fields: readonly Field[]) {
    this.#name = name
    this.#fields = fields
    // A field that may not be null still has no value where the struct has none.
    this.#children = fields.map(({ type, name: field }) => builderOfType(type, field))
  }

  append(value: Value | undefined): void {
    const isThere = value !== null && value !== undefined
    if (isThere && (typeof value !== 'object' || Array.isArray(value) || value instanceof Map)) {
      throw mismatch(this.#name, value, 'struct')
    }
    const row = (value ?? {}) as { [name: string]: Value }
    for (const [i, { name, isNullable }] of this.#fields.entries()) {
      const one = Object.hasOwn(row, name) ? row[name] : null
      if (isThere && !isNullable && (one === null || one === undefined)) {
        throw new RangeError(`No value for ${this.#name}.${name}`)
      }
      this.#children[i]!.append(one)
    }
    this.#presence.append(isThere)
  }

  finish(): Column {
    const children = this.#children.map((child) => child.finish())
    return { layout: 'struct', ...this.#presence.finish(), children }
  }
}
