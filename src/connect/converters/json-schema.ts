/**
 * A schema as the JSON in an envelope's `schema`: `{"type":"int8","optional":false}` with `name`,
 * `version`, `doc`, `parameters` and `default` where there are any; an array has `items`, a map `keys` and
 * `values`, a struct `fields`, each a schema with `field` beside.
 */
import { type PrimitiveType, Schema, type Type } from '../data.ts'
import { DataException } from '../failures.ts'
import type { Json, JsonObject } from '../json-text.ts'

/** How defaults are written: as any payload. */
interface Values {
  toJson(schema: Schema | null, value: unknown): Json
  fromJson(schema: Schema | null, json: Json): unknown
}

const typeNames: Readonly<Record<Type, string>> = {
  BOOLEAN: 'boolean',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FLOAT32: 'float',
  FLOAT64: 'double',
  BYTES: 'bytes',
  STRING: 'string',
  ARRAY: 'array',
  MAP: 'map',
  STRUCT: 'struct',
}
const typesByName = new Map(
  Object.entries(typeNames).map(([type, name]) => [name, type as Type] as const),
)

export function schemaToJson(schema: Schema, values: Values): JsonObject {
  const json: JsonObject = new Map([['type', typeNames[schema.type]]])
  const { keySchema, valueSchema } = schema
  if (schema.type === 'ARRAY') json.set('items', schemaToJson(valueSchema!, values))
  if (schema.type === 'MAP') {
    json.set('keys', schemaToJson(keySchema!, values))
    json.set('values', schemaToJson(valueSchema!, values))
  }
  if (schema.type === 'STRUCT')
    json.set(
      'fields',
      schema.fields.map(({ name, schema: of }) => schemaToJson(of, values).set('field', name)),
    )
  json.set('optional', schema.isOptional)
  if (schema.name !== null) json.set('name', schema.name)
  if (schema.version !== null) json.set('version', BigInt(schema.version))
  if (schema.doc !== null) json.set('doc', schema.doc)
  if (schema.parameters !== null) json.set('parameters', new Map(schema.parameters))
  if (schema.defaultValue !== null) json.set('default', values.toJson(schema, schema.defaultValue))
  return json
}

/** Null for null: data without a schema. Throws DataException where it is no schema. */
export function schemaFromJson(json: Json, values: Values): Schema | null {
  if (json === null) return null
  const typeName = json instanceof Map ? json.get('type') : undefined
  if (!(json instanceof Map) || typeof typeName !== 'string')
    throw new DataException("Schema must contain 'type' field")
  const type = typesByName.get(typeName)
  if (type === undefined) throw new DataException(`Unknown schema type: ${typeName}`)
  const shape = { ...partsOf(type, json, values), ...optionsOf(json) }
  const fallback = json.get('default')
  if (fallback === undefined || fallback === null) return new Schema(type, shape)
  // The default is a value of the schema that has none yet.
  const defaultValue = values.fromJson(new Schema(type, shape), fallback)
  return new Schema(type, { ...shape, defaultValue })
}

function optionsOf(json: JsonObject) {
  const [optional, name, version, doc] = ['optional', 'name', 'version', 'doc'].map((key) =>
    json.get(key),
  )
  return {
    optional: optional === true,
    name: typeof name === 'string' ? name : undefined,
    version: typeof version === 'bigint' ? Number(BigInt.asIntN(32, version)) : undefined,
    doc: typeof doc === 'string' ? doc : undefined,
    parameters: parametersOf(json.get('parameters')),
  }
}

function parametersOf(json: Json | undefined): ReadonlyMap<string, string> | undefined {
  if (!(json instanceof Map) || json.size === 0) return undefined
  return new Map(
    Array.from(json, ([name, value]) => {
      if (typeof value !== 'string')
        throw new DataException('Schema parameters must have string values.')
      return [name, value]
    }),
  )
}

function partsOf(type: PrimitiveType | Type, json: JsonObject, values: Values) {
  if (type === 'ARRAY')
    return {
      valueSchema: part(json, 'items', 'Array schema did not specify the element type', values),
    }
  if (type === 'MAP')
    return {
      keySchema: part(json, 'keys', 'Map schema did not specify the key type', values),
      valueSchema: part(json, 'values', 'Map schema did not specify the value type', values),
    }
  return type === 'STRUCT' ? { fields: fieldsOf(json.get('fields'), values) } : {}
}

function part(json: JsonObject, name: string, missing: string, values: Values): Schema {
  const schema = schemaFromJson(json.get(name) ?? null, values)
  if (schema === null) throw new DataException(missing)
  return schema
}

function fieldsOf(json: Json | undefined, values: Values): (readonly [string, Schema])[] {
  if (!Array.isArray(json))
    throw new DataException('Struct schema\'s "fields" argument is not an array.')
  return json.map((row) => {
    const name = row instanceof Map ? row.get('field') : undefined
    const schema = typeof name === 'string' ? schemaFromJson(row, values) : null
    if (typeof name !== 'string' || schema === null)
      throw new DataException("Struct schema's field name not specified properly")
    return [name, schema] as const
  })
}
