/**
 * A schema as the text that a registry stores: all that the author wrote, attributes in Avro's own order, no white
 * space; names that come from references stay names. With `isNormalized` also attributes and aliases in order and empty
 * documentation left out, so that schemas that mean the same are the same.
 */
import { type Json, type JsonObject, writeJson } from '../../connect/json-text.ts'
import type { ParsedAvro } from './parse.ts'
import {
  type AvroSchema,
  type Field,
  isNamed,
  type NamedSchema,
  type Properties,
} from './schema.ts'

export function schemaText(
  { schema, referenced }: ParsedAvro,
  { isNormalized = false } = {},
): string {
  return writeJson(new Printer(new Set(referenced), isNormalized).json(schema, ''))
}

class Printer {
  readonly #known: Set<string>
  readonly #isNormalized: boolean

  constructor(known: Set<string>, isNormalized: boolean) {
    this.#known = known
    this.#isNormalized = isNormalized
  }

  json(schema: AvroSchema, space: string): Json {
    if (isNamed(schema)) return this.#named(schema, space)
    switch (schema.kind) {
      case 'union':
        return schema.branches.map((branch) => this.json(branch, space))
      case 'array':
        return this.#object(schema.props, [
          ['type', 'array'],
          ['items', this.json(schema.items, space)],
        ])
      case 'map':
        return this.#object(schema.props, [
          ['type', 'map'],
          ['values', this.json(schema.values, space)],
        ])
      default:
        return schema.props.size === 0
          ? schema.kind
          : this.#object(schema.props, [['type', schema.kind]])
    }
  }

  #named(schema: NamedSchema, space: string): Json {
    const { name } = schema
    if (this.#known.has(name.full)) return name.within(space)
    this.#known.add(name.full)
    const type = schema.kind === 'record' && schema.isError ? 'error' : schema.kind
    const head: [string, Json][] = [
      ['type', type],
      ['name', name.short],
    ]
    if (name.space !== space) head.push(['namespace', name.space])
    if (this.#hasDoc(schema.doc)) head.push(['doc', schema.doc])
    if (schema.kind === 'record')
      head.push(['fields', schema.fields.map((field) => this.#field(field, name.space))])
    if (schema.kind === 'enum') {
      head.push(['symbols', [...schema.symbols]])
      if (schema.fallback !== null) head.push(['default', schema.fallback])
    }
    if (schema.kind === 'fixed') head.push(['size', BigInt(schema.size)])
    const aliases = schema.aliases.map((alias) => alias.within(name.space))
    return this.#withAliases(this.#object(schema.props, head), aliases)
  }

  #field(field: Field, space: string): Json {
    const head: [string, Json][] = [
      ['name', field.name],
      ['type', this.json(field.schema, space)],
    ]
    if (field.doc !== null) head.push(['doc', field.doc])
    if (field.fallback !== undefined) head.push(['default', field.fallback])
    if (field.order !== 'ascending') head.push(['order', field.order])
    return this.#object(field.props, Array.from(this.#withAliases(new Map(head), field.aliases)))
  }

  #hasDoc(doc: string | null): boolean {
    return doc !== null && !(this.#isNormalized && doc === '')
  }

  #withAliases(object: JsonObject, aliases: readonly string[]): JsonObject {
    if (aliases.length === 0) return object
    return object.set('aliases', this.#isNormalized ? [...aliases].sort() : [...aliases])
  }

  #object(props: Properties, head: readonly (readonly [string, Json])[]): JsonObject {
    const object: JsonObject = new Map(head)
    const names = [...props.keys()]
    if (this.#isNormalized)
      names.sort((left, right) => rank(left) - rank(right) || order(left, right))
    for (const name of names) object.set(name, props.get(name)!)
    return object
  }
}

/** What belongs to a logical type comes first. */
function rank(name: string): number {
  const first = ['logicalType', 'precision', 'scale'].indexOf(name)
  return first < 0 ? 3 : first
}

function order(left: string, right: string): number {
  return left < right ? -1 : 1
}
