/**
 * Transformations of a record's key or value. Each is written once, for data, and comes as two plug-ins,
 * `….Cast$Key` and `….Cast$Value`, as Kafka's do.
 */
import { boolean, type Definition, list } from '../../config/definition.ts'
import {
  ConfigDef,
  type ConfigKey,
  type ConfigKeys,
  key,
  type ParsedConfig,
} from '../config-def.ts'
import { type Field, Schema, type SchemaAndValue, Struct, type Type } from '../data.ts'
import { DataException } from '../failures.ts'
import type { Transform, TransformationPlugin } from '../plugin.ts'
import type { ConnectHeader, ConnectRecord } from '../records.ts'
import { connectVersion } from '../version.ts'

export const transformPrefix = 'org.apache.kafka.connect.transforms'

export interface Changed extends SchemaAndValue {
  /** Where they change too. */
  readonly headers?: readonly ConnectHeader[]
}

type Change = (data: SchemaAndValue, record: ConnectRecord) => Changed

export function transformation<Keys extends ConfigKeys>(
  name: string,
  keys: Keys,
  create: (config: ParsedConfig<Keys>) => Transform,
): TransformationPlugin {
  const config = new ConfigDef(keys)
  return {
    type: 'transformation',
    className: `${transformPrefix}.${name}`,
    version: connectVersion,
    config: config as ConfigDef,
    create: (settings) => create(config.parse(settings)),
  }
}

/** The two of one. `create` may throw ConfigError for settings that do not go together. */
export function ofParts<Keys extends ConfigKeys>(
  name: string,
  keys: Keys,
  create: (config: ParsedConfig<Keys>) => Change,
): TransformationPlugin[] {
  return [
    transformation(`${name}$Key`, keys, (config) => {
      const change = create(config)
      return (record) => {
        const { schema, value, headers } = change(
          { schema: record.keySchema, value: record.key },
          record,
        )
        return { ...record, keySchema: schema, key: value, headers: headers ?? record.headers }
      }
    }),
    transformation(`${name}$Value`, keys, (config) => {
      const change = create(config)
      return (record) => {
        const { schema, value, headers } = change(
          { schema: record.valueSchema, value: record.value },
          record,
        )
        return { ...record, valueSchema: schema, value, headers: headers ?? record.headers }
      }
    }),
  ]
}

/** A setting that most of them have. */
export const replaceNull: ConfigKey<boolean> = key(
  boolean(true),
  'MEDIUM',
  'Whether a field that is null counts as its default value.',
)

/** A list that says something. */
export function names(): Definition<readonly string[]> {
  return list([], {
    allowed: 'a list of names that is not empty',
    check: (items) => {
      if (items.length === 0 || items.includes('')) throw new Error('Empty list')
    },
  })
}

export function valueIn(struct: Struct, name: string, nullBecomesDefault: boolean): unknown {
  return nullBecomesDefault ? struct.get(name) : struct.getWithoutDefault(name)
}

/** Throws DataException. */
export function requireMap(value: unknown, purpose: string): Map<string, unknown> {
  if (value instanceof Map) return value as Map<string, unknown>
  throw new DataException(
    `Only Map objects supported in absence of schema for [${purpose}], found: ${kindOf(value)}`,
  )
}

/** Throws DataException. */
export function requireStruct(value: unknown, purpose: string): Struct {
  if (value instanceof Struct) return value
  throw new DataException(`Only Struct objects supported for [${purpose}], found: ${kindOf(value)}`)
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  return typeof value === 'object' ? value.constructor.name : typeof value
}

/** Makes a schema of another once; those that nobody has any more are forgotten. */
export function once(make: (schema: Schema) => Schema): (schema: Schema) => Schema {
  const made = new WeakMap<Schema, Schema>()
  return (schema) => {
    const known = made.get(schema)
    if (known !== undefined) return known
    const updated = make(schema)
    made.set(schema, updated)
    return updated
  }
}

/** What remains of a schema whose type or fields change: neither optionality nor default. */
export function basicsOf({ name, version, doc, parameters }: Schema) {
  return {
    name: name ?? undefined,
    version: version ?? undefined,
    doc: doc ?? undefined,
    parameters: parameters ?? undefined,
  }
}

export type FieldRow = readonly [string, Schema]

/** A struct's schema with other fields. */
export function withFields(schema: Schema, fields: readonly FieldRow[]): Schema {
  return new Schema('STRUCT', { ...basicsOf(schema), fields })
}

export function rowsOf(fields: readonly Field[]): FieldRow[] {
  return fields.map(({ name, schema }) => [name, schema])
}

/** The same schema, optional or not, with another default. */
export function retyped(
  schema: Schema,
  given: { type?: Type; optional: boolean; defaultValue: unknown },
): Schema {
  const { type = schema.type, optional, defaultValue } = given
  return new Schema(type, {
    ...basicsOf(schema),
    optional,
    defaultValue,
    ...(schema.keySchema === null ? {} : { keySchema: schema.keySchema }),
    ...(schema.valueSchema === null ? {} : { valueSchema: schema.valueSchema }),
    fields: rowsOf(schema.fields),
  })
}
