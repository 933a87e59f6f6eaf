/**
 * Columns that a table is partitioned by: its own, or parts of a time, made from a column or from the record's
 * timestamp: `country, date(created) as day, hour($timestamp)`. Parts are of UTC; `date` is a date, the others are
 * integers.
 */
import { parsePartitionItems } from '../../config/table-configs.ts'
import { type DataType, type Field, typeName } from '../../tables/columns/column.ts'
import { dateText } from '../../tables/columns/json-text.ts'
import { timestampOf } from '../../tables/columns/text-values.ts'
import type { Value } from '../../tables/columns/value.ts'
import { DataException } from '../failures.ts'
import { Instant } from '../logical.ts'
import { nullable } from './column-types.ts'

export interface DerivedColumn {
  readonly field: Field
  readonly part: 'date' | 'year' | 'month' | 'hour'
  /** A column; null: the record's timestamp. */
  readonly source: string | null
}

export interface Partitioning {
  readonly columns: readonly string[]
  readonly derived: readonly DerivedColumn[]
}

const microsOfHour = 3_600_000_000n
const microsOfDay = 24n * microsOfHour

/** Throws an Error whose message says what is expected. */
export function parsePartitioning(items: readonly string[]): Partitioning {
  const parsed = parsePartitionItems(items)
  const derived = parsed.flatMap(({ name, derived: found }): DerivedColumn[] => {
    if (found === null) return []
    const type: DataType = { kind: found.part === 'date' ? 'date' : 'int32' }
    return [{ field: nullable(name, type), ...found }]
  })
  return { columns: parsed.map(({ name }) => name), derived }
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
