/**
 * The columns that Connect's data needs in a Delta table.
 *
 * | Connect | Delta |
 * | --- | --- |
 * | INT8, INT16, INT32, INT64 | byte, short, integer, long |
 * | FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES | float, double, boolean, string, binary |
 * | Decimal | decimal(38, scale), or of the precision that the parameter `connect.decimal.precision` says |
 * | Date, Timestamp | date, timestamp |
 * | MicroTimestamp, LocalTimestamp | timestamp, timestamp_ntz |
 * | Time | integer, the milliseconds of the day: Delta has no such type |
 * | ARRAY, MAP, STRUCT | array, map, struct |
 *
 * Without a schema the value says it: integers are long, other numbers double, objects structs. What shows no
 * type, as null, an empty list or an empty object, has no column until some record shows one.
 */
import type { DataType, Field } from '../../tables/columns/column.ts'
import { mergedFields } from '../../tables/delta/evolve.ts'
import { type Schema, Struct, scaleOf } from '../data.ts'
import { DataException } from '../failures.ts'
import {
  Decimal,
  dateName,
  decimalName,
  Instant,
  localTimestampName,
  Micros,
  microTimestampName,
  timeName,
  timestampName,
} from '../logical.ts'

/** Lists and objects within others: more is no table. */
const depthMax = 50

export const timestampType: DataType = { kind: 'timestamp', unit: 'micros', isUtc: true }
const localTimestampType: DataType = { kind: 'timestamp', unit: 'micros', isUtc: false }

export function nullable(name: string, type: DataType): Field {
  return { name, type, isNullable: true }
}

/** Null: the schema has no field that could hold a value. Throws DataException. */
export function typeOfSchema(schema: Schema, at: string, depth = 0): DataType | null {
  if (depth > depthMax) throw tooDeep(at)
  const logical = logicalType(schema, at)
  if (logical !== null) return logical
  switch (schema.type) {
    case 'INT8':
      return { kind: 'int8' }
    case 'INT16':
      return { kind: 'int16' }
    case 'INT32':
      return { kind: 'int32' }
    case 'INT64':
      return { kind: 'int64' }
    case 'FLOAT32':
      return { kind: 'float' }
    case 'FLOAT64':
      return { kind: 'double' }
    case 'BOOLEAN':
      return { kind: 'boolean' }
    case 'STRING':
      return { kind: 'string' }
    case 'BYTES':
      return { kind: 'binary' }
    case 'ARRAY': {
      const type = typeOfSchema(schema.valueSchema!, `${at}[]`, depth + 1)
      return type && { kind: 'list', element: nullable('element', type) }
    }
    case 'MAP': {
      const key = typeOfSchema(schema.keySchema!, `${at} (key)`, depth + 1)
      const value = typeOfSchema(schema.valueSchema!, `${at} (value)`, depth + 1)
      if (key === null || value === null) return null
      const keyField = { ...nullable('key', key), isNullable: false }
      return { kind: 'map', key: keyField, value: nullable('value', value) }
    }
    case 'STRUCT':
      return structOrNothing(fieldsOfSchema(schema, at, depth + 1))
  }
}

/** Of a STRUCT. Throws DataException. */
export function fieldsOfSchema(struct: Schema, at = '', depth = 0): Field[] {
  return struct.fields.flatMap(({ name, schema }) => {
    const type = typeOfSchema(schema, pathOf(at, name), depth)
    return type === null ? [] : [nullable(name, type)]
  })
}

function logicalType(schema: Schema, at: string): DataType | null {
  switch (schema.name) {
    case dateName:
      return { kind: 'date' }
    case timestampName:
    case microTimestampName:
      return timestampType
    case localTimestampName:
      return localTimestampType
    case timeName:
      return { kind: 'int32' }
    case decimalName: {
      const scale = Math.max(0, scaleOf(schema))
      const said = schema.parameters?.get('connect.decimal.precision') ?? '38'
      const precision = Number(said)
      if (Number.isInteger(precision) && precision >= 1 && precision <= 38 && scale <= precision)
        return { kind: 'decimal', precision, scale }
      throw new DataException(
        `${at} is a decimal of precision ${said} and scale ${scale}: Delta's have up to 38 digits`,
      )
    }
    default:
      return null
  }
}

/** What a value without a schema shows; null: nothing. Throws DataException. */
export function typeOfValue(value: unknown, at: string, depth = 0): DataType | null {
  if (value === null || value === undefined) return null
  if (depth > depthMax) throw tooDeep(at)
  switch (typeof value) {
    case 'boolean':
    case 'string':
      return { kind: typeof value as 'boolean' | 'string' }
    case 'bigint':
      return { kind: 'int64' }
    case 'number':
      return { kind: 'double' }
    default:
      break
  }
  if (Array.isArray(value)) return typeOfList(value, at, depth)
  if (value instanceof Map) return structOrNothing(fieldsOfMap(value, at, depth + 1))
  if (value instanceof Struct) return typeOfSchema(value.schema, at, depth + 1)
  if (Buffer.isBuffer(value)) return { kind: 'binary' }
  if (value instanceof Instant) return timestampType
  if (value instanceof Micros) return value.isUtc ? timestampType : localTimestampType
  if (value instanceof Decimal) {
    return { kind: 'decimal', precision: 38, scale: Math.min(38, Math.max(0, value.scale)) }
  }
  throw new DataException(`${at} is of a type that no column has`)
}

/** The columns of an object without a schema. Throws DataException. */
export function fieldsOfMap(map: ReadonlyMap<unknown, unknown>, at = '', depth = 0): Field[] {
  const fields: Field[] = []
  for (const [name, value] of map) {
    if (typeof name !== 'string')
      throw new DataException(`${at || 'the record'} has keys that are no text`)
    const type = typeOfValue(value, pathOf(at, name), depth)
    if (type !== null) fields.push(nullable(name, type))
  }
  return fields
}

/** All elements together say what they are. */
function typeOfList(list: readonly unknown[], at: string, depth: number): DataType | null {
  let merged: readonly Field[] = []
  for (const value of list) {
    const type = typeOfValue(value, `${at}[]`, depth + 1)
    if (type === null) continue
    const wanted = [nullable('element', type)]
    merged = mergedFields(merged, wanted, { kept: [], mayWiden: true })
  }
  return merged.length === 0 ? null : { kind: 'list', element: merged[0]! }
}

function structOrNothing(fields: readonly Field[]): DataType | null {
  return fields.length === 0 ? null : { kind: 'struct', fields }
}

export function pathOf(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`
}

function tooDeep(at: string): DataException {
  return new DataException(`${at.slice(0, 100)}… is more than ${depthMax} levels deep`)
}
