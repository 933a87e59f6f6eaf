/**
 * Rows held as columns: what decoders fill, encoders read, and Delta and the converters hand around. A
 * column is a few typed arrays, whatever it holds; no value is an object of its own.
 *
 * A type says what the values mean, a layout how they lie in memory, and the layout follows from the type
 * alone (`layoutOf`). Nested columns are as in Arrow: a struct's children are as long as the struct, and a
 * list of `length` rows has `length + 1` offsets into one child column. A map is a list whose elements are
 * structs of key and value. Where a value is missing its place is there, with anything in it.
 */

export type TimeUnit = 'millis' | 'micros' | 'nanos'

export type DataType =
  | { readonly kind: PlainKind }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  /** Bytes of one length, in the layout `bytes`. */
  | { readonly kind: 'fixed'; readonly size: number }
  | { readonly kind: 'time'; readonly unit: TimeUnit; readonly isUtc: boolean }
  /** Units since 1970; `isUtc` false: without time zone. */
  | { readonly kind: 'timestamp'; readonly unit: TimeUnit; readonly isUtc: boolean }
  | { readonly kind: 'list'; readonly element: Field }
  | { readonly kind: 'map'; readonly key: Field; readonly value: Field }
  | { readonly kind: 'struct'; readonly fields: readonly Field[] }

export type PlainKind =
  | 'null'
  | 'boolean'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'float16'
  | 'float'
  | 'double'
  | 'string'
  | 'enum'
  | 'json'
  | 'bson'
  | 'binary'
  /** 16 bytes, big-endian. */
  | 'uuid'
  /** Days since 1970-01-01. */
  | 'date'
  /** 12 bytes: months, days, milliseconds, each an unsigned little-endian int32. */
  | 'interval'

export interface Field {
  readonly name: string
  readonly type: DataType
  readonly isNullable: boolean
  /** Parquet's `field_id`, by which Delta's column mapping finds a column. */
  readonly fieldId?: number
}

export type Layout = Column['layout']

/** One byte a row: 1 where there is a value. `null`: there is one in every row. */
export type Validity = Uint8Array | null

interface Rows {
  /** Rows, those without a value included. */
  readonly length: number
  readonly validity: Validity
}

export interface NullColumn extends Rows {
  readonly layout: 'null'
}
/** 0 or 1 a row. */
export interface BooleanColumn extends Rows {
  readonly layout: 'boolean'
  readonly values: Uint8Array
}
/** Integers to 32 bits (uint32 as its bits), dates, times in milliseconds. */
export interface Int32Column extends Rows {
  readonly layout: 'int32'
  readonly values: Int32Array
}
/** Integers of 64 bits (uint64 as its bits), timestamps, other times, decimals of up to 18 digits. */
export interface Int64Column extends Rows {
  readonly layout: 'int64'
  readonly values: BigInt64Array
}
/** Decimals of more than 18 digits: two words a row, the lower one first. */
export interface Int128Column extends Rows {
  readonly layout: 'int128'
  readonly values: BigInt64Array
}
export interface FloatColumn extends Rows {
  readonly layout: 'float'
  readonly values: Float32Array
}
export interface DoubleColumn extends Rows {
  readonly layout: 'double'
  readonly values: Float64Array
}
/** Row i is `bytes[offsets[i], offsets[i + 1])`; a row without a value is empty. */
export interface BytesColumn extends Rows {
  readonly layout: 'bytes'
  readonly offsets: Int32Array
  readonly bytes: Uint8Array
}
/** Row i holds the elements from `offsets[i]` to before `offsets[i + 1]`; one without a value none. */
export interface ListColumn extends Rows {
  readonly layout: 'list'
  readonly offsets: Int32Array
  readonly element: Column
}
export interface StructColumn extends Rows {
  readonly layout: 'struct'
  readonly children: readonly Column[]
}

export type Column =
  | NullColumn
  | BooleanColumn
  | Int32Column
  | Int64Column
  | Int128Column
  | FloatColumn
  | DoubleColumn
  | BytesColumn
  | ListColumn
  | StructColumn

export interface ColumnBatch {
  readonly rowCount: number
  readonly fields: readonly Field[]
  /** One for each field, each of `rowCount` rows. */
  readonly columns: readonly Column[]
}

const decimalDigitsOfInt64 = 18

/** How values of a type lie in memory. */
export function layoutOf(type: DataType): Layout {
  switch (type.kind) {
    case 'null':
    case 'boolean':
    case 'float':
    case 'double':
    case 'list':
    case 'struct':
      return type.kind
    case 'float16':
      return 'float'
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'date':
      return 'int32'
    case 'int64':
    case 'uint64':
    case 'timestamp':
      return 'int64'
    case 'time':
      return type.unit === 'millis' ? 'int32' : 'int64'
    case 'decimal':
      return type.precision <= decimalDigitsOfInt64 ? 'int64' : 'int128'
    case 'map':
      return 'list'
    case 'string':
    case 'enum':
    case 'json':
    case 'bson':
    case 'binary':
    case 'uuid':
    case 'interval':
    case 'fixed':
      return 'bytes'
  }
}

const namesOfKinds: Readonly<Partial<Record<DataType['kind'], string>>> = {
  int8: 'byte',
  int16: 'short',
  int32: 'integer',
  int64: 'long',
  null: 'void',
  list: 'array',
}

/** The name that people know a type by: as a Delta schema has it, where it has it. */
export function typeName(type: DataType): string {
  if (type.kind === 'decimal') return `decimal(${type.precision},${type.scale})`
  if (type.kind === 'timestamp') return type.isUtc ? 'timestamp' : 'timestamp_ntz'
  return namesOfKinds[type.kind] ?? type.kind
}

/** The fields below a type, as its column has children: a list has one, a map key and value. */
export function fieldsWithin(type: DataType): readonly Field[] {
  switch (type.kind) {
    case 'list':
      return [type.element]
    case 'map':
      return [type.key, type.value]
    case 'struct':
      return type.fields
    default:
      return []
  }
}

export function isValid(column: Column, row: number): boolean {
  if (column.layout === 'null') return false
  return column.validity === null || column.validity[row] === 1
}
