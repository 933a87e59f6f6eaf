/**
 * Single values taken out of columns, for whoever looks at a row: a command line, a predicate, a log. Not for
 * the fast path.
 *
 * | type | value |
 * | --- | --- |
 * | boolean | boolean |
 * | integers to 32 bits, float, double, date (days), time in milliseconds | number |
 * | int64, uint64, timestamp, other times, decimal (unscaled) | bigint |
 * | string, enum, json | string |
 * | binary, fixed, bson, uuid, interval | Uint8Array |
 * | list, map, struct | array, Map, object |
 */
import { type Column, type DataType, type Field, isValid } from './column.ts'

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Value[]
  | Map<Value, Value>
  | { [name: string]: Value }

/** The value at `row`, `null` where there is none. */
export function valueAt(type: DataType, column: Column, row: number): Value {
  if (!isValid(column, row)) return null
  switch (column.layout) {
    case 'null':
      return null
    case 'boolean':
      return column.values[row] === 1
    case 'int32':
      return type.kind === 'uint32' ? column.values[row]! >>> 0 : column.values[row]!
    case 'int64': {
      const value = column.values[row]!
      return type.kind === 'uint64' ? BigInt.asUintN(64, value) : value
    }
    case 'int128':
      return wideAt(column.values, row)
    case 'float':
    case 'double':
      return column.values[row]!
    case 'bytes': {
      const start = column.offsets[row]!
      const end = column.offsets[row + 1]!
      return isText(type) ? textOf(column.bytes, start, end) : column.bytes.subarray(start, end)
    }
    case 'list':
      return type.kind === 'map'
        ? mapAt(type, column, row)
        : listAt((type as DataType & { kind: 'list' }).element, column, row)
    case 'struct':
      return structAt((type as DataType & { kind: 'struct' }).fields, column.children, row)
  }
}

/** The row's values by the names of their fields. */
export function structAt(
  fields: readonly Field[],
  columns: readonly Column[],
  row: number,
): { [name: string]: Value } {
  // Not by assignment: a field may be named __proto__.
  return Object.fromEntries(
    fields.map(({ name, type }, i) => [name, valueAt(type, columns[i]!, row)]),
  )
}

function listAt(element: Field, column: Column & { layout: 'list' }, row: number): Value[] {
  const values: Value[] = []
  const end = column.offsets[row + 1]!
  for (let i = column.offsets[row]!; i < end; i++) {
    values.push(valueAt(element.type, column.element, i))
  }
  return values
}

/** Of two entries with one key the last counts. */
function mapAt(
  type: DataType & { kind: 'map' },
  column: Column & { layout: 'list' },
  row: number,
): Map<Value, Value> {
  const values = new Map<Value, Value>()
  const [keys, entries] = (column.element as Column & { layout: 'struct' }).children
  const end = column.offsets[row + 1]!
  for (let i = column.offsets[row]!; i < end; i++) {
    values.set(valueAt(type.key.type, keys!, i), valueAt(type.value.type, entries!, i))
  }
  return values
}

export function wideAt(words: BigInt64Array, row: number): bigint {
  return (words[2 * row + 1]! << 64n) | BigInt.asUintN(64, words[2 * row]!)
}

/** Whether the bytes of a type are UTF-8. */
export function isText({ kind }: DataType): boolean {
  return kind === 'string' || kind === 'enum' || kind === 'json'
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString()
}
