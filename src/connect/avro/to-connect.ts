/**
 * From Avro to data: an Avro schema becomes a Connect schema and a function that reads values of it, in
 * one pass over the bytes. Made once for a schema, used for every record.
 */
import type { AvroReader } from '../../registry/avro/binary.ts'
import {
  type AvroSchema,
  type EnumSchema,
  isNamed,
  type RecordSchema,
  type UnionSchema,
} from '../../registry/avro/schema.ts'
import { uuidText } from '../../tables/columns/json-text.ts'
import { primitive, Schema, Struct, type Type } from '../data.ts'
import { DataException } from '../failures.ts'
import type { Json } from '../json-text.ts'
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
import { valueOfDefault } from './defaults.ts'
import * as names from './names.ts'

export interface Reading {
  readonly schema: Schema
  readonly read: Read
}

interface Place {
  readonly isOptional?: boolean
  /** The default of the field that is of this schema; undefined: it has none. */
  readonly fallback?: Json | undefined
  /** Of the subject, for the outermost schema. */
  readonly version?: number | null
}

interface Shape {
  readonly type: Type
  readonly name?: string
  readonly version?: number
  readonly isOptional?: boolean
  readonly parameters?: Iterable<readonly [string, string]>
  readonly fields?: readonly (readonly [string, Schema])[]
  readonly keySchema?: Schema
  readonly valueSchema?: Schema
  /** Given the schema that comes of all this, which structs carry. */
  readonly reader: (own: Schema) => Read
}

type Read = (input: AvroReader) => unknown

const always = (read: Read) => () => read

/** Throws DataException for what Connect has no data for. */
export function readingOf(
  schema: AvroSchema,
  options: names.AvroDataOptions,
  version: number | null,
): Reading {
  return new Translation(options).reading(schema, { version })
}

class Translation {
  readonly #options: names.AvroDataOptions
  readonly #open = new Set<AvroSchema>()

  constructor(options: names.AvroDataOptions) {
    this.#options = options
  }

  reading(schema: AvroSchema, place: Place = {}): Reading {
    if (schema.kind === 'union') {
      const flat = this.#flattened(schema, place)
      if (flat !== null) return flat
    }
    if (!isNamed(schema)) return this.#finished(schema, this.#shape(schema), place)
    if (this.#open.has(schema))
      throw new DataException(
        `${schema.name.full} contains itself: recursive schemas have no counterpart in Connect here`,
      )
    this.#open.add(schema)
    const made = this.#finished(schema, this.#shape(schema), place)
    this.#open.delete(schema)
    return made
  }

  #shape(schema: AvroSchema): Shape {
    switch (schema.kind) {
      case 'null':
        throw new DataException('Standalone null schemas are not supported by this converter')
      case 'boolean':
        return { type: 'BOOLEAN', reader: always((input) => input.boolean()) }
      case 'int':
        return intShape(schema)
      case 'long':
        return longShape(schema, this.#options.isFine === true)
      case 'float':
        return { type: 'FLOAT32', reader: always((input) => input.float()) }
      case 'double':
        return { type: 'FLOAT64', reader: always((input) => input.double()) }
      case 'string':
        return { type: 'STRING', reader: always((input) => input.string()) }
      case 'bytes':
        return bytesShape(schema, [], (input) => input.bytes())
      case 'fixed':
        if (this.#options.isFine === true && schema.logical?.name === 'uuid')
          return { type: 'STRING', reader: always((input) => uuidText(input.fixed(schema.size))) }
        return bytesShape(schema, [[names.fixedSizeParameter, String(schema.size)]], (input) =>
          input.fixed(schema.size),
        )
      case 'enum':
        return this.#enum(schema)
      case 'array':
        return this.#array(schema.items)
      case 'map':
        return this.#map(schema.values)
      case 'record':
        return this.#record(schema)
      case 'union':
        return this.#union(schema)
    }
  }

  #enum({ symbols, name, doc, fallback }: EnumSchema): Shape {
    const { metaData } = this.#options
    const parameters: [string, string][] = []
    if (metaData && doc !== null) parameters.push([names.enumDocPrefix + name.short, doc])
    if (metaData && fallback !== null)
      parameters.push([names.enumDefaultPrefix + name.short, fallback])
    parameters.push([names.enumParameter, name.full])
    for (const symbol of symbols) parameters.push([`${names.enumParameter}.${symbol}`, symbol])
    const reader = always((input) => symbols[input.index(symbols.length)])
    return { type: 'STRING', parameters, reader }
  }

  #array(items: AvroSchema): Shape {
    if (isMapEntry(items)) return this.#mapOfEntries(items)
    const { schema: valueSchema, read } = this.reading(items)
    return {
      ...{ type: 'ARRAY', valueSchema },
      reader: always((input) => {
        const list: unknown[] = []
        input.items(() => list.push(read(input)))
        return list
      }),
    }
  }

