/**
 * Between the bytes of a record's headers and data. The usual one is Kafka Connect's simple converter:
 * headers are texts, whose type is found by looking: null, booleans, the smallest integer that fits,
 * floats, decimals, dates and times (ISO 8601, as Kafka writes them), lists and maps in JSON; the rest are
 * strings.
 */

import { daysOf } from '../../tables/columns/calendar.ts'
import type { Settings } from '../config-def.ts'
import {
  arrayOf,
  date,
  decimalOf,
  equalSchemas,
  mapOf,
  nullValue,
  type PrimitiveType,
  primitive,
  type Schema,
  type SchemaAndValue,
  Struct,
  time,
  timestamp,
} from '../data.ts'
import { ConnectException, DataException } from '../failures.ts'
import { Fraction, type Json, parseJson } from '../json-text.ts'
import { Decimal, dateName, Instant, timeName } from '../logical.ts'
import { isoText } from '../value-text.ts'
import { nameOfClass } from './known-converters.ts'
import { byteArrayConverter, stringConverter } from './primitives.ts'

export interface HeaderConverter {
  /** Throws DataException. */
  fromConnectHeader(topic: string, schema: Schema | null, value: unknown): Buffer | null
  toConnectHeader(topic: string, bytes: Buffer | null): SchemaAndValue
}

export interface NamedHeaderConverter {
  readonly className: string
  readonly converter: HeaderConverter
}

const prefix = 'org.apache.kafka.connect'
const simpleName = `${prefix}.storage.SimpleHeaderConverter`

const headerConverters: ReadonlyMap<string, () => HeaderConverter> = new Map([
  [simpleName, simpleHeaderConverter],
  [`${prefix}.storage.StringConverter`, () => ofConverter(stringConverter(new Map()))],
  [`${prefix}.converters.ByteArrayConverter`, () => ofConverter(byteArrayConverter())],
])

export const headerConverterNames: readonly string[] = [...headerConverters.keys()]

/** The connector's own, or the worker's. Throws ConnectException. */
export function headerConverterOf(settings: Settings, worker: Settings): NamedHeaderConverter {
  const setting = 'header.converter'
  const name = settings.get(setting) ?? worker.get(setting) ?? simpleName
  const found = nameOfClass(headerConverters.keys(), name, 'Converter')
  if (found === undefined)
    throw new ConnectException(
      `Invalid value ${name} for configuration ${setting}: Class ${name} could not be found.`,
    )
  return { className: found, converter: headerConverters.get(found)!() }
}

function ofConverter(converter: ReturnType<typeof stringConverter>): HeaderConverter {
  return {
    fromConnectHeader: (topic, schema, value) => converter.fromConnectData(topic, schema, value),
    toConnectHeader: (topic, bytes) => converter.toConnectData(topic, bytes),
  }
}

function simpleHeaderConverter(): HeaderConverter {
  return {
    fromConnectHeader: (_topic, schema, value) =>
      value === null || value === undefined ? null : Buffer.from(headerText(schema, value)),
    toConnectHeader: (_topic, bytes) =>
      bytes === null ? nullValue : valueOfText(bytes.toString('utf8')),
  }
}

/** A value as the text of a header. */
function headerText(schema: Schema | null, value: unknown): string {
  if (typeof value === 'string') return value
  return embeddedText(schema, value)
}

function embeddedText(schema: Schema | null, value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (value instanceof Instant) {
    const text = isoText(value)
    if (schema?.name === dateName) return text.slice(0, -'T00:00:00.000Z'.length)
    return schema?.name === timeName ? text.slice(-'00:00:00.000Z'.length) : text
  }
  if (Array.isArray(value))
    return `[${value.map((each) => embeddedText(schema?.valueSchema ?? null, each)).join(',')}]`
  if (value instanceof Map) {
    const entries = Array.from(
      value,
      ([key, each]) =>
        `${embeddedText(schema?.keySchema ?? null, key)}:${embeddedText(schema?.valueSchema ?? null, each)}`,
    )
    return `{${entries.join(',')}}`
  }
  if (value instanceof Struct) {
    const entries = value.schema.fields.map(
      ({ name, schema: of }) => `${JSON.stringify(name)}:${embeddedText(of, value.get(name))}`,
    )
    return `{${entries.join(',')}}`
  }
  return String(value)
}

