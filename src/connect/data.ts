/**
 * The data that flows between connectors, transforms and converters: Kafka Connect's model of types.
 *
 * | type | value |
 * | --- | --- |
 * | INT8, INT16, INT32, FLOAT32, FLOAT64 | number |
 * | INT64 | bigint: all 64 bits count |
 * | BOOLEAN, STRING | boolean, string |
 * | BYTES | Buffer |
 * | ARRAY, MAP, STRUCT | array, Map, Struct |
 * | Decimal, Date, Time, Timestamp | Decimal, Instant (`logical.ts`) |
 * | MicroTimestamp, LocalTimestamp | Micros (`logical.ts`) |
 *
 * Data without a schema has a null one; there every integer is a bigint and every number a FLOAT64, so
 * that 1 and 1.0 stay apart.
 *
 * What lives in this folder: data, its converters to and from the bytes in Kafka (`converters/`, `avro/`) and
 * `transforms/`; the contract of plug-ins (`plugin.ts`) and those of our own (`delta/`, `http/`, `file/`,
 * `datagen/`); what runs them (`runtime/`, `errors/`), what that keeps (`storage/`) and how it is asked (`rest/`);
 * topics that are tables (`topic-tables/`). What must not: any of the broker's insides; whatever runs here has
 * to work against any Kafka.
 */
import { DataException } from './failures.ts'
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
} from './logical.ts'
import { textOf } from './value-text.ts'

export type PrimitiveType =
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FLOAT32'
  | 'FLOAT64'
  | 'BOOLEAN'
  | 'STRING'
  | 'BYTES'
export type Type = PrimitiveType | 'ARRAY' | 'MAP' | 'STRUCT'

export interface SchemaOptions {
  readonly optional?: boolean
  readonly defaultValue?: unknown
  readonly name?: string | undefined
  readonly version?: number | undefined
  readonly doc?: string | undefined
  readonly parameters?: ReadonlyMap<string, string> | undefined
}

export interface Field {
  readonly name: string
  readonly index: number
  readonly schema: Schema
}

interface Shape extends SchemaOptions {
  readonly fields?: readonly (readonly [string, Schema])[]
  readonly keySchema?: Schema
  readonly valueSchema?: Schema
}

/** Immutable. Made by `primitive`, `arrayOf`, `mapOf`, `structOf` and the logical types below them. */
export class Schema {
  readonly type: Type
  readonly isOptional: boolean
  /** Null: there is none. */
  readonly defaultValue: unknown
  readonly name: string | null
  readonly version: number | null
  readonly doc: string | null
  readonly parameters: ReadonlyMap<string, string> | null
  /** Of a struct, in order; empty otherwise. */
  readonly fields: readonly Field[]
  readonly keySchema: Schema | null
  readonly valueSchema: Schema | null
  readonly #byName: ReadonlyMap<string, Field>

