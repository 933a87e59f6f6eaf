/**
 * JSON, as Kafka Connect's JsonConverter writes and reads it: with `schemas.enable` (the default) an
 * envelope of exactly `schema` and `payload`, else the payload alone. Decimals are base64 of their bytes
 * or, with `decimal.format=NUMERIC`, numbers with all their digits.
 *
 * It is stricter than Kafka's where that one would land a wrong value: a number beyond its type's range,
 * or a text where a number belongs, is an error here, and 0 or cut off there.
 */
import type { Schema, SchemaAndValue } from '../data.ts'
import { describe, nullValue, Struct, scaleOf, typeOf, validate } from '../data.ts'
import { ConnectException, DataException } from '../failures.ts'
import { Fraction, float32Json, floatJson, type Json, parseJson, writeJson } from '../json-text.ts'
import { Decimal, dateName, decimalName, Instant, timeName, timestampName } from '../logical.ts'
import { booleanOption, type ConverterOptions, type ImmediateConverter } from './converter.ts'
import { schemaFromJson, schemaToJson } from './json-schema.ts'

export class JsonConverter implements ImmediateConverter {
  readonly #schemasEnabled: boolean
  readonly #values: JsonValues
  readonly #cacheSize: number
  /** `schema.content`: what payloads without an envelope are read with (KIP-1054). */
  readonly #given: Schema | null
  /** Schemas by their text, so that records of one schema share it. */
  readonly #read = new Map<string, Schema | null>()
  readonly #written = new WeakMap<Schema, string>()