/** The value that a text stands for; a string where it is nothing else. */
export function valueOfText(text: string): SchemaAndValue {
  const found = scalarOf(text.trim())
  if (found !== undefined) return found
  if (/^\s*[[{]/.test(text)) {
    try {
      return inferred(parseJson(text))
    } catch (error) {
      if (!(error instanceof DataException)) throw error
    }
  }
  return { schema: primitive('STRING'), value: text }
}

/** Undefined: it is none. */
function scalarOf(text: string): SchemaAndValue | undefined {
  if (text === 'null') return nullValue
  if (text === 'true' || text === 'false')
    return { schema: primitive('BOOLEAN'), value: text === 'true' }
  return temporalOf(text) ?? numberOf(text)
}

function temporalOf(text: string): SchemaAndValue | undefined {
  const match =
    /^(?:(\d{4})-(\d\d)-(\d\d))?(T?)(?:(\d\d):(\d\d):(\d\d)\.(\d{3})Z)?$/.exec(text) ?? []
  const [, year, month, day, separator, hours, minutes, seconds, ms] = match
  const days = year === undefined ? null : daysOf(Number(year), Number(month), Number(day))
  const ofDay =
    hours === undefined
      ? null
      : ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + Number(ms)
  if (days !== null && ofDay !== null && separator === 'T')
    return { schema: timestamp(), value: new Instant(days * 86_400_000 + ofDay) }
  if (separator !== '') return undefined
  if (days !== null && ofDay === null) return { schema: date(), value: Instant.ofDays(days) }
  if (days === null && ofDay !== null) return { schema: time(), value: new Instant(ofDay) }
  return undefined
}

const integerTypes: readonly (readonly [PrimitiveType, number])[] = [
  ['INT8', 8],
  ['INT16', 16],
  ['INT32', 32],
]

/** Digits beyond which a text is no number that anybody sent. */
const digitsMax = 1000

function numberOf(text: string): SchemaAndValue | undefined {
  if (text.length > digitsMax || !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/.test(text))
    return undefined
  // Before anything else a sign or a digit: `.5` is a text.
  if (text.startsWith('.')) return undefined
  if (/^[+-]?\d+$/.test(text)) return integerOf(BigInt(text.replace(/^\+/, '')))
  const value = Number(text)
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 53) return integerOf(BigInt(value))
  const narrow = Math.fround(value)
  if (Number.isFinite(narrow)) return { schema: primitive('FLOAT32'), value: narrow }
  return { schema: primitive('FLOAT64'), value }
}

function integerOf(value: bigint): SchemaAndValue {
  for (const [type, bits] of integerTypes)
    if (BigInt.asIntN(bits, value) === value)
      return { schema: primitive(type), value: Number(value) }
  if (BigInt.asIntN(64, value) === value) return { schema: primitive('INT64'), value }
  return { schema: decimalOf(0), value: new Decimal(value, 0) }
}

/** Lists and maps whose members have one type have it too; others have no schema. */
function inferred(json: Json): SchemaAndValue {
  if (json === null) return nullValue
  if (typeof json === 'boolean') return { schema: primitive('BOOLEAN'), value: json }
  if (typeof json === 'bigint') return integerOf(json)
  if (json instanceof Fraction) return numberOf(json.text) ?? nullValue
  if (typeof json === 'string')
    return temporalOf(json) ?? { schema: primitive('STRING'), value: json }
  if (Array.isArray(json)) {
    const members = json.map(inferred)
    const { schema, values } = merged(members)
    return { schema: schema === null ? null : arrayOf(schema), value: values }
  }
  const names = [...json.keys()]
  const { schema, values } = merged([...json.values()].map(inferred))
  return {
    schema: schema === null ? null : mapOf(primitive('STRING'), schema),
    value: new Map(names.map((name, index) => [name, values[index]])),
  }
}

const integerOrder: readonly string[] = ['INT8', 'INT16', 'INT32', 'INT64']

function merged(members: readonly SchemaAndValue[]): { schema: Schema | null; values: unknown[] } {
  const schemas = members.flatMap(({ schema }) => schema ?? [])
  const [first] = schemas
  const hasNull = members.some(({ value }) => value === null)
  const ranks = schemas.map(({ type, name }) => (name === null ? integerOrder.indexOf(type) : -1))
  if (first !== undefined && ranks.every((rank) => rank >= 0)) {
    const type = integerOrder[Math.max(...ranks)] as PrimitiveType
    const widen = (value: unknown) =>
      type === 'INT64' && typeof value === 'number' ? BigInt(value) : value
    return {
      schema: primitive(type, { optional: hasNull }),
      values: members.map(({ value }) => widen(value)),
    }
  }
  const values = members.map(({ value }) => value)
  const isUniform = first !== undefined && schemas.every((each) => equalSchemas(first, each))
  if (!isUniform || (hasNull && !(first.type === 'STRING'))) return { schema: null, values }
  return { schema: hasNull ? primitive('STRING', { optional: true }) : first, values }
}