  /** Throws DataException where the default value is none of this schema, or a field has no name or comes twice. */
  constructor(type: Type, shape: Shape) {
    this.type = type
    this.isOptional = shape.optional ?? false
    this.name = shape.name ?? null
    this.version = shape.version ?? null
    this.doc = shape.doc ?? null
    this.parameters = shape.parameters ?? null
    this.keySchema = shape.keySchema ?? null
    this.valueSchema = shape.valueSchema ?? null
    this.fields = (shape.fields ?? []).map(([name, schema], index) => ({ name, index, schema }))
    this.#byName = new Map(this.fields.map((field) => [field.name, field]))
    if (this.#byName.has('')) throw new DataException('fieldName cannot be null.')
    if (this.#byName.size < this.fields.length)
      throw new DataException('Cannot create field because of field name duplication')
    this.defaultValue = null
    if ((shape.defaultValue ?? null) === null) return
    validate(this, shape.defaultValue, 'default value')
    this.defaultValue = shape.defaultValue
  }

  field(name: string): Field | undefined {
    return this.#byName.get(name)
  }

  equals(other: Schema | null): boolean {
    if (other === this) return true
    return (
      other !== null &&
      this.type === other.type &&
      this.isOptional === other.isOptional &&
      this.version === other.version &&
      this.name === other.name &&
      this.doc === other.doc &&
      equalValues(this.defaultValue, other.defaultValue) &&
      equalValues(this.parameters, other.parameters) &&
      equalSchemas(this.keySchema, other.keySchema) &&
      equalSchemas(this.valueSchema, other.valueSchema) &&
      this.fields.length === other.fields.length &&
      this.fields.every(({ name, schema }, index) => {
        const field = other.fields[index]!
        return field.name === name && field.schema.equals(schema)
      })
    )
  }

  toString(): string {
    return this.name === null ? `Schema{${this.type}}` : `Schema{${this.name}:${this.type}}`
  }
}

export function primitive(type: PrimitiveType, options: SchemaOptions = {}): Schema {
  return new Schema(type, options)
}

export function arrayOf(valueSchema: Schema, options: SchemaOptions = {}): Schema {
  return new Schema('ARRAY', { ...options, valueSchema })
}

export function mapOf(keySchema: Schema, valueSchema: Schema, options: SchemaOptions = {}): Schema {
  return new Schema('MAP', { ...options, keySchema, valueSchema })
}

export function structOf(
  fields: Readonly<Record<string, Schema>> | readonly (readonly [string, Schema])[],
  options: SchemaOptions = {},
): Schema {
  const list = Array.isArray(fields) ? fields : Object.entries(fields)
  return new Schema('STRUCT', { ...options, fields: list })
}

export function decimalOf(scale: number, options: SchemaOptions = {}): Schema {
  const parameters = new Map([['scale', String(scale)], ...(options.parameters ?? [])])
  return primitive('BYTES', { version: 1, ...options, name: decimalName, parameters })
}

export function date(options: SchemaOptions = {}): Schema {
  return primitive('INT32', { version: 1, ...options, name: dateName })
}

export function time(options: SchemaOptions = {}): Schema {
  return primitive('INT32', { version: 1, ...options, name: timeName })
}

export function timestamp(options: SchemaOptions = {}): Schema {
  return primitive('INT64', { version: 1, ...options, name: timestampName })
}

export function microTimestamp(options: SchemaOptions = {}): Schema {
  return primitive('INT64', { version: 1, ...options, name: microTimestampName })
}

/** The parameter of a Decimal's schema. Throws DataException where it has none. */
export function scaleOf(schema: Schema): number {
  const text = schema.parameters?.get('scale')
  if (text === undefined)
    throw new DataException('Invalid Decimal schema: scale parameter not found.')
  if (!/^-?\d+$/.test(text))
    throw new DataException('Invalid scale parameter found in Decimal schema: not an integer')
  return Number(text)
}

/** A record with named fields, each checked against its schema when it is put. */
export class Struct {
  readonly schema: Schema
  readonly #values: unknown[]

  constructor(schema: Schema) {
    if (schema.type !== 'STRUCT')
      throw new DataException(`Not a struct schema: ${schema.toString()}`)
    this.schema = schema
    this.#values = new Array(schema.fields.length).fill(null)
  }

  /** The value, or the field's default where there is none. Throws DataException for an unknown field. */
  get(name: string): unknown {
    const field = this.#field(name)
    return this.#values[field.index] ?? field.schema.defaultValue
  }

  getWithoutDefault(name: string): unknown {
    return this.#values[this.#field(name).index]
  }

  /** Throws DataException where the value is none of the field's schema. */
  put(name: string, value: unknown): this {
    const field = this.#field(name)
    const given = value ?? null
    // A required field with a default may stay empty: who reads it is told the default.
    if (given !== null || field.schema.defaultValue === null)
      validate(field.schema, given, `field: "${name}"`)
    this.#values[field.index] = given
    return this
  }

  /** Throws DataException where a required field was not put. */
  validate(): void {
    for (const { name, index, schema } of this.schema.fields)
      if (this.#values[index] !== null || schema.defaultValue === null)
        validate(schema, this.#values[index], `field: "${name}"`)
  }

  equals(other: Struct): boolean {
    return this.schema.equals(other.schema) && equalValues(this.#values, other.#values)
  }

  toString(): string {
    const parts = this.schema.fields.flatMap(({ name, index, schema }) => {
      const value = this.#values[index]
      return value === null ? [] : [`${name}=${textOf(schema, value)}`]
    })
    return `Struct{${parts.join(',')}}`
  }

  #field(name: string): Field {
    const field = this.schema.field(name)
    if (field === undefined) throw new DataException(`${name} is not a valid field name`)
    return field
  }
}

export interface SchemaAndValue {
  readonly schema: Schema | null
  readonly value: unknown
}

export const nullValue: SchemaAndValue = { schema: null, value: null }

/** Throws DataException, which names `location`, where the value is none of the schema. */
export function validate(schema: Schema, value: unknown, location = 'value'): void {
  if (value === null || value === undefined) {
    if (schema.isOptional) return
    throw new DataException(
      `Invalid value: null used for required ${location}, schema type: ${schema.type}`,
    )
  }
  if (!isOf(schema, value)) {
    const name = schema.name === null ? '' : ` "${schema.name}"`
    throw new DataException(
      `Invalid value for schema${name} with type ${schema.type}: ${describe(value)} for ${location}`,
    )
  }
  if (value instanceof Struct) {
    if (!value.schema.equals(schema)) throw new DataException('Struct schemas do not match.')
    value.validate()
  } else if (schema.type === 'ARRAY') {
    for (const element of value as unknown[])
      validate(schema.valueSchema!, element, `element of array ${location}`)
  } else if (schema.type === 'MAP') {
    for (const [key, element] of value as Map<unknown, unknown>) {
      validate(schema.keySchema!, key, `key of map ${location}`)
      validate(schema.valueSchema!, element, `value of map ${location}`)
    }
  }
}

const logicalChecks: Readonly<Record<string, (value: unknown) => boolean>> = {
  [decimalName]: (value) => value instanceof Decimal,
  [dateName]: (value) => value instanceof Instant,
  [timeName]: (value) => value instanceof Instant,
  [timestampName]: (value) => value instanceof Instant,
  [microTimestampName]: (value) => value instanceof Micros && value.isUtc,
  [localTimestampName]: (value) => value instanceof Micros && !value.isUtc,
}

const checks: Readonly<Record<Type, (value: unknown) => boolean>> = {
  INT8: (value) => isInteger(value, 2 ** 7),
  INT16: (value) => isInteger(value, 2 ** 15),
  INT32: (value) => isInteger(value, 2 ** 31),
  INT64: (value) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  FLOAT32: (value) => typeof value === 'number',
  FLOAT64: (value) => typeof value === 'number',
  BOOLEAN: (value) => typeof value === 'boolean',
  STRING: (value) => typeof value === 'string',
  BYTES: (value) => Buffer.isBuffer(value),
  ARRAY: Array.isArray,
  MAP: (value) => value instanceof Map,
  STRUCT: (value) => value instanceof Struct,
}

function isOf(schema: Schema, value: unknown): boolean {
  return (logicalChecks[schema.name ?? ''] ?? checks[schema.type])(value)
}

function isInteger(value: unknown, limit: number): boolean {
  return Number.isInteger(value) && (value as number) >= -limit && (value as number) < limit
}

/** The type of a value that has no schema; null where it can be none. */
export function typeOf(value: unknown): Type | null {
  if (typeof value === 'bigint') return 'INT64'
  if (typeof value === 'number') return 'FLOAT64'
  const others: readonly Type[] = ['BOOLEAN', 'STRING', 'BYTES', 'ARRAY', 'MAP', 'STRUCT']
  return others.find((type) => checks[type](value)) ?? null
}

/** What sort of thing a value is, for messages. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'number' || typeof value === 'bigint') return `${typeof value} ${value}`
  return typeof value === 'object' ? value.constructor.name : typeof value
}

export function equalSchemas(left: Schema | null, right: Schema | null): boolean {
  return left === null ? right === null : left.equals(right)
}

/** Whether two values are the same, all the way down. */
export function equalValues(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true
  if (left instanceof Decimal) return right instanceof Decimal && left.equals(right)
  if (left instanceof Instant) return right instanceof Instant && left.epochMs === right.epochMs
  if (left instanceof Micros)
    return (
      right instanceof Micros &&
      left.epochMicros === right.epochMicros &&
      left.isUtc === right.isUtc
    )
  if (left instanceof Struct) return right instanceof Struct && left.equals(right)
  if (Buffer.isBuffer(left)) return Buffer.isBuffer(right) && left.equals(right)
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false
    return left.every((element, index) => equalValues(element, right[index]))
  }
  if (!(left instanceof Map) || !(right instanceof Map) || left.size !== right.size) return false
  return [...left].every(([key, value]) => right.has(key) && equalValues(value, right.get(key)))
}
