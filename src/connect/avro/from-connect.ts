/**
 * From data to Avro: a Connect schema becomes an Avro schema, as text, and a function that writes values
 * of it. Made once for a schema, used for every record.
 */
import type { AvroWriter } from '../../registry/avro/binary.ts'
import { parseAvro } from '../../registry/avro/parse.ts'
import { schemaText } from '../../registry/avro/print.ts'
import type { AvroSchema, RecordSchema } from '../../registry/avro/schema.ts'
import { describe, type Schema, Struct, scaleOf, validate } from '../data.ts'
import { DataException } from '../failures.ts'
import { type Json, type JsonObject, writeJson } from '../json-text.ts'
import {
  type Decimal,
  dateName,
  decimalName,
  type Instant,
  timeName,
  timestampName,
} from '../logical.ts'
import { jsonOfDefault } from './defaults.ts'
import * as names from './names.ts'

export interface Writing {
  readonly schema: AvroSchema
  /** As it is registered. */
  readonly text: string
  /** Throws DataException where the value is none of the schema. */
  readonly write: (out: AvroWriter, value: unknown) => void
}

type Write = (out: AvroWriter, value: unknown) => void

/** Throws DataException or SchemaError where the schema has no counterpart. */
export function writingOf(schema: Schema, options: names.AvroDataOptions): Writing {
  const parsed = parseAvro(writeJson(new Translation(options).json(schema)))
  return { schema: parsed.schema, text: schemaText(parsed), write: writer(schema, parsed.schema) }
}

class Translation {
  readonly #options: names.AvroDataOptions
  readonly #known = new Map<string, Schema>()
  #unnamed = 0

  constructor(options: names.AvroDataOptions) {
    this.#options = options
  }

  json(schema: Schema): Json {
    if (schema.name === names.unionName)
      return [
        ...(schema.isOptional ? ['null'] : []),
        ...schema.fields.map((field) => this.#base(field.schema)),
      ]
    const base = this.#base(schema)
    if (!schema.isOptional) return base
    // A default is of the first branch.
    return schema.defaultValue === null ? ['null', base] : [base, 'null']
  }

  /** As if it were not optional. */
  #base(schema: Schema): Json {
    const type = this.#type(schema)
    if (typeof type === 'string') return type
    if (this.#options.metaData) addMetaData(type, schema)
    const logical = logicalNames.get(schema.name ?? '')
    if (logical !== undefined) type.set('logicalType', logical)
    for (const [name, value] of schema.parameters ?? [])
      if (name.startsWith('avro')) type.set(name, value)
    return type.size === 1 ? type.get('type')! : type
  }

  /** A name where the type was defined before. */
  #type(schema: Schema): JsonObject | string {
    switch (schema.type) {
      case 'INT8':
      case 'INT16':
      case 'INT32':
        return new Map([['type', 'int']])
      case 'INT64':
        return new Map([['type', 'long']])
      case 'FLOAT32':
        return new Map([['type', 'float']])
      case 'FLOAT64':
        return new Map([['type', 'double']])
      case 'BOOLEAN':
        return new Map([['type', 'boolean']])
      case 'STRING':
        return this.#text(schema)
      case 'BYTES':
        return this.#bytes(schema)
      case 'ARRAY':
        return new Map<string, Json>([
          ['type', 'array'],
          ['items', this.json(schema.valueSchema!)],
        ])
      case 'MAP':
        return this.#map(schema)
      case 'STRUCT':
        return this.#struct(schema)
    }
  }

