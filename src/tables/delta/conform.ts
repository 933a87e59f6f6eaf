/**
 * A file's columns made those of the table: found by their physical name or id, put in the table's order, absent ones
 * filled with nothing, and values of a narrower type widened.
 */

import { takeRows } from '../columns/batches.ts'
import {
  type Column,
  type DataType,
  type Field,
  fieldsWithin,
  layoutOf,
  typeName,
} from '../columns/column.ts'
import { unsupported } from './delta-error.ts'
import type { MappingMode, TableField } from './schema.ts'

/** The file's field that holds the table's, if there is one. */
export function fileFieldOf(
  field: TableField,
  fileFields: readonly Field[],
  mapping: MappingMode,
): Field | undefined {
  // What is no column of the table, as the type of a change, has no id.
  if (mapping === 'id' && field.fieldId !== undefined) {
    const found = fileFields.find(
      ({ fieldId }) => fieldId !== undefined && fieldId === field.fieldId,
    )
    if (found !== undefined || fileFields.some(({ fieldId }) => fieldId !== undefined)) return found
  }
  return fileFields.find(({ name }) => name === field.physicalName)
}

/** `length` rows without a value. */
export function emptyColumn(type: DataType, length: number): Column {
  const validity = new Uint8Array(length)
  const layout = layoutOf(type)
  switch (layout) {
    case 'null':
      return { layout, length, validity: null }
    case 'boolean':
      return { layout, length, validity, values: new Uint8Array(length) }
    case 'int32':
      return { layout, length, validity, values: new Int32Array(length) }
    case 'int64':
      return { layout, length, validity, values: new BigInt64Array(length) }
    case 'int128':
      return { layout, length, validity, values: new BigInt64Array(2 * length) }
    case 'float':
      return { layout, length, validity, values: new Float32Array(length) }
    case 'double':
      return { layout, length, validity, values: new Float64Array(length) }
    case 'bytes':
      return {
        layout,
        length,
        validity,
        offsets: new Int32Array(length + 1),
        bytes: new Uint8Array(),
      }
    case 'list': {
      const within = fieldsWithin(type).map((one) => emptyColumn(one.type, 0))
      const element: Column =
        type.kind === 'map'
          ? { layout: 'struct', length: 0, validity: null, children: within }
          : within[0]!
      return { layout, length, validity, offsets: new Int32Array(length + 1), element }
    }
    case 'struct': {
      const children = fieldsWithin(type).map((one) => emptyColumn(one.type, length))
      return { layout, length, validity, children }
    }
  }
}

/** `column` of type `from` as the table has it. Throws DeltaError where the types do not fit. */
export function conform(
  field: TableField,
  from: DataType,
  column: Column,
  mapping: MappingMode,
): Column {
  const { type, children } = field
  const { length, validity } = column
  if (type.kind === 'struct' && from.kind === 'struct' && column.layout === 'struct') {
    const found = children.map((child) => {
      const inFile = fileFieldOf(child, from.fields, mapping)
      if (inFile === undefined) return emptyColumn(child.type, length)
      const at = from.fields.indexOf(inFile)
      return conform(child, inFile.type, column.children[at]!, mapping)
    })
    return { layout: 'struct', length, validity, children: found }
  }
  if (type.kind === 'list' && from.kind === 'list' && column.layout === 'list') {
    const element = conform(children[0]!, from.element.type, column.element, mapping)
    return { ...column, element }
  }
  if (type.kind === 'map' && from.kind === 'map' && column.layout === 'list') {
    const entries = column.element
    if (entries.layout !== 'struct') throw misfit(field, from)
    const [key, value] = entries.children as [Column, Column]
    const made = [
      conform(children[0]!, from.key.type, key, mapping),
      conform(children[1]!, from.value.type, value, mapping),
    ]
    return { ...column, element: { ...entries, children: made } }
  }
  return widened(field, from, column)
}

function widened(field: TableField, from: DataType, column: Column): Column {
  const { type } = field
  if (from.kind === 'null' || type.kind === 'null') return emptyColumn(type, column.length)
  if (isSame(type, from)) return column
  const { length, validity } = column
  switch (column.layout) {
    case 'int32':
      return fromInt32(field, from, column)
    case 'float':
      if (type.kind !== 'double') break
      return { layout: 'double', length, validity, values: Float64Array.from(column.values) }
    case 'int64':
    case 'int128':
      return fromLong(field, from, column)
    default:
      break
  }
  throw misfit(field, from)
}

