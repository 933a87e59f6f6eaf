/** Transformations of a whole value's shape: nested fields to flat ones, and the names of schemas. */
import { ConfigError, int, string } from '../../config/definition.ts'
import { key } from '../config-def.ts'
import { Schema, Struct, typeOf } from '../data.ts'
import { DataException } from '../failures.ts'
import {
  basicsOf,
  type FieldRow,
  ofParts,
  once,
  replaceNull,
  requireMap,
  requireStruct,
  retyped,
  rowsOf,
  valueIn,
  withFields,
} from './part.ts'

const isNull = (value: unknown): value is null | undefined => value === null || value === undefined

export const flatten = ofParts(
  'Flatten',
  {
    delimiter: key(string('.'), 'MEDIUM', 'What stands between the names of nested fields.'),
  },
  ({ delimiter }) => {
    const below = (prefix: string, name: string) =>
      prefix === '' ? name : `${prefix}${delimiter}${name}`
    const updated = once((schema) => withFields(schema, flatRows(schema, below)))
    return ({ schema, value }) => {
      if (isNull(value)) return { schema, value }
      if (schema === null) {
        const flat = new Map<string, unknown>()
        flattenMap(requireMap(value, 'flattening'), '', flat, below)
        return { schema, value: flat }
      }
      const struct = requireStruct(value, 'flattening')
      const made = new Struct(updated(schema))
      flattenStruct(struct, '', made, below)
      return { schema: made.schema, value: made }
    }
  },
)

type Below = (prefix: string, name: string) => string

function flattenMap(
  map: ReadonlyMap<string, unknown>,
  prefix: string,
  target: Map<string, unknown>,
  below: Below,
): void {
  for (const [name, value] of map) {
    if (typeof name !== 'string') throw new DataException('Flatten needs names as the keys of maps')
    const flat = below(prefix, name)
    const type = isNull(value) ? 'STRING' : typeOf(value)
    if (type === 'MAP') flattenMap(value as Map<string, unknown>, flat, target, below)
    else if (type !== null && type !== 'STRUCT') target.set(flat, value ?? null)
    else throw unsupported(String(type), 'without schemas', flat)
  }
}

/** A field is optional where any above it is, and has the default that those above have for it. */
function flatRows(
  schema: Schema,
  below: Below,
  prefix = '',
  isOptional = schema.isOptional,
  fallback: unknown = schema.defaultValue,
): FieldRow[] {
  return schema.fields.flatMap(({ name, schema: of }): FieldRow[] => {
    const flat = below(prefix, name)
    const optional = isOptional || of.isOptional
    const inherited = fallback instanceof Struct ? fallback.get(name) : null
    const defaultValue = of.defaultValue ?? inherited
    if (of.type === 'STRUCT') return flatRows(of, below, flat, optional, defaultValue)
    if (of.type === 'MAP') throw unsupported(of.type, 'with schemas', flat)
    return [[flat, retyped(of, { optional, defaultValue })]]
  })
}

function flattenStruct(struct: Struct, prefix: string, target: Struct, below: Below): void {
  for (const { name, schema } of struct.schema.fields) {
    const flat = below(prefix, name)
    const value = struct.get(name)
    if (schema.type !== 'STRUCT') target.put(flat, value)
    else if (value instanceof Struct) flattenStruct(value, flat, target, below)
  }
}

function unsupported(type: string, how: string, field: string): DataException {
  return new DataException(
    `Flatten transformation does not support ${type} for record ${how} (for field ${field}).`,
  )
}

export const setSchemaMetadata = ofParts(
  'SetSchemaMetadata',
  {
    'schema.name': key(string(null), 'HIGH', 'The name that the schema gets.'),
    'schema.version': key(int(null), 'HIGH', 'The version that the schema gets.'),
    'replace.null.with.default': replaceNull,
  },
  (config) => {
    const { 'schema.name': name, 'schema.version': version } = config
    const withDefault = config['replace.null.with.default']
    if (name === null && version === null)
      throw new ConfigError('schema.name', 'Neither schema name nor version configured')
    const into = (target: Schema, value: unknown) => {
      if (!(value instanceof Struct)) return value
      const made = new Struct(target)
      for (const field of target.fields)
        made.put(field.name, valueIn(value, field.name, withDefault))
      return made
    }
    const updated = once((schema) => {
      const shape = {
        ...basicsOf(schema),
        name: name ?? schema.name ?? undefined,
        version: version ?? schema.version ?? undefined,
        optional: schema.isOptional,
        fields: rowsOf(schema.fields),
        ...(schema.keySchema === null ? {} : { keySchema: schema.keySchema }),
        ...(schema.valueSchema === null ? {} : { valueSchema: schema.valueSchema }),
      }
      const bare = new Schema(schema.type, shape)
      if (schema.defaultValue === null) return bare
      return new Schema(schema.type, { ...shape, defaultValue: into(bare, schema.defaultValue) })
    })
    return ({ schema, value }) => {
      if (schema === null) {
        if (isNull(value)) return { schema, value }
        throw new DataException('Schema required for [updating schema metadata]')
      }
      const target = updated(schema)
      return { schema: target, value: into(target, value) }
    }
  },
)
