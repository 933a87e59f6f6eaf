/** Which columns a record asks for, and whether a table may have them. */
import { type DataType, type Field, fieldsWithin } from '../../tables/columns/column.ts'
import { invalid } from '../../tables/delta/delta-error.ts'
import { mergedFields } from '../../tables/delta/evolve.ts'
import { hasNtz, refuseName } from '../../tables/delta/new-table.ts'
import { type Schema, Struct } from '../data.ts'
import { DataException } from '../failures.ts'
import type { SinkRecord } from '../records.ts'
import type { Advice } from './advice.ts'
import {
  fieldsOfMap,
  fieldsOfSchema,
  nullable,
  timestampType,
  typeOfSchema,
  typeOfValue,
} from './column-types.ts'
import { isObject } from './keyed-rows.ts'
import type { RecordColumns } from './row-fitting.ts'

/** What decides which columns a table may have. */
export interface ColumnLimits {
  /** There is no table yet: it is made of the fields, and of what its first rows need. */
  readonly isNew: boolean
  /** Names may have any characters (column mapping). */
  readonly isMapped: boolean
  /** It may have columns of the type timestamp_ntz, which is a feature of the table. */
  readonly mayHaveNtz: boolean
}

/** Columns and fields within them at most: each costs every commit, and records may be hostile. */
const columnsMax = 2000

/** The columns that a record would need if there were none; those of its value only where `isOfValue`. */
export function wantedColumns(
  record: SinkRecord,
  columns: RecordColumns,
  isOfValue: boolean,
): Field[] {
  const { kafka, partitioning } = columns
  const wanted: Field[] = []
  const column = (name: string | null, type: DataType | null) => {
    if (name !== null && type !== null) wanted.push(nullable(name, type))
  }
  column(kafka.topic, { kind: 'string' })
  column(kafka.partition, { kind: 'int32' })
  column(kafka.offset, { kind: 'int64' })
  column(kafka.timestamp, timestampType)
  wanted.push(...wantedOfKey(record, columns))
  column(kafka.headers, headersType)
  if (isOfValue) wanted.push(...wantedOfValue(record, columns))
  for (const { field } of partitioning.derived) wanted.push(field)
  return wanted
}

function wantedOfKey(
  { keySchema, key }: SinkRecord,
  { kafka, isUpsert }: RecordColumns,
): readonly Field[] {
  if (kafka.key === null) return []
  if (isUpsert && isObject(key)) return fieldsOfObject(keySchema, key)
  const type = shownType(keySchema, key, 'the key')
  return type === null ? [] : [nullable(kafka.key, type)]
}

function wantedOfValue(
  { valueSchema, value }: SinkRecord,
  { valueColumn }: RecordColumns,
): readonly Field[] {
  if (valueColumn !== null) {
    const type = shownType(valueSchema, value, 'the value')
    return type === null ? [] : [nullable(valueColumn, type)]
  }
  return isObject(value) ? fieldsOfObject(valueSchema, value) : []
}

/** What its schema leaves open, as that of plain JSON does, the object itself shows. */
function fieldsOfObject(
  schema: Schema | null,
  object: Struct | ReadonlyMap<unknown, unknown>,
): readonly Field[] {
  if (object instanceof Struct) return fieldsOfSchema(object.schema)
  const shown = fieldsOfMap(object)
  if (schema === null) return shown
  const said = fieldsOfSchema(schema)
  return mergedFields(said, shown, { kept: said, mayWiden: false })
}

const headersType: DataType = {
  kind: 'list',
  element: nullable('element', {
    kind: 'struct',
    fields: [nullable('key', { kind: 'string' }), nullable('value', { kind: 'string' })],
  }),
}

function shownType(schema: Schema | null, value: unknown, at: string): DataType | null {
  return schema === null ? typeOfValue(value, at) : typeOfSchema(schema, at)
}

/** Throws DataException for columns that a table cannot have. */
export function refuseColumns(
  fields: readonly Field[],
  { isMapped, mayHaveNtz, isNew }: ColumnLimits,
  advice: Advice,
): void {
  refuseNames(fields, isMapped, isNew ? advice.mapping : advice.unmapped)
  try {
    const local = fields.find(({ type }) => hasNtz(type))
    if (local !== undefined && !mayHaveNtz)
      throw invalid(`column ${local.name} needs the feature timestampNtz, which the table has not`)
    if (countOf(fields) > columnsMax)
      throw invalid(`there would be more than ${columnsMax} columns`)
  } catch (cause) {
    throw new DataException((cause as Error).message, { cause })
  }
}

function refuseNames(fields: readonly Field[], isMapped: boolean, advice: string): void {
  try {
    for (const field of fields) refuseName(field, isMapped)
  } catch (cause) {
    const { message } = cause as Error
    throw new DataException(isMapped ? message : `${message}: ${advice}`, { cause })
  }
}

function countOf(fields: readonly Field[]): number {
  return fields.reduce((sum, { type }) => sum + 1 + countOf(fieldsWithin(type)), 0)
}
