/**
 * Defaults: JSON in an Avro schema, values in Connect's. Bytes are texts of one character a byte.
 */
import { type Schema, Struct, scaleOf, validate } from '../data.ts'
import { DataException } from '../failures.ts'
import { Fraction, float32Json, floatJson, type Json } from '../json-text.ts'
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

/** Null where it is none of the schema: a default that makes no sense is left out. */
export function valueOfDefault(schema: Schema, json: Json): unknown {
  try {
    const value = valueIn(schema, json)
    validate(schema, value)
    return value
  } catch (error) {
    if (error instanceof DataException) return null
    throw error
  }
}

/** Throws DataException. */
function valueIn(schema: Schema, json: Json): unknown {
  if (json === null) return null
  if (typeof json === 'bigint') return integer(schema, json)
  if (json instanceof Fraction) return Number(json.text)
  if (typeof json === 'string') return text(schema, json)
  if (typeof json === 'boolean') return json
  if (Array.isArray(json)) {
    if (schema.type !== 'ARRAY') throw new DataException(`No default of ${schema.toString()}`)
    return json.map((element) => valueIn(schema.valueSchema!, element))
  }
  if (schema.type === 'MAP')
    return new Map(Array.from(json, ([key, value]) => [key, valueIn(schema.valueSchema!, value)]))
  const struct = new Struct(schema)
  for (const field of schema.fields) {
    const given = json.get(field.name)
    struct.put(
      field.name,
      given === undefined ? field.schema.defaultValue : valueIn(field.schema, given),
    )
  }
  return struct
}

function integer({ type, name }: Schema, value: bigint): unknown {
  if (name === dateName) return Instant.ofDays(Number(value))
  if (name === timeName || name === timestampName) return new Instant(Number(value))
  if (name === microTimestampName) return new Micros(value, true)
  if (name === localTimestampName) return new Micros(value, false)
  return type === 'INT64' ? value : Number(value)
}

function text(schema: Schema, value: string): unknown {
  if (schema.type === 'STRING') return value
  if (schema.type === 'FLOAT32' || schema.type === 'FLOAT64') return Number(value)
  const bytes = Buffer.from(value, 'latin1')
  return schema.name === decimalName ? Decimal.fromBytes(bytes, scaleOf(schema)) : bytes
}

export function jsonOfDefault(schema: Schema, value: unknown): Json {
  if (value === null || value === undefined) return null
  if (value instanceof Decimal) return value.toBytes().toString('latin1')
  if (value instanceof Instant) {
    if (schema.name === dateName) return BigInt(value.toDays())
    return BigInt(schema.name === timeName ? value.toTimeOfDay() : value.epochMs)
  }
  if (typeof value === 'number') {
    if (schema.type === 'FLOAT64') return floatJson(value)
    return schema.type === 'FLOAT32' ? float32Json(value) : BigInt(value)
  }
  if (Buffer.isBuffer(value)) return value.toString('latin1')
  if (Array.isArray(value)) return value.map((item) => jsonOfDefault(schema.valueSchema!, item))
  if (value instanceof Struct)
    return new Map(
      schema.fields.map((field) => [
        field.name,
        jsonOfDefault(field.schema, value.get(field.name)),
      ]),
    )
  if (!(value instanceof Map)) return value as Json
  const pairs = Array.from(value, ([key, element]): [Json, Json] => [
    jsonOfDefault(schema.keySchema!, key),
    jsonOfDefault(schema.valueSchema!, element),
  ])
  return schema.keySchema!.type === 'STRING'
    ? new Map(pairs.map(([key, element]) => [String(key), element]))
    : pairs
}
