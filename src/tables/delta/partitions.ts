/**
 * Partitions: what files of a table have in common. Values are told by their text in the log; the directory that a file
 * lies in is named for them only so that people find their way.
 */
import { takeBatch } from '../columns/batches.ts'
import { type ColumnBatch, type DataType, typeName } from '../columns/column.ts'
import { dateText, decimalText, timestampText } from '../columns/json-text.ts'
import { valueOfText } from '../columns/text-values.ts'
import { type Value, valueAt } from '../columns/value.ts'
import type { FileAction } from './actions.ts'
import { corrupt, invalid, unsupported } from './delta-error.ts'
import type { TableField } from './schema.ts'

export interface Partition {
  /** By physical name. */
  readonly values: ReadonlyMap<string, string | null>
  /** The same for two partitions if they are one. */
  readonly key: string
}

/** The rows of a batch by partition, in the order in which partitions are met. */
export function partsOf(
  batch: ColumnBatch,
  partitionFields: readonly TableField[],
): readonly { partition: Partition; batch: ColumnBatch }[] {
  if (partitionFields.length === 0) return [{ partition: whole, batch }]
  const columns = partitionFields.map((field) => {
    const at = batch.fields.findIndex(({ name }) => name === field.name)
    return { field, column: batch.columns[at]! }
  })
  const parts = new Map<string, { partition: Partition; rows: number[] }>()
  for (let row = 0; row < batch.rowCount; row++) {
    const values = columns.map(({ field, column }) => {
      const text = partitionText(field.type, valueAt(field.type, column, row))
      if (text === null && !field.isNullable) {
        throw invalid(`column ${field.name} has no value in a row (an empty text is none)`)
      }
      return [field.physicalName, text] as const
    })
    const key = partitionKey(values)
    const part = parts.get(key)
    if (part !== undefined) part.rows.push(row)
    else parts.set(key, { partition: { values: new Map(values), key }, rows: [row] })
  }
  return [...parts.values()].map(({ partition, rows }) => ({
    partition,
    batch: rows.length === batch.rowCount ? batch : takeBatch(batch, Int32Array.from(rows)),
  }))
}

/** As `Partition.key`, of a file: two spellings of one value are one partition. Throws DeltaError. */
export function partitionKeyOf(file: PartitionedFile, fields: readonly TableField[]): string {
  const row = partitionRowOf(file, fields)
  return partitionKey(
    fields.map(({ name, type, physicalName }) => [
      physicalName,
      partitionText(type, row[name] ?? null),
    ]),
  )
}

type PartitionedFile = Pick<FileAction, 'path' | 'partitionValues'>

/** The values that all rows of a file share, by the names of their columns. Throws DeltaError. */
export function partitionRowOf(
  { path, partitionValues }: PartitionedFile,
  fields: readonly TableField[],
): { [name: string]: Value } {
  const values = fields.map(({ name, type, physicalName }): [string, Value] => {
    try {
      return [name, valueOfText(type, partitionValues.get(physicalName) ?? null)]
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw corrupt(`partition column ${name} of ${path}: ${error.message}`, { cause: error })
    }
  })
  return Object.fromEntries(values)
}

const whole: Partition = { values: new Map(), key: '' }

function partitionKey(values: readonly (readonly [string, string | null])[]): string {
  return JSON.stringify(values)
}

/** How the log spells a value. An empty text reads as no value, and is written as such. */
function partitionText(type: DataType, value: Value): string | null {
  if (value === null || value === '') return null
  switch (type.kind) {
    case 'string':
      return value as string
    case 'boolean':
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return String(value)
    case 'float':
    case 'double':
      return floatText(value as number)
    case 'decimal':
      return decimalText(value as bigint, type.scale)
    case 'date':
      return dateText(value as number)
    case 'timestamp': {
      const text = timestampText(value as bigint, 'micros')
      return type.isUtc ? `${text}Z` : text.replace('T', ' ')
    }
    default:
      throw unsupported(`a table partitioned by a column of type ${typeName(type)} is not written`)
  }
}

/** As Java spells it: always with a point. */
function floatText(value: number): string {
  const text = String(value)
  if (!/^-?\d+$/.test(text)) return text.replace('e+', 'E').replace('e-', 'E-')
  return `${Object.is(value, -0) ? '-0' : text}.0`
}

/** Characters that every file system takes, beside letters of all scripts. */
const unsafe = /[^\p{L}\p{N}_.-]|^\.+$|\.$/gu
/** Bytes of a name that every file system takes, with room for what encodings make of it. */
const nameBytesMax = 200

/** The directory of a partition's files with a slash behind it, empty where the table has none or names are too long. */
export function directoryOf({ values }: Partition): string {
  const names = [...values].map(
    ([name, value]) =>
      `${escaped(name)}=${value === null ? '__HIVE_DEFAULT_PARTITION__' : escaped(value)}`,
  )
  if (names.some((name) => Buffer.byteLength(name) > nameBytesMax)) return ''
  return names.map((name) => `${name}/`).join('')
}

function escaped(text: string): string {
  return text.replace(unsafe, (found) =>
    [...Buffer.from(found)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  )
}