  #mapOfEntries(entry: RecordSchema): Shape {
    const [keyField, valueField] = ['key', 'value'].map((name) => entry.fieldsByName.get(name))
    if (entry.fields.length !== 2 || keyField === undefined || valueField === undefined)
      throw new DataException(
        'Found map encoded as array of key-value pairs, but array elements do not match the expected format.',
      )
    const key = this.reading(keyField.schema)
    const value = this.reading(valueField.schema)
    const isKeyFirst = keyField.position === 0
    return {
      ...{ type: 'MAP', keySchema: key.schema, valueSchema: value.schema },
      reader: always((input) => {
        const map = new Map<unknown, unknown>()
        input.items(() => {
          const first = (isKeyFirst ? key : value).read(input)
          const second = (isKeyFirst ? value : key).read(input)
          if (isKeyFirst) map.set(first, second)
          else map.set(second, first)
        })
        return map
      }),
    }
  }

  #map(values: AvroSchema): Shape {
    const { schema: valueSchema, read } = this.reading(values)
    return {
      ...{ type: 'MAP', keySchema: primitive('STRING'), valueSchema },
      reader: always((input) => {
        const map = new Map<string, unknown>()
        input.items(() => map.set(input.string(), read(input)))
        return map
      }),
    }
  }

  #record({ doc, fields }: RecordSchema): Shape {
    const parameters: [string, string][] = []
    const { metaData } = this.#options
    if (metaData && doc !== null) parameters.push([names.recordDoc, doc])
    const readings = fields.map((field) => {
      if (metaData && field.doc !== null)
        parameters.push([names.fieldDocPrefix + field.name, field.doc])
      return this.reading(field.schema, { fallback: field.fallback })
    })
    const schemas = fields.map((field, index) => [field.name, readings[index]!.schema] as const)
    const rows = fields.map((field, index) => ({ name: field.name, read: readings[index]!.read }))
    const reader = (own: Schema) => (input: AvroReader) =>
      input.nested(() => {
        const struct = new Struct(own)
        for (const { name, read } of rows) struct.put(name, read(input))
        return struct
      })
    return { type: 'STRUCT', parameters, fields: schemas, reader }
  }

  /** Null: it stays a union. */
  #flattened({ branches }: UnionSchema, place: Place): Reading | null {
    const [first] = branches
    if (branches.length === 1 && this.#options.flattensSingletons) {
      const { schema, read } = this.reading(first!, { isOptional: place.isOptional ?? false })
      const only: Read = (input) => {
        input.index(1)
        return read(input)
      }
      return { schema, read: only }
    }
    const nullAt = branches.findIndex(({ kind }) => kind === 'null')
    if (branches.length !== 2 || nullAt < 0) return null
    const { schema, read } = this.reading(branches[1 - nullAt]!, { isOptional: true })
    return { schema, read: (input) => (input.index(2) === nullAt ? null : read(input)) }
  }

  #union({ branches }: UnionSchema): Shape {
    const fields: [string, Schema][] = []
    const readings = branches.map((branch) => {
      if (branch.kind === 'null') return null
      const { schema, read } = this.reading(branch, { isOptional: true })
      const full = this.#options.enhanced
      const name = isNamed(branch) ? (full ? branch.name.full : branch.name.short) : branch.kind
      fields.push([name, schema])
      return { name, read }
    })
    const isOptional = readings.includes(null)
    const reader = (own: Schema) => (input: AvroReader) => {
      const chosen = readings[input.index(readings.length)]!
      return chosen === null ? null : new Struct(own).put(chosen.name, chosen.read(input))
    }
    return { type: 'STRUCT', name: names.unionName, isOptional, fields, reader }
  }

  #finished(avro: AvroSchema, shape: Shape, place: Place): Reading {
    const { props } = avro
    const parameters = new Map(shape.parameters ?? [])
    if (this.#options.metaData) {
      for (const [name, value] of parametersOf(props.get(names.parametersAttribute)))
        parameters.set(name, value)
    }
    for (const [name, value] of props)
      if (name.startsWith('avro') && typeof value === 'string') parameters.set(name, value)
    const connectDefault = props.get(names.defaultAttribute)
    const fallback = place.fallback ?? connectDefault
    if (this.#options.metaData && place.fallback !== undefined && connectDefault === undefined)
      parameters.set(names.fieldDefaultFlag, 'true')
    const doc = props.get(names.docAttribute)
    const make = (defaultValue: unknown) =>
      new Schema(shape.type, {
        optional: place.isOptional === true || shape.isOptional === true,
        name: shape.name ?? nameOf(avro),
        version: shape.version ?? versionOf(props.get(names.versionAttribute), place.version),
        doc: this.#options.metaData && typeof doc === 'string' ? doc : undefined,
        parameters: parameters.size === 0 ? undefined : parameters,
        ...(shape.fields === undefined ? {} : { fields: shape.fields }),
        ...(shape.keySchema === undefined ? {} : { keySchema: shape.keySchema }),
        ...(shape.valueSchema === undefined ? {} : { valueSchema: shape.valueSchema }),
        ...(defaultValue === null ? {} : { defaultValue }),
      })
    const bare = make(null)
    const value = fallback === undefined ? null : valueOfDefault(bare, fallback)
    const schema = value === null ? bare : make(value)
    return { schema, read: shape.reader(schema) }
  }
}

