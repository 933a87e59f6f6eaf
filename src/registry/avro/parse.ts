/**
 * Reads Avro schemas. Names are looked up as Avro's specification says: in the enclosing namespace, and
 * only after their definition. Whatever the text, it takes time in proportion to its length, and no more
 * stack than `depthMax` allows.
 */

import { type Json, type JsonObject, writeJson } from '../../connect/json-text.ts'
import { DefaultChecks } from './defaults.ts'
import { logicalTypeOf } from './logical-types.ts'
import {
  type AvroSchema,
  branchName,
  type EnumSchema,
  type Field,
  type FixedSchema,
  Name,
  type NamedSchema,
  type PrimitiveName,
  type PrimitiveSchema,
  type Properties,
  primitiveNames,
  type RecordSchema,
  SchemaError,
  type UnionSchema,
} from './schema.ts'
import { jsonOf } from './schema-json.ts'

/** Schemas within schemas. Real ones stay below twenty. */
const depthMax = 100
/** Records, enums and fixeds of one schema, those of its references included. */
const namesMax = 5_000
/** Types, fields and branches in one schema. */
const nodesMax = 20_000
/** Symbols of all enums of one schema. */
const symbolsMax = 100_000
/** Characters of a piece of the schema that a message repeats. */
const quotedMax = 200

export interface ParseOptions {
  /** Schemas whose names the text may use, in an order in which each uses only those before it. */
  readonly references?: readonly string[]
  /**
   * False for what was registered elsewhere long ago, when names and defaults were not checked: what can
   * be read is read.
   */
  readonly isStrict?: boolean
}

export interface ParsedAvro {
  readonly schema: AvroSchema
  /** Full names that come from references: written as names, never defined again. */
  readonly referenced: ReadonlySet<string>
}

/** Throws SchemaError. */
export function parseAvro(
  text: string,
  { references = [], isStrict = true }: ParseOptions = {},
): ParsedAvro {
  const reader = new SchemaReader(isStrict)
  for (const reference of references) reader.schema(jsonOf(reference), '', 0)
  const referenced = new Set(reader.names.keys())
  const schema = reader.schema(jsonOf(text), '', 0)
  reader.checkDefaults()
  return { schema, referenced }
}

const noProps: Properties = new Map()
const primitives = new Map<string, PrimitiveSchema>(
  primitiveNames.map((kind) => [kind, { kind, props: noProps, logical: null }]),
)

const schemaAttributes = new Set(
  'doc fields items name namespace size symbols values type aliases'.split(' '),
)
const enumAttributes = new Set([...schemaAttributes, 'default'])
const fieldAttributes = new Set('default doc name order type aliases'.split(' '))

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

class SchemaReader {
  readonly names = new Map<string, NamedSchema>()
  readonly #isStrict: boolean
  readonly #withDefault: { field: Field; of: Name }[] = []
  #nodes = 0
  #symbols = 0

  constructor(isStrict: boolean) {
    this.#isStrict = isStrict
  }

  schema(json: Json, space: string, depth: number): AvroSchema {
    if (depth > depthMax)
      throw new SchemaError(`The schema is nested deeper than ${depthMax} levels`)
    this.#count()
    if (typeof json === 'string') return this.#byName(json, space)
    if (Array.isArray(json)) return this.#union(json, space, depth)
    if (json instanceof Map) return this.#byType(json, space, depth)
    throw new SchemaError(
      `A schema is a name, an object or a list of schemas, and not ${quoted(json)}`,
    )
  }

