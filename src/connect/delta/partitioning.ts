/**
 * Columns that a table is partitioned by: its own, or parts of a time, made from a column or from the record's
 * timestamp: `country, date(created) as day, hour($timestamp)`. Parts are of UTC; `date` is a date, the others are
 * integers.
 */
import { type DataType, type Field, typeName } from '../../tables/columns/column.ts'
import { dateText } from '../../tables/columns/json-text.ts'
import { timestampOf } from '../../tables/columns/text-values.ts'
import type { Value } from '../../tables/columns/value.ts'
import { DataException } from '../failures.ts'
import { Instant } from '../logical.ts'
import { nullable } from './column-types.ts'

type Part = 'date' | 'year' | 'month' | 'hour'

export interface DerivedColumn {
  readonly field: Field
  readonly part: Part
  /** A column; null: the record's timestamp. */
  readonly source: string | null
}

export interface Partitioning {
  readonly columns: readonly string[]
  readonly derived: readonly DerivedColumn[]
}

const recordTimestamp = '$timestamp'
const microsOfHour = 3_600_000_000n
const microsOfDay = 24n * microsOfHour

/** Throws an Error whose message says what is expected. */
export function parsePartitioning(items: readonly string[]): Partitioning {
  const columns: string[] = []
  const derived: DerivedColumn[] = []
  for (const item of items) {
    const column = derivedOf(item)
    const name = column?.field.name ?? item
    if (columns.includes(name)) throw new Error(`${name} comes twice`)
    columns.push(name)
    if (column !== null) derived.push(column)
    else if (!/^[^()$]+$/.test(item))
      throw new Error(`${item} is neither a column nor a part of one`)
  }
  return { columns, derived }
}

function derivedOf(item: string): DerivedColumn | null {
  const found = /^(\w+)\(\s*([^()]+?)\s*\)(?:\s+as\s+([^\s()]+))?$/.exec(item)
  if (found === null) return null
  const [, part = '', of = '', given] = found
  if (part !== 'date' && part !== 'year' && part !== 'month' && part !== 'hour') {
    throw new Error(`${part} is none of date, year, month, hour`)
  }
  const source = of === recordTimestamp ? null : of
  if (source?.startsWith('$') === true) throw new Error(`${source} is not ${recordTimestamp}`)
  const name = given ?? `${source ?? 'timestamp'}_${part}`
  const type: DataType = { kind: part === 'date' ? 'date' : 'int32' }
  return { field: nullable(name, type), part, source }
}

/** The part of a value that a column has, or of the record's timestamp in milliseconds. Throws DataException. */
export function derivedValue(
  { part, source, field }: DerivedColumn,
  value: Value,
  timestampMs: number | null,
  type: DataType | null,
): Instant | number | null {
  const micros =
    source === null
      ? timestampMs === null
        ? null
        : BigInt(timestampMs) * 1000n
      : microsOf(value, type, `${field.name}: ${source}`)
  if (micros === null) return null
  const days = floorDiv(micros, microsOfDay)
  if (part === 'date') return Instant.ofDays(Number(days))
  if (part === 'hour') return Number((micros - days * microsOfDay) / microsOfHour)
  const [, year, month] = /^([+-]?\d+)-(\d\d)-/.exec(dateText(Number(days)))!
  return Number(part === 'year' ? year : month)
}

function microsOf(value: Value, type: DataType | null, at: string): bigint | null {
  if (value === null || type === null) return null
  if (type.kind === 'timestamp') return value as bigint
  if (type.kind === 'date') return BigInt(value as number) * microsOfDay
  if (type.kind !== 'string')
    throw new DataException(`${at} is no time: it is of type ${typeName(type)}`)
  try {
    return timestampOf(value as string)
  } catch (cause) {
    throw new DataException(`${at} is no time: ${(cause as Error).message}`, { cause })
  }
}

function floorDiv(value: bigint, by: bigint): bigint {
  const whole = value / by
  return value % by < 0n ? whole - 1n : whole
}