  /** Throws ConnectException where an option is none. */
  constructor(options: ConverterOptions) {
    this.#schemasEnabled = booleanOption(options, 'schemas.enable', true)
    const format = (options.get('decimal.format') ?? 'BASE64').toUpperCase()
    if (format !== 'BASE64' && format !== 'NUMERIC')
      throw new ConnectException(
        `Invalid value ${format} for configuration decimal.format: String must be one of (case insensitive): NUMERIC, BASE64`,
      )
    this.#values = new JsonValues(
      format === 'NUMERIC',
      booleanOption(options, 'replace.null.with.default', true),
    )
    this.#cacheSize = cacheSize(options.get('schemas.cache.size'))
    const content = options.get('schema.content') ?? ''
    this.#given = content === '' ? null : this.#schemaOf(parseJson(content))
  }

  /** What it reads is JSON as it is, without schemas. */
  get isSchemaless(): boolean {
    return !this.#schemasEnabled
  }

  fromConnectData(_topic: string, schema: Schema | null, value: unknown): Buffer | null {
    if (schema === null && (value === null || value === undefined)) return null
    const payload = writeJson(this.#values.toJson(schema, value))
    if (!this.#schemasEnabled) return Buffer.from(payload)
    return Buffer.from(`{"schema":${this.#schemaText(schema)},"payload":${payload}}`)
  }

  toConnectData(_topic: string, bytes: Buffer | null): SchemaAndValue {
    if (bytes === null) return nullValue
    if (!this.#schemasEnabled && bytes.length === 0) return nullValue
    const json = bytes.length === 0 ? null : parseJson(textOf(bytes))
    if (!this.#schemasEnabled) return { schema: null, value: this.#values.fromJson(null, json) }
    if (this.#given !== null)
      return { schema: this.#given, value: this.#values.fromJson(this.#given, json) }
    if (!(json instanceof Map) || json.size !== 2 || !json.has('schema') || !json.has('payload'))
      throw new DataException(
        'JsonConverter with schemas.enable requires "schema" and "payload" fields and may not contain additional fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.',
      )
    const schema = this.#schemaOf(json.get('schema')!)
    return { schema, value: this.#values.fromJson(schema, json.get('payload')!) }
  }

  #schemaOf(json: Json): Schema | null {
    const text = writeJson(json)
    const known = this.#read.get(text)
    if (known !== undefined) return known
    const schema = schemaFromJson(json, this.#values)
    // The oldest goes: a topic whose schemas never repeat shall not fill the memory.
    if (this.#read.size >= this.#cacheSize)
      for (const oldest of this.#read.keys()) {
        this.#read.delete(oldest)
        break
      }
    this.#read.set(text, schema)
    return schema
  }

  #schemaText(schema: Schema | null): string {
    if (schema === null) return 'null'
    const known = this.#written.get(schema)
    if (known !== undefined) return known
    const text = writeJson(schemaToJson(schema, this.#values))
    this.#written.set(schema, text)
    return text
  }
}

/** Without the mark that some writers begin a text with. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

/** A whole number of schemas from 1. */
function cacheSize(text = '1000'): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1)
    throw new ConnectException(
      `Invalid value ${text} for configuration schemas.cache.size: expected a number from 1`,
    )
  return Number(text)
}

/** Payloads: a value of a schema, or of none, and its JSON. */
export class JsonValues {
  readonly #decimalsAreNumbers: boolean
  readonly #nullBecomesDefault: boolean

  constructor(decimalsAreNumbers: boolean, nullBecomesDefault: boolean) {
    this.#decimalsAreNumbers = decimalsAreNumbers
    this.#nullBecomesDefault = nullBecomesDefault
  }

  /** Throws DataException where the value is none of the schema. */
  toJson(schema: Schema | null, value: unknown): Json {
    if (value === null || value === undefined) return this.#nullToJson(schema)
    const logical = this.#logicalToJson(schema, value)
    if (logical !== undefined) return logical
    const type = schema === null ? typeOf(value) : schema.type
    if (type === null) throw new DataException(`There is no schema type for ${describe(value)}`)
    switch (type) {
      case 'ARRAY':
        return checked<unknown[]>(type, value, Array.isArray).map((element) =>
          this.toJson(schema?.valueSchema ?? null, element),
        )
      case 'MAP':
        return this.#mapToJson(
          schema,
          checked(type, value, (given) => given instanceof Map),
        )
      case 'STRUCT':
        return this.#structToJson(
          schema,
          checked(type, value, (given) => given instanceof Struct),
        )
      default:
        if (schema !== null) validate(schema, value)
        return primitiveToJson(type, value)
    }
  }

  /** Throws DataException where the JSON is no value of the schema. */
  fromJson(schema: Schema | null, json: Json): unknown {
    if (schema === null) return this.#schemalessFromJson(json)
    if (json === null) {
      if (schema.defaultValue !== null && this.#nullBecomesDefault) return schema.defaultValue
      if (schema.isOptional) return null
      throw new DataException(`Invalid null value for required ${schema.type} field`)
    }
    const logical = logicalFromJson(schema, json)
    if (logical !== undefined) return logical
    if (schema.type === 'ARRAY') {
      if (!Array.isArray(json)) throw mismatch('Arrays', 'a JSON array', json)
      return json.map((element) => this.fromJson(schema.valueSchema, element))
    }
    if (schema.type === 'MAP') return this.#mapFromJson(schema, json)
    if (schema.type === 'STRUCT') return this.#structFromJson(schema, json)
    return primitiveFromJson(schema, json)
  }

  #nullToJson(schema: Schema | null): Json {
    if (schema === null) return null
    if (schema.defaultValue !== null && this.#nullBecomesDefault)
      return this.toJson(schema, schema.defaultValue)
    if (schema.isOptional) return null
    throw new DataException(
      'Conversion error: null value for field that is required and has no default value',
    )
  }

  /** Undefined: the schema is of no logical type. */
  #logicalToJson(schema: Schema | null, value: unknown): Json | undefined {
    if (schema === null || !logicalNames.has(schema.name ?? '')) return undefined
    validate(schema, value)
    if (!(value instanceof Decimal)) return instantToJson(schema.name!, value as Instant)
    if (this.#decimalsAreNumbers) return new Fraction(value.canonicalText())
    if (value.scale !== scaleOf(schema))
      throw new DataException(
        `Decimal value has mismatching scale for given Decimal schema. Schema has scale ${scaleOf(schema)}, value has scale ${value.scale}.`,
      )
    return value.toBytes().toString('base64')
  }

  #mapToJson(schema: Schema | null, map: Map<unknown, unknown>): Json {
    const keySchema = schema?.keySchema ?? null
    const valueSchema = schema?.valueSchema ?? null
    const isObject =
      keySchema === null
        ? [...map.keys()].every((key) => typeof key === 'string')
        : keySchema.type === 'STRING'
    const pairs = Array.from(map, ([key, value]): [Json, Json] => [
      this.toJson(keySchema, key),
      this.toJson(valueSchema, value),
    ])
    return isObject ? new Map(pairs.map(([key, value]) => [String(key), value])) : pairs
  }

  #structToJson(schema: Schema | null, struct: Struct): Json {
    // Without a schema beside it a struct still has its own.
    const own = schema ?? struct.schema
    if (!struct.schema.equals(own)) throw new DataException('Mismatching schema.')
    return new Map(
      own.fields.map(({ name, schema: of }) => [
        name,
        this.toJson(of, struct.getWithoutDefault(name)),
      ]),
    )
  }

  #schemalessFromJson(json: Json): unknown {
    if (typeof json === 'bigint') {
      if (BigInt.asIntN(64, json) !== json) throw new Beyond('INT64', String(json), [])
      return json
    }
    if (json instanceof Fraction) return finite(json)
    if (Array.isArray(json)) return json.map((element) => this.#memberFromJson('[]', element))
    if (!(json instanceof Map)) return json
    return new Map(Array.from(json, ([name, value]) => [name, this.#memberFromJson(name, value)]))
  }

  /** A number that no type holds is told with where it is. */
  #memberFromJson(name: string, json: Json): unknown {
    try {
      return this.#schemalessFromJson(json)
    } catch (error) {
      throw error instanceof Beyond ? error.within(name) : error
    }
  }

  #mapFromJson(schema: Schema, json: Json): Map<unknown, unknown> {
    const { keySchema, valueSchema } = schema
    if (keySchema!.type === 'STRING') {
      if (!(json instanceof Map)) throw mismatch('Maps with string fields', 'JSON objects', json)
      return new Map(Array.from(json, ([key, value]) => [key, this.fromJson(valueSchema, value)]))
    }
    if (!Array.isArray(json))
      throw mismatch('Maps with non-string fields', 'JSON array of tuples', json)
    return new Map(
      json.map((pair) => {
        if (!Array.isArray(pair) || pair.length !== 2)
          throw new DataException('Found invalid map entry, expected an array of length 2')
        return [this.fromJson(keySchema, pair[0]!), this.fromJson(valueSchema, pair[1]!)]
      }),
    )
  }

  #structFromJson(schema: Schema, json: Json): Struct {
    if (!(json instanceof Map)) throw mismatch('Structs', 'JSON objects', json)
    const struct = new Struct(schema)
    for (const { name, schema: of } of schema.fields)
      struct.put(name, this.fromJson(of, json.get(name) ?? null))
    return struct
  }
}

/** A number that its type does not hold. */
class Beyond extends DataException {
  readonly #type: string
  readonly #text: string
  readonly #path: readonly string[]

  constructor(type: string, text: string, path: readonly string[]) {
    const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text
    const at = path.length === 0 ? '' : `${path.join('.').replaceAll('.[]', '[]')}: `
    super(`${at}${shown} is out of the range of ${type}`)
    this.#type = type
    this.#text = text
    this.#path = path
  }

  within(name: string): Beyond {
    return new Beyond(this.#type, this.#text, [name, ...this.#path])
  }
}

const logicalNames = new Set([decimalName, dateName, timeName, timestampName])

const integerBits: Readonly<Record<string, number>> = { INT8: 8, INT16: 16, INT32: 32, INT64: 64 }

function instantToJson(name: string, value: Instant): Json {
  if (name === dateName) return BigInt(value.toDays())
  if (name === timeName) return BigInt(value.toTimeOfDay())
  return BigInt(value.epochMs)
}

/** Undefined: the schema is of no logical type. */
function logicalFromJson(schema: Schema, json: Json): unknown {
  if (schema.name === decimalName) {
    if (typeof json === 'bigint') return new Decimal(json, 0)
    if (json instanceof Fraction) return Decimal.parse(json.text)
    return Decimal.fromBytes(base64(json), scaleOf(schema))
  }
  if (schema.name === dateName) return Instant.ofDays(wholeNumber('INT32', json))
  if (schema.name === timeName) {
    const time = new Instant(wholeNumber('INT32', json))
    time.toTimeOfDay()
    return time
  }
  if (schema.name === timestampName) return new Instant(wholeNumber('INT64', json))
  return undefined
}

function primitiveToJson(type: Schema['type'], value: unknown): Json {
  if (typeof value === 'number') {
    if (type === 'FLOAT32') return float32Json(Math.fround(value))
    return type === 'FLOAT64' ? floatJson(value) : BigInt(value)
  }
  return Buffer.isBuffer(value) ? value.toString('base64') : (value as Json)
}

function primitiveFromJson(schema: Schema, json: Json): unknown {
  const { type } = schema
  if (type === 'BOOLEAN' && typeof json === 'boolean') return json
  if (type === 'STRING' && typeof json === 'string') return json
  if (type === 'BYTES') return base64(json)
  if (type === 'INT64') return BigInt(bigInteger(type, json))
  if (type in integerBits) return integer(type, json)
  if (type === 'FLOAT32' || type === 'FLOAT64') {
    const value = float(json)
    if (value !== null) return type === 'FLOAT32' ? Math.fround(value) : value
  }
  throw new DataException(`Invalid ${type} field: found ${describe(json)}`)
}

/** Digits that a double does not keep are rounded, but `1e400` is not infinite. */
function finite({ text }: Fraction): number {
  const value = Number(text)
  if (!Number.isFinite(value)) throw new Beyond('FLOAT64', text, [])
  return value
}

/** Null: it is none. */
function float(json: Json): number | null {
  if (typeof json === 'bigint') return Number(json)
  if (json instanceof Fraction) return finite(json)
  const isNamed = json === 'NaN' || json === 'Infinity' || json === '-Infinity'
  return isNamed ? Number(json) : null
}

function integer(type: string, json: Json): number {
  return Number(bigInteger(type, json))
}

/** Of a time, which nobody writes as `12.0`. */
function wholeNumber(type: string, json: Json): number {
  if (json instanceof Fraction)
    throw new DataException(`Invalid ${type} field: expected an integer, found ${json.text}`)
  return integer(type, json)
}

/** Many writers of JSON have no integers: `12.0` is one. */
function bigInteger(type: string, json: Json): bigint {
  const value = json instanceof Fraction ? Decimal.parse(json.text).whole() : json
  if (typeof value !== 'bigint')
    throw new DataException(`Invalid ${type} field: expected an integer, found ${describe(json)}`)
  if (BigInt.asIntN(integerBits[type]!, value) !== value) throw outOfRange(type, value)
  return value
}

function base64(json: Json): Buffer {
  // Without this check anything would be read as some bytes.
  if (typeof json !== 'string' || json.length % 4 > 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(json))
    throw new DataException('Invalid bytes field: expected a text in base64')
  return Buffer.from(json, 'base64')
}

function checked<T>(type: string, value: unknown, is: (value: unknown) => boolean): T {
  if (!is(value)) throw new DataException(`Invalid type for ${type}: ${describe(value)}`)
  return value as T
}

function mismatch(what: string, expected: string, json: Json): DataException {
  return new DataException(`${what} should be encoded as ${expected}, but found ${describe(json)}`)
}

function outOfRange(type: string, value: bigint): DataException {
  return new DataException(`${value} is out of the range of ${type}`)
}