  #text(schema: Schema): JsonObject | string {
    const full = schema.parameters?.get(names.enumParameter)
    if (!this.#options.enhanced || full === undefined) return new Map([['type', 'string']])
    if (this.#isKnown(full, schema)) return full
    const prefix = `${names.enumParameter}.`
    const symbols = [...schema.parameters!.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
    const short = full.slice(full.lastIndexOf('.') + 1)
    const doc = schema.parameters!.get(names.enumDocPrefix + short)
    const fallback = schema.parameters!.get(names.enumDefaultPrefix + short)
    return new Map<string, Json>([
      ['type', 'enum'],
      ['name', full],
      ...(doc === undefined ? [] : [['doc', doc] as const]),
      ['symbols', symbols],
      ...(fallback === undefined ? [] : [['default', fallback] as const]),
    ])
  }

  #bytes(schema: Schema): JsonObject | string {
    const size = schema.parameters?.get(names.fixedSizeParameter)
    const type: JsonObject = new Map<string, Json>([['type', 'bytes']])
    if (size !== undefined) {
      const full = this.#fullName(schema)
      if (this.#isKnown(full, schema)) return full
      type.set('type', 'fixed').set('name', full).set('size', BigInt(size))
    }
    if (schema.name !== decimalName) return type
    const precision = schema.parameters?.get(names.precisionParameter)
    type.set('scale', BigInt(scaleOf(schema)))
    return type.set('precision', BigInt(precision ?? names.precisionDefault))
  }

  #map(schema: Schema): JsonObject {
    const { keySchema, valueSchema } = schema
    if (keySchema!.type === 'STRING' && !keySchema!.isOptional)
      return new Map<string, Json>([
        ['type', 'map'],
        ['values', this.json(valueSchema!)],
      ])
    const hasName = schema.name !== null
    const full = hasName ? schema.name! : `${names.defaultNamespace}.${names.mapEntry}`
    const entry: Json = this.#isKnown(full, schema)
      ? full
      : new Map<string, Json>([
          ['type', 'record'],
          ['name', full],
          ['fields', [this.#field('key', keySchema!), this.#field('value', valueSchema!)]],
          ...(hasName ? [[names.internalTypeAttribute, names.mapEntry] as const] : []),
        ])
    return new Map<string, Json>([
      ['type', 'array'],
      ['items', entry],
    ])
  }

  #struct(schema: Schema): JsonObject | string {
    const full = this.#fullName(schema)
    if (this.#isKnown(full, schema)) return full
    const doc = schema.parameters?.get(names.recordDoc)
    const fields = schema.fields.map((field) =>
      this.#field(
        field.name,
        field.schema,
        schema.parameters?.get(names.fieldDocPrefix + field.name),
      ),
    )
    return new Map<string, Json>([
      ['type', 'record'],
      ['name', full],
      ...(doc === undefined ? [] : [['doc', doc] as const]),
      ['fields', fields],
    ])
  }

  #field(name: string, schema: Schema, doc?: string): JsonObject {
    const field: JsonObject = new Map<string, Json>([
      ['name', name],
      ['type', this.json(schema)],
    ])
    if (doc !== undefined) field.set('doc', doc)
    if (schema.defaultValue !== null)
      field.set('default', jsonOfDefault(schema, schema.defaultValue))
    else if (schema.isOptional) field.set('default', null)
    return field
  }

  #fullName(schema: Schema): string {
    if (schema.name !== null && schema.name !== decimalName) return schema.name
    this.#unnamed++
    const suffix = this.#unnamed > 1 ? String(this.#unnamed) : ''
    return `${names.defaultNamespace}.${names.defaultName}${suffix}`
  }

  /** Throws DataException where another type has the name. */
  #isKnown(full: string, schema: Schema): boolean {
    const known = this.#known.get(full)
    if (known === undefined) {
      this.#known.set(full, schema)
      return false
    }
    if (!sameBut(known, schema))
      throw new DataException(
        `Two different schemas are called ${full}: Avro needs a name for each`,
      )
    return true
  }
}

/** Whether they are the same apart from being optional and from their defaults, which are not the type's. */
function sameBut(left: Schema, right: Schema): boolean {
  if (left.type !== right.type || left.name !== right.name) return false
  if (left.fields.length !== right.fields.length) return false
  if (left.keySchema !== null && !left.keySchema.equals(right.keySchema)) return false
  if (left.valueSchema !== null && !left.valueSchema.equals(right.valueSchema)) return false
  return left.fields.every(
    ({ name, schema }, at) =>
      right.fields[at]!.name === name && schema.equals(right.fields[at]!.schema),
  )
}

