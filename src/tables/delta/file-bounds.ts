/**
 * What the log tells of the rows of a file without its being opened: the values of its partition, and its statistics as
 * far as they can be believed. What cannot be read of them is not known, and then the file is looked at.
 */
import type { DataType } from '../columns/column.ts'
import { type Json, parseJson } from '../columns/exact-json.ts'
import { rowOfJson } from '../columns/json-values.ts'
import {
  type ColumnBounds,
  isScalar,
  mayMatch,
  type Predicate,
  type Scalar,
  type ScalarPath,
} from '../columns/predicate.ts'
import type { Value } from '../columns/value.ts'
import type { AddAction } from './actions.ts'
import { partitionRowOf } from './partitions.ts'
import type { TableField, TableSchema } from './schema.ts'

export type BoundsOf = (path: ScalarPath) => ColumnBounds | undefined

type JsonObject = { readonly [name: string]: Json }

/** The greatest timestamp of statistics may have been cut off to the millisecond. */
const microsCutOff = 999n
/** A decimal of so many digits is the same after it was a double. */
const doubleDigits = 15
const [longLeast, longGreatest] = [-(2n ** 63n), 2n ** 63n - 1n]

/** Paths are of the names that the table's columns have. Throws DeltaError for values of a partition that are none. */
export function boundsOfFile(file: AddAction, schema: TableSchema): BoundsOf {
  let stats: JsonObject | null | undefined
  let partition: { readonly [name: string]: Value } | undefined
  return (path) => {
    const fields = fieldsAt(schema, path)
    const field = fields.at(-1)
    if (field === undefined || fields.length < path.length) return undefined
    if (fields.length === 1 && schema.partitionFields.includes(field)) {
      partition ??= partitionRowOf(file, schema.partitionFields)
      return boundsOfOne(partition[field.name] ?? null)
    }
    if (stats === undefined) stats = statsOf(file)
    if (stats === null) return undefined
    return boundsIn(
      stats,
      field,
      fields.map(({ physicalName }) => physicalName),
    )
  }
}

/** Whether a file may have rows that are wanted; `null`: all are. */
export function mayHaveRows(
  predicate: Predicate | null,
  schema: TableSchema,
): (file: AddAction) => boolean {
  return (file) => predicate === null || mayMatch(predicate, boundsOfFile(file, schema))
}

/** Rows in a file, those that a deletion vector deletes not among them; `null`: the log does not tell. */
export function rowCountOf(file: AddAction): number | null {
  const rows = recordsIn(statsOf(file) ?? {})
  return rows === null ? null : rows - (file.deletionVector?.cardinality ?? 0)
}

function boundsOfOne(value: Value): ColumnBounds {
  if (!isScalar(value)) return { rowCount: 1, nullCount: 1 }
  return { rowCount: 1, nullCount: 0, least: value, greatest: value }
}

function boundsIn(stats: JsonObject, field: TableField, path: readonly string[]): ColumnBounds {
  const rowCount = recordsIn(stats)
  const nulls = at(stats['nullCount'], path)
  // Where rows were deleted since they were taken, statistics count too many.
  const isKnown =
    rowCount !== null &&
    typeof nulls === 'number' &&
    (stats['tightBounds'] !== false || nulls === 0 || nulls === rowCount)
  return {
    rowCount: rowCount ?? 0,
    nullCount: isKnown ? nulls : undefined,
    least: scalarOf(field, at(stats['minValues'], path), 'least'),
    greatest: scalarOf(field, at(stats['maxValues'], path), 'greatest'),
    mayHaveNan: field.type.kind === 'float' || field.type.kind === 'double',
  }
}

function fieldsAt({ fields }: TableSchema, path: ScalarPath): TableField[] {
  const found: TableField[] = []
  let among = fields
  for (const name of path) {
    const field = among.find((one) => one.name === name)
    if (field === undefined) break
    found.push(field)
    among = field.type.kind === 'struct' ? field.children : []
  }
  return found
}

function statsOf({ stats }: AddAction): JsonObject | null {
  if (stats === null) return null
  try {
    return objectOf(parseJson(stats))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return null
  }
}

function recordsIn(stats: JsonObject): number | null {
  const rows = stats['numRecords']
  return typeof rows === 'number' && Number.isSafeInteger(rows) && rows >= 0 ? rows : null
}

function objectOf(json: Json | undefined): JsonObject | null {
  const isObject = typeof json === 'object' && json !== null && !Array.isArray(json)
  return isObject ? (json as JsonObject) : null
}

function at(json: Json | undefined, path: readonly string[]): Json | undefined {
  let value = json
  for (const name of path) {
    const object = objectOf(value)
    if (object === null || !Object.hasOwn(object, name)) return undefined
    value = object[name]
  }
  return value
}

function scalarOf(
  { name, type, metadata }: TableField,
  json: Json | undefined,
  as: 'least' | 'greatest',
): Scalar | undefined {
  // There is no one way to spell bytes: some writers escape what is not ASCII.
  if (json === undefined || json === null || type.kind === 'binary') return undefined
  let value: Value
  try {
    value = rowOfJson([{ name, type, isNullable: true }], Object.fromEntries([[name, json]]))[name]!
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return undefined
  }
  if (!isScalar(value) || Number.isNaN(value)) return undefined
  // The log has a float's shortest text, which as a double is another number.
  if (type.kind === 'float') return Math.fround(value as number)
  if (type.kind === 'double' && wasFloat(metadata)) return wideBound(value as number, as)
  if (type.kind === 'decimal') return decimalBound(type, value as bigint, as)
  const isCut = type.kind === 'timestamp' && as === 'greatest'
  return isCut ? (value as bigint) + microsCutOff : value
}

/** Statistics of files that are older than the wider type are a float's, too. */
function wasFloat({ 'delta.typeChanges': changes }: TableField['metadata']): boolean {
  return Array.isArray(changes) && changes.some((one) => objectOf(one)?.['fromType'] === 'float')
}

function wideBound(value: number, as: 'least' | 'greatest'): number {
  return Math[as === 'least' ? 'min' : 'max'](value, Math.fround(value))
}

/**
 * delta-rs makes doubles of decimals, and of whole ones the long that is nearest: what has more digits is no bound, but near
 * one, and what is beyond a long is cut off there.
 */
function decimalBound(
  { precision, scale }: DataType & { kind: 'decimal' },
  value: bigint,
  as: 'least' | 'greatest',
): bigint | undefined {
  if (precision <= doubleDigits) return value
  if (scale === 0 && value === (as === 'least' ? longLeast : longGreatest)) return undefined
  const rounded = (value < 0n ? -value : value) / 2n ** 50n
  return as === 'least' ? value - rounded : value + rounded
}