function intShape({ logical, props }: AvroSchema): Shape {
  const int: Read = (input) => input.int()
  if (logical?.name === 'date')
    return {
      ...{ type: 'INT32', name: dateName, version: 1 },
      reader: always((input) => Instant.ofDays(input.int())),
    }
  if (logical?.name === 'time-millis')
    return {
      ...{ type: 'INT32', name: timeName, version: 1 },
      reader: always((input) => new Instant(input.int())),
    }
  const type = props.get(names.typeAttribute)
  const isSmall = logical === null && (type === 'int8' || type === 'int16')
  return { type: isSmall ? (type === 'int8' ? 'INT8' : 'INT16') : 'INT32', reader: always(int) }
}

function longShape({ logical }: AvroSchema, isFine: boolean): Shape {
  const int64 = (name: string, reader: Read): Shape => {
    return { type: 'INT64', name, version: 1, reader: always(reader) }
  }
  const name = logical?.name
  if (name === 'timestamp-millis')
    return int64(timestampName, (input) => new Instant(Number(input.long())))
  if (isFine && name === 'timestamp-micros')
    return int64(microTimestampName, (input) => new Micros(input.long(), true))
  if (isFine && name === 'local-timestamp-micros')
    return int64(localTimestampName, (input) => new Micros(input.long(), false))
  if (isFine && name === 'local-timestamp-millis')
    return int64(localTimestampName, (input) => new Micros(input.long() * 1000n, false))
  return { type: 'INT64', reader: always((input) => input.long()) }
}

function bytesShape(
  { logical, props }: AvroSchema,
  size: readonly (readonly [string, string])[],
  bytes: (input: AvroReader) => Buffer,
): Shape {
  // Connect's own decimals may have scales that Avro's may not: who wrote them says so all the same.
  if (logical?.name !== 'decimal' && props.get('logicalType') !== 'decimal')
    return { type: 'BYTES', parameters: size, reader: always(bytes) }
  const scale = Number(props.get('scale') ?? 0n)
  const precision = props.get('precision')
  const parameters: [string, string][] = [['scale', String(scale)]]
  if (typeof precision === 'bigint' && precision !== BigInt(names.precisionDefault))
    parameters.push([names.precisionParameter, String(precision)])
  return {
    ...{ type: 'BYTES', name: decimalName, version: 1 },
    parameters: [...parameters, ...size],
    reader: always((input) => Decimal.fromBytes(bytes(input), scale)),
  }
}

function isMapEntry(items: AvroSchema): items is RecordSchema {
  if (items.kind !== 'record') return false
  const { name, props } = items
  const isOwn = name.space === names.defaultNamespace && name.short === names.mapEntry
  return isOwn || props.get(names.internalTypeAttribute) === names.mapEntry
}

function nameOf(avro: AvroSchema): string | undefined {
  const given = avro.props.get(names.nameAttribute)
  const name = typeof given === 'string' ? given : isNamed(avro) ? avro.name.full : undefined
  return name?.startsWith(`${names.defaultNamespace}.${names.defaultName}`) ? undefined : name
}

/** Connect's own goes before that of the registry. */
function versionOf(own: Json | undefined, registered: number | null = null): number | undefined {
  if (typeof own === 'bigint') return Number(own)
  return registered ?? undefined
}

function parametersOf(json: Json | undefined): (readonly [string, string])[] {
  if (json === undefined) return []
  if (!(json instanceof Map))
    throw new DataException('Expected JSON object for schema parameters but found another')
  return Array.from(json, ([name, value]) => {
    if (typeof value !== 'string')
      throw new DataException('Expected schema parameter values to be strings but found others')
    return [name, value] as const
  })
}