const logicalNames: ReadonlyMap<string, string> = new Map([
  [decimalName, 'decimal'],
  [dateName, 'date'],
  [timeName, 'time-millis'],
  [timestampName, 'timestamp-millis'],
])

const smallTypes: Readonly<Record<string, string>> = { INT8: 'int8', INT16: 'int16' }

function addMetaData(type: JsonObject, schema: Schema): void {
  if (schema.doc !== null) type.set(names.docAttribute, schema.doc)
  if (schema.version !== null) type.set(names.versionAttribute, BigInt(schema.version))
  const parameters = [...(schema.parameters ?? [])].filter(
    ([name]) => name !== names.fieldDefaultFlag,
  )
  if (parameters.length > 0) type.set(names.parametersAttribute, new Map(parameters))
  const isOfField = schema.parameters?.has(names.fieldDefaultFlag) === true
  if (schema.defaultValue !== null && !isOfField)
    type.set(names.defaultAttribute, jsonOfDefault(schema, schema.defaultValue))
  if (schema.name !== null) type.set(names.nameAttribute, schema.name)
  const small = smallTypes[schema.type]
  if (small !== undefined) type.set(names.typeAttribute, small)
}

/** Writes values of the Connect schema as the Avro schema that was made of it. */
function writer(schema: Schema, avro: AvroSchema): Write {
  if (avro.kind !== 'union') return checked(schema, plainWriter(schema, avro))
  if (schema.name === names.unionName) return unionWriter(schema, avro.branches)
  const nullAt = avro.branches.findIndex(({ kind }) => kind === 'null')
  const write = checked(schema, plainWriter(schema, avro.branches[1 - nullAt]!))
  return (out, value) => {
    // An optional value that is not there stays so: a default is for what was never asked.
    if (value === null || value === undefined) return out.int(nullAt)
    out.int(1 - nullAt)
    write(out, value)
  }
}

function checked(schema: Schema, write: Write): Write {
  if (schema.type === 'ARRAY' || schema.type === 'MAP' || schema.type === 'STRUCT') {
    return (out, value) => {
      if (value === null || value === undefined)
        throw new DataException('Found null value for non-optional schema')
      write(out, value)
    }
  }
  return (out, value) => {
    validate(schema, value)
    write(out, value)
  }
}

function unionWriter(schema: Schema, branches: readonly AvroSchema[]): Write {
  const nullAt = branches.findIndex(({ kind }) => kind === 'null')
  const others = branches.map((_, index) => index).filter((index) => index !== nullAt)
  const rows = schema.fields.map((field, at) => ({
    name: field.name,
    index: others[at]!,
    write: checked(field.schema, plainWriter(field.schema, branches[others[at]!]!)),
  }))
  return (out, value) => {
    if ((value === null || value === undefined) && nullAt >= 0) return out.int(nullAt)
    const struct = structOf(value)
    const chosen = rows.find(({ name }) => struct.getWithoutDefault(name) !== null)
    if (chosen === undefined) {
      if (nullAt >= 0) return out.int(nullAt)
      throw new DataException('A union without a value, and without a null to stand for it')
    }
    out.int(chosen.index)
    chosen.write(out, struct.getWithoutDefault(chosen.name))
  }
}

