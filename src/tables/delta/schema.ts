/**
 * A table's columns: `schemaString` read into fields, each with the name by which files know it. Under column mapping that
 * is a physical name or an id, else the column's own.
 */
import { type DataType, type Field, typeName } from '../columns/column.ts'
import { type Json, parseJson } from '../columns/exact-json.ts'
import type { MetadataAction } from './actions.ts'
import { corrupt, unsupported } from './delta-error.ts'

export interface TableField extends Field {
  /** The name in Parquet files, statistics and partition values. */
  readonly physicalName: string
  /** One for each of `fieldsWithin(type)`. */
  readonly children: readonly TableField[]
  readonly metadata: { readonly [name: string]: Json }
}

export type MappingMode = 'none' | 'name' | 'id'

export interface TableSchema {
  readonly fields: readonly TableField[]
  readonly mapping: MappingMode
  /** In the order of `partitionColumns`. */
  readonly partitionFields: readonly TableField[]
}

const depthMax = 100

/** Throws DeltaError. */
export function readTableSchema(metadata: MetadataAction): TableSchema {
  const mapping = mappingOf(metadata)
  const root = new SchemaReader(mapping).root(metadata.schemaString)
  const partitionFields = metadata.partitionColumns.map((name) => {
    const field =
      root.find((one) => one.name === name) ??
      root.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (field === undefined) throw corrupt(`partition column ${name} is not in the schema`)
    return field
  })
  return { fields: root, mapping, partitionFields }
}

function mappingOf({ configuration }: MetadataAction): MappingMode {
  const mode = configuration.get('delta.columnMapping.mode') ?? 'none'
  if (mode === 'none' || mode === 'name' || mode === 'id') return mode
  throw unsupported(`columnMapping of mode ${mode}`)
}

class SchemaReader {
  readonly #mapping: MappingMode
  #depth = 0

  constructor(mapping: MappingMode) {
    this.#mapping = mapping
  }

  root(text: string): TableField[] {
    let json: Json
    try {
      json = parseJson(text)
    } catch (error) {
      throw corrupt(`schemaString: ${(error as Error).message}`, { cause: error })
    }
    return this.#fields(objectOf(json, 'the schema'))
  }

  #fields(struct: Record<string, Json>): TableField[] {
    if (struct['type'] !== 'struct' || !Array.isArray(struct['fields'])) {
      throw corrupt('schemaString: a struct without fields')
    }
    const fields = struct['fields'].map((one) => this.#field(objectOf(one, 'a field')))
    const names = new Set(fields.map(({ name }) => name.toLowerCase()))
    if (names.size < fields.length) throw corrupt('schemaString: two columns of one name')
    return fields
  }

  #field(json: Record<string, Json>): TableField {
    const { name, metadata: given } = json
    if (typeof name !== 'string') throw corrupt('schemaString: a field without a name')
    const metadata = objectOf(given ?? {}, `metadata of ${name}`)
    const { type, children } = this.#type(json['type'] ?? null, name)
    const field = { name, type, children, metadata, isNullable: json['nullable'] !== false }
    if (this.#mapping === 'none') return { ...field, physicalName: name }
    const physicalName = metadata['delta.columnMapping.physicalName']
    const id = metadata['delta.columnMapping.id']
    if (typeof physicalName !== 'string' || typeof id !== 'number') {
      throw corrupt(`columnMapping: column ${name} has no physical name or id`)
    }
    return { ...field, physicalName, fieldId: id }
  }

  #type(json: Json, name: string): { type: DataType; children: TableField[] } {
    if (typeof json === 'string') return { type: primitive(json, name), children: [] }
    if (++this.#depth > depthMax) throw unsupported(`schemas more than ${depthMax} levels deep`)
    const nested = objectOf(json, `the type of ${name}`)
    const found = this.#nested(nested, name)
    this.#depth--
    return found
  }

  #nested(nested: Record<string, Json>, name: string): { type: DataType; children: TableField[] } {
    switch (nested['type']) {
      case 'struct': {
        const children = this.#fields(nested)
        return { type: { kind: 'struct', fields: children }, children }
      }
      case 'array': {
        const element = this.#part('element', nested['elementType'], nested['containsNull'])
        return { type: { kind: 'list', element }, children: [element] }
      }
      case 'map': {
        const key = this.#part('key', nested['keyType'], false)
        const value = this.#part('value', nested['valueType'], nested['valueContainsNull'])
        return { type: { kind: 'map', key, value }, children: [key, value] }
      }
      default:
        throw unsupported(`column ${name} is of type ${String(nested['type'])}`)
    }
  }

  #part(name: string, json: Json | undefined, isNullable: Json | undefined): TableField {
    const { type, children } = this.#type(json ?? null, name)
    return {
      name,
      physicalName: name,
      type,
      children,
      metadata: {},
      isNullable: isNullable !== false,
    }
  }
}

function objectOf(json: Json, what: string): Record<string, Json> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw corrupt(`schemaString: ${what} is no object`)
  }
  return json as Record<string, Json>
}

const primitives: Readonly<Record<string, DataType>> = {
  string: { kind: 'string' },
  long: { kind: 'int64' },
  integer: { kind: 'int32' },
  short: { kind: 'int16' },
  byte: { kind: 'int8' },
  float: { kind: 'float' },
  double: { kind: 'double' },
  boolean: { kind: 'boolean' },
  binary: { kind: 'binary' },
  date: { kind: 'date' },
  timestamp: { kind: 'timestamp', unit: 'micros', isUtc: true },
  timestamp_ntz: { kind: 'timestamp', unit: 'micros', isUtc: false },
  void: { kind: 'null' },
}

function primitive(text: string, name: string): DataType {
  if (Object.hasOwn(primitives, text)) return primitives[text]!
  const decimal = /^decimal(?:\(\s*(\d+)\s*,\s*(\d+)\s*\))?$/.exec(text)
  if (decimal === null) {
    const feature = text === 'variant' ? ' (the feature variantType)' : ''
    throw unsupported(`column ${name} is of type ${text}${feature}`)
  }
  const precision = Number(decimal[1] ?? 10)
  const scale = Number(decimal[2] ?? 0)
  if (precision < 1 || precision > 38 || scale > precision) {
    throw unsupported(`column ${name} is of type ${text}`)
  }
  return { kind: 'decimal', precision, scale }
}

/** The name that a schema has for a type that is not nested. */
function primitiveName(type: DataType): string {
  const name = typeName(type)
  if (type.kind === 'decimal' || Object.hasOwn(primitives, name)) return name
  throw unsupported(`Delta has no type for ${type.kind}`)
}

/** A type as a person reads it. */
export function typeText(type: DataType): string {
  switch (type.kind) {
    case 'list':
      return `array<${typeText(type.element.type)}>`
    case 'map':
      return `map<${typeText(type.key.type)},${typeText(type.value.type)}>`
    case 'struct':
      return `struct<${type.fields.map((one) => `${one.name}:${typeText(one.type)}`).join(',')}>`
    default:
      return primitiveName(type)
  }
}
