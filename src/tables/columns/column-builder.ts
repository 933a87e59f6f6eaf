/**
 * Columns built value by value, for rows that come as objects: from a command line, a log, a connector. The
 * values are those that `value.ts` takes out again; besides, a number may stand for a bigint, and a
 * plain object for a map with text for keys. What a type cannot hold is refused with a RangeError.
 */
import { type Column, type ColumnBatch, type DataType, type Field, layoutOf } from './column.ts'
import {
  BytesBuilder,
  type ColumnBuilder,
  mismatch,
  NumberBuilder,
  Presence,
} from './leaf-builders.ts'
import type { Value } from './value.ts'

/** A column for each field, filled row by row. */
export class BatchBuilder {
  readonly #fields: readonly Field[]
  readonly #builders: readonly ColumnBuilder[]
  #rowCount = 0

  constructor(fields: readonly Field[]) {
    this.#fields = fields
    this.#builders = fields.map(builderOf)
  }

  /** In the order of the fields. Who appends to them ends each row, or drops it. */
  get columns(): readonly ColumnBuilder[] {
    return this.#builders
  }

  endRow(): void {
    this.#rowCount++
  }

  /** What has been appended since the last row was ended. */
  dropRow(): void {
    for (const builder of this.#builders) builder.truncate(this.#rowCount)
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
  return field.isNullable ? builder : new RequiredBuilder(name, builder)
}

/** A column that has a value in each row. */
export class RequiredBuilder implements ColumnBuilder {
  readonly #name: string
  readonly within: ColumnBuilder

  constructor(name: string, within: ColumnBuilder) {
    this.#name = name
    this.within = within
  }

  append(value: Value | undefined): void {
    if (value === null || value === undefined) throw new RangeError(`No value for ${this.#name}`)
    this.within.append(value)
  }

  truncate(length: number): void {
    this.within.truncate(length)
  }

  finish(): Column {
    return this.within.finish()
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

export class ListBuilder implements ColumnBuilder {
  readonly #name: string
  readonly element: ColumnBuilder
  readonly #presence = new Presence()
  #offsets: number[] = [0]
  #elements = 0

  constructor(name: string, element: ColumnBuilder) {
    this.#name = name
    this.element = element
  }

  append(value: Value | undefined): void {
    const isThere = value !== null && value !== undefined
    if (!isThere) {
      this.#endRow(false)
      return
    }
    if (!Array.isArray(value)) throw mismatch(this.#name, value, 'array')
    for (const one of value) this.element.append(one)
    this.appendElements(value.length)
  }

  /** A row of so many elements, which have been appended to `element`. */
  appendElements(count: number): void {
    this.#elements += count
    this.#endRow(true)
  }

  /** Elements of a row that was not ended are gone too. */
  truncate(length: number): void {
    this.#presence.truncate(length)
    this.#offsets.length = length + 1
    this.#elements = this.#offsets[length]!
    this.element.truncate(this.#elements)
  }

  #endRow(isThere: boolean): void {
    this.#presence.append(isThere)
    this.#offsets.push(this.#elements)
  }

  finish(): Column {
    const offsets = new Int32Array(this.#offsets)
    this.#offsets = [0]
    this.#elements = 0
    return { layout: 'list', ...this.#presence.finish(), offsets, element: this.element.finish() }
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

  truncate(length: number): void {
    this.#presence.truncate(length)
    this.#offsets.length = length + 1
    this.#entries = this.#offsets[length]!
    this.#key.truncate(this.#entries)
    this.#value.truncate(this.#entries)
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
    const offsets = new Int32Array(this.#offsets)
    this.#offsets = [0]
    this.#entries = 0
    return { layout: 'list', ...this.#presence.finish(), offsets, element }
  }
}

export class StructBuilder implements ColumnBuilder {
  readonly #name: string
  readonly #fields: readonly Field[]
  readonly children: readonly ColumnBuilder[]
  readonly #presence = new Presence()

  constructor(name: string, fields: readonly Field[]) {
    this.#name = name
    this.#fields = fields
    // A field that may not be null still has no value where the struct has none.
    this.children = fields.map(({ type, name: field }) => builderOfType(type, field))
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
      this.children[i]!.append(one)
    }
    this.#presence.append(isThere)
  }

  /** A row whose fields have been appended to `children`. */
  appendPresent(): void {
    this.#presence.append(true)
  }

  truncate(length: number): void {
    this.#presence.truncate(length)
    for (const child of this.children) child.truncate(length)
  }

  finish(): Column {
    const children = this.children.map((child) => child.finish())
    return { layout: 'struct', ...this.#presence.finish(), children }
  }
}