function plainWriter(schema: Schema, avro: AvroSchema): Write {
  switch (avro.kind) {
    case 'boolean':
      return (out, value) => out.boolean(value as boolean)
    case 'int':
      return intWriter(schema)
    case 'long':
      if (schema.name !== timestampName) return (out, value) => out.long(value as bigint)
      return (out, value) => out.long(BigInt((value as Instant).epochMs))
    case 'float':
      return (out, value) => out.float(value as number)
    case 'double':
      return (out, value) => out.double(value as number)
    case 'string':
      return (out, value) => out.string(value as string)
    case 'bytes':
      return (out, value) => out.bytes(bytesOf(schema, value))
    case 'fixed':
      return (out, value) => out.raw(padded(bytesOf(schema, value), avro.size, schema))
    case 'enum': {
      const indexes = new Map(avro.symbols.map((symbol, index) => [symbol, index]))
      return (out, value) => {
        const index = indexes.get(value as string)
        if (index === undefined)
          throw new DataException(`${value} is no symbol of the enum ${avro.name.full}`)
        out.int(index)
      }
    }
    case 'array':
      return schema.type === 'MAP'
        ? entriesWriter(schema, avro.items as RecordSchema)
        : listWriter(writer(schema.valueSchema!, avro.items))
    case 'map':
      return mapWriter(writer(schema.valueSchema!, avro.values))
    case 'record':
      return recordWriter(schema, avro)
    default:
      throw new DataException(`Nothing is written as ${avro.kind}`)
  }
}

function intWriter({ name }: Schema): Write {
  if (name === dateName) return (out, value) => out.int((value as Instant).toDays())
  if (name === timeName) return (out, value) => out.int((value as Instant).toTimeOfDay())
  return (out, value) => out.int(value as number)
}

function listWriter(write: Write): Write {
  return (out, value) => {
    if (!Array.isArray(value)) throw new DataException(`Invalid type for ARRAY: ${describe(value)}`)
    out.items(value, value.length, (item) => write(out, item))
  }
}

function mapWriter(write: Write): Write {
  return (out, value) => {
    const map = mapOf(value)
    out.items(map, map.size, ([key, item]) => {
      if (typeof key !== 'string')
        throw new DataException(`Invalid type for a key of the map: ${describe(key)}`)
      out.string(key)
      write(out, item)
    })
  }
}

function entriesWriter(schema: Schema, entry: RecordSchema): Write {
  const writeKey = writer(schema.keySchema!, entry.fields[0]!.schema)
  const writeValue = writer(schema.valueSchema!, entry.fields[1]!.schema)
  return (out, value) => {
    const map = mapOf(value)
    out.items(map, map.size, ([key, item]) => {
      writeKey(out, key)
      writeValue(out, item)
    })
  }
}

function recordWriter(schema: Schema, avro: RecordSchema): Write {
  const rows = schema.fields.map((field, index) => ({
    name: field.name,
    write: writer(field.schema, avro.fields[index]!.schema),
  }))
  return (out, value) => {
    const struct = structOf(value)
    if (struct.schema !== schema && !sameBut(struct.schema, schema))
      throw new DataException('Mismatching struct schema')
    for (const { name, write } of rows) write(out, struct.get(name))
  }
}

function structOf(value: unknown): Struct {
  if (value instanceof Struct) return value
  throw new DataException(`Invalid type for STRUCT: ${describe(value)}`)
}

function mapOf(value: unknown): Map<unknown, unknown> {
  if (value instanceof Map) return value
  throw new DataException(`Invalid type for MAP: ${describe(value)}`)
}

function bytesOf(schema: Schema, value: unknown): Buffer {
  if (schema.name !== decimalName) return value as Buffer
  const decimal = value as Decimal
  if (decimal.scale !== scaleOf(schema))
    throw new DataException(
      `Decimal value has mismatching scale for given Decimal schema. Schema has scale ${scaleOf(schema)}, value has scale ${decimal.scale}.`,
    )
  return decimal.toBytes()
}

/** Of a fixed all bytes are there: a number is filled up with its sign. */
function padded(bytes: Buffer, size: number, { name }: Schema): Buffer {
  if (bytes.length === size) return bytes
  if (bytes.length > size || name !== decimalName)
    throw new DataException(`A fixed of ${size} bytes cannot hold ${bytes.length}`)
  const sign = (bytes[0]! & 0x80) === 0 ? 0 : 0xff
  return Buffer.concat([Buffer.alloc(size - bytes.length, sign), bytes])
}