/** Kinds whose bytes are taken for those of another. */
function isSame(type: DataType, from: DataType): boolean {
  switch (type.kind) {
    case 'string':
      return ['string', 'enum', 'json', 'binary'].includes(from.kind)
    case 'binary':
      return layoutOf(from) === 'bytes'
    case 'decimal':
      return (
        from.kind === 'decimal' && from.scale === type.scale && layoutOf(from) === layoutOf(type)
      )
    case 'timestamp':
      return from.kind === 'timestamp' && from.unit === type.unit
    case 'int32':
      return ['int8', 'int16', 'int32', 'uint8', 'uint16'].includes(from.kind)
    case 'int8':
    case 'int16':
      return ['int8', 'int16', 'int32'].includes(from.kind)
    case 'int64':
      return from.kind === 'int64'
    case 'float':
      return from.kind === 'float' || from.kind === 'float16'
    default:
      return type.kind === from.kind
  }
}

function fromInt32(
  field: TableField,
  from: DataType,
  column: Column & { layout: 'int32' },
): Column {
  const { type } = field
  const { length, validity, values } = column
  if (from.kind === 'date') {
    if (type.kind !== 'timestamp' || type.isUtc) throw misfit(field, from)
    const days = BigInt64Array.from(values, (day) => BigInt(day) * 86_400_000_000n)
    return { layout: 'int64', length, validity, values: days }
  }
  const isUnsigned = from.kind === 'uint32'
  switch (type.kind) {
    case 'int64':
      return {
        layout: 'int64',
        length,
        validity,
        values: BigInt64Array.from(values, (one) => BigInt(isUnsigned ? one >>> 0 : one)),
      }
    case 'double':
      return { layout: 'double', length, validity, values: Float64Array.from(values) }
    case 'decimal':
      return decimals(type, 0, length, validity, (row) => BigInt(values[row]!))
    default:
      throw misfit(field, from)
  }
}

function fromLong(
  field: TableField,
  from: DataType,
  column: Column & { layout: 'int64' | 'int128' },
): Column {
  const { type } = field
  const { length, validity, values } = column
  if (type.kind === 'timestamp' && from.kind === 'timestamp') {
    const micros =
      from.unit === 'millis'
        ? values.map((one) => one * 1000n)
        : values.map((one) => (one - (((one % 1000n) + 1000n) % 1000n)) / 1000n)
    return { layout: 'int64', length, validity, values: micros }
  }
  if (type.kind === 'decimal' && (from.kind === 'decimal' || from.kind === 'int64')) {
    const scale = from.kind === 'decimal' ? from.scale : 0
    const at =
      column.layout === 'int64'
        ? (row: number) => values[row]!
        : (row: number) => (values[2 * row + 1]! << 64n) | BigInt.asUintN(64, values[2 * row]!)
    if (type.scale >= scale) return decimals(type, scale, length, validity, at)
  }
  if (type.kind === 'double' && from.kind === 'int64' && isExact(values)) {
    return { layout: 'double', length, validity, values: Float64Array.from(values, Number) }
  }
  throw misfit(field, from)
}

/** A double has all the digits of integers up to here. */
function isExact(values: BigInt64Array): boolean {
  const bound = BigInt(Number.MAX_SAFE_INTEGER)
  return values.every((value) => value <= bound && value >= -bound)
}

function decimals(
  type: DataType & { kind: 'decimal' },
  scale: number,
  length: number,
  validity: Column['validity'],
  at: (row: number) => bigint,
): Column {
  const factor = 10n ** BigInt(type.scale - scale)
  if (layoutOf(type) === 'int64') {
    const values = new BigInt64Array(length)
    for (let row = 0; row < length; row++) values[row] = at(row) * factor
    return { layout: 'int64', length, validity, values }
  }
  const values = new BigInt64Array(2 * length)
  for (let row = 0; row < length; row++) {
    const value = at(row) * factor
    values[2 * row] = value
    values[2 * row + 1] = value >> 64n
  }
  return { layout: 'int128', length, validity, values }
}

/** The one value of a column of one row, `length` times. */
export function repeated(column: Column, length: number): Column {
  return takeRows(column, new Int32Array(length))
}

function misfit({ name, type }: TableField, from: DataType): Error {
  return unsupported(
    `column ${name} is of type ${typeName(type)}, but a file has it as ${typeName(from)}`,
  )
}