  /** After all names are known: a default may be of a record that is defined further on. */
  checkDefaults(): void {
    if (!this.#isStrict) return
    const checks = new DefaultChecks()
    for (const { field, of } of this.#withDefault)
      if (!checks.fits(field.schema, field.fallback!))
        throw new SchemaError(
          `Invalid default for field ${field.name} of ${of.full}: ${quoted(field.fallback!)} is not a ${branchNames(field.schema)}`,
        )
  }

  #count(): void {
    if (++this.#nodes > nodesMax)
      throw new SchemaError(`The schema has more than ${nodesMax} types and fields`)
  }

  #byName(name: string, space: string): AvroSchema {
    const primitive = primitives.get(name)
    if (primitive !== undefined) return primitive
    const qualified = name.includes('.') || space === '' ? name : `${space}.${name}`
    const named = this.names.get(qualified) ?? this.names.get(name)
    if (named === undefined)
      throw new SchemaError(
        `Undefined name: "${shortened(name)}". A type is a primitive type, an object with "type", or a name that was defined before`,
      )
    return named
  }

  #byType(json: JsonObject, space: string, depth: number): AvroSchema {
    const type = json.get('type')
    if (type === undefined) throw new SchemaError(`No type: ${quoted(json)}`)
    // {"type": {…}} around a schema says nothing of its own.
    if (typeof type !== 'string') return this.schema(type, space, depth + 1)
    switch (type) {
      case 'record':
      case 'error':
        return this.#record(json, space, depth)
      case 'enum':
        return this.#enum(json, space)
      case 'fixed':
        return this.#fixed(json, space)
      case 'array':
      case 'map':
        return this.#container(type, json, space, depth)
    }
    if (!primitives.has(type)) return this.#byName(type, space)
    const kind = type as PrimitiveName
    const props = propsOf(json, schemaAttributes)
    return { kind, props, logical: logicalTypeOf(kind, null, props) }
  }

  #container(kind: 'array' | 'map', json: JsonObject, space: string, depth: number): AvroSchema {
    const attribute = kind === 'array' ? 'items' : 'values'
    const inner = json.get(attribute)
    if (inner === undefined)
      throw new SchemaError(`${kind} has no "${attribute}" type: ${quoted(json)}`)
    const schema = this.schema(inner, space, depth + 1)
    const rest = { props: propsOf(json, schemaAttributes), logical: null }
    return kind === 'array' ? { kind, items: schema, ...rest } : { kind, values: schema, ...rest }
  }

  #union(json: readonly Json[], space: string, depth: number): UnionSchema {
    const seen = new Set<string>()
    const branches = json.map((branch) => {
      const schema = this.schema(branch, space, depth + 1)
      if (schema.kind === 'union') throw new SchemaError(`Nested union: ${quoted([...json])}`)
      const name = branchName(schema)
      if (seen.has(name)) throw new SchemaError(`Duplicate in union: ${name}`)
      seen.add(name)
      return schema
    })
    return { kind: 'union', branches, props: noProps, logical: null }
  }

  #record(json: JsonObject, space: string, depth: number): RecordSchema {
    const rows = json.get('fields')
    if (!Array.isArray(rows)) throw new SchemaError(`Record has no fields: ${quoted(json)}`)
    const fieldsByName = new Map<string, Field>()
    const fields: Field[] = []
    const record: RecordSchema = {
      kind: 'record',
      isError: json.get('type') === 'error',
      ...this.#named(json, space),
      props: propsOf(json, schemaAttributes),
      logical: null,
      fields,
      fieldsByName,
    }
    this.#define(record)
    for (const row of rows) {
      const field = this.#field(row, record, fields.length, depth)
      if (fieldsByName.has(field.name))
        throw new SchemaError(`Duplicate field ${field.name} in record ${record.name.full}`)
      fieldsByName.set(field.name, field)
      fields.push(field)
      if (field.fallback !== undefined) this.#withDefault.push({ field, of: record.name })
    }
    return record
  }

  #field(row: Json, of: RecordSchema, position: number, depth: number): Field {
    this.#count()
    if (!(row instanceof Map)) throw new SchemaError(`A field is an object, not ${quoted(row)}`)
    const name = row.get('name')
    if (typeof name !== 'string') throw new SchemaError(`No field name: ${quoted(row)}`)
    this.#checkName(name)
    const type = row.get('type')
    if (type === undefined) throw new SchemaError(`No field type: ${quoted(row)}`)
    const order = row.get('order') ?? 'ascending'
    const known = typeof order === 'string' ? order.toLowerCase() : ''
    if (known !== 'ascending' && known !== 'descending' && known !== 'ignore')
      throw new SchemaError(
        `Field ${name} has order ${quoted(order)}, which is none of ascending, descending, ignore`,
      )
    return {
      name,
      position,
      schema: this.schema(type, of.name.space, depth + 1),
      doc: textOf(row, 'doc'),
      fallback: row.get('default'),
      order: known,
      aliases: aliasesOf(row),
      props: propsOf(row, fieldAttributes),
    }
  }

  #enum(json: JsonObject, space: string): EnumSchema {
    const list = json.get('symbols')
    if (!Array.isArray(list)) throw new SchemaError(`Enum has no symbols: ${quoted(json)}`)
    this.#symbols += list.length
    if (this.#symbols > symbolsMax)
      throw new SchemaError(`The schema has more than ${symbolsMax} enum symbols`)
    const symbols = new Set<string>()
    for (const symbol of list) {
      if (typeof symbol !== 'string')
        throw new SchemaError(`An enum symbol is a text, not ${quoted(symbol)}`)
      this.#checkName(symbol)
      if (symbols.has(symbol)) throw new SchemaError(`Duplicate enum symbol: ${symbol}`)
      symbols.add(symbol)
    }
    const fallback = textOf(json, 'default')
    const named = this.#named(json, space)
    if (fallback !== null && !symbols.has(fallback))
      throw new SchemaError(
        `The enum default ${quoted(fallback)} is not in the symbols of ${named.name.full}`,
      )
    return this.#define({
      kind: 'enum',
      ...named,
      symbols: [...symbols],
      symbolSet: symbols,
      fallback,
      props: propsOf(json, enumAttributes),
      logical: null,
    })
  }

  #fixed(json: JsonObject, space: string): FixedSchema {
    const size = json.get('size')
    if (typeof size !== 'bigint' || size < 0n || size >= 2n ** 31n)
      throw new SchemaError(`Invalid or no size: ${quoted(json)}`)
    const props = propsOf(json, schemaAttributes)
    return this.#define({
      kind: 'fixed',
      ...this.#named(json, space),
      size: Number(size),
      props,
      logical: logicalTypeOf('fixed', Number(size), props),
    })
  }

  #named(json: JsonObject, space: string) {
    const text = json.get('name')
    if (typeof text !== 'string') throw new SchemaError(`No name in schema: ${quoted(json)}`)
    const name = nameOf(text, textOf(json, 'namespace') ?? space)
    for (const part of name.space === '' ? [] : name.space.split('.')) this.#checkName(part)
    this.#checkName(name.short)
    const aliases = aliasesOf(json).map((alias) => nameOf(alias, name.space))
    return { name, aliases, doc: textOf(json, 'doc') }
  }

  #define<T extends NamedSchema>(schema: T): T {
    const { full } = schema.name
    if (primitives.has(full))
      throw new SchemaError(`Schemas may not be named after primitives: ${full}`)
    if (this.names.has(full)) throw new SchemaError(`Can't redefine: ${full}`)
    if (this.names.size >= namesMax)
      throw new SchemaError(`The schema defines more than ${namesMax} names`)
    this.names.set(full, schema)
    return schema
  }

  #checkName(name: string): void {
    if (name === '') throw new SchemaError('Empty name')
    if (!this.#isStrict || /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return
    if (!/^[A-Za-z_]/.test(name))
      throw new SchemaError(`Illegal initial character: ${shortened(name)}`)
    throw new SchemaError(`Illegal character in: ${shortened(name)}`)
  }
}

function nameOf(text: string, space: string): Name {
  const dot = text.lastIndexOf('.')
  return dot < 0 ? new Name(text, space) : new Name(text.slice(dot + 1), text.slice(0, dot))
}

function propsOf(json: JsonObject, known: ReadonlySet<string>): Properties {
  const props: Mutable<Map<string, Json>> = new Map()
  for (const [name, value] of json) if (!known.has(name)) props.set(name, value)
  return props.size === 0 ? noProps : props
}

function textOf(json: JsonObject, name: string): string | null {
  const value = json.get(name)
  return typeof value === 'string' ? value : null
}

function aliasesOf(json: JsonObject): readonly string[] {
  const aliases = json.get('aliases')
  if (aliases === undefined) return []
  if (!Array.isArray(aliases) || aliases.some((alias) => typeof alias !== 'string'))
    throw new SchemaError(`aliases are a list of names, not ${quoted(aliases)}`)
  return [...new Set(aliases as string[])]
}

function branchNames(schema: AvroSchema): string {
  return schema.kind === 'union' ? schema.branches.map(branchName).join(' or ') : branchName(schema)
}

function quoted(json: Json): string {
  return shortened(writeJson(json))
}

function shortened(text: string): string {
  return text.length > quotedMax ? `${text.slice(0, quotedMax)}…` : text
}
