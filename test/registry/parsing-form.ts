/** Avro's Parsing Canonical Form of a schema, which has only what decides how bytes are read. */
import { type Json, type JsonObject, writeJson } from '../../src/connect/json-text.ts'
import { type AvroSchema, isNamed } from '../../src/registry/avro/schema.ts'

export function parsingForm(schema: AvroSchema): string {
  return writeJson(bare(schema, new Set()))
}

function bare(schema: AvroSchema, known: Set<string>): Json {
  if (schema.kind === 'union') return schema.branches.map((branch) => bare(branch, known))
  if (schema.kind === 'array')
    return new Map<string, Json>([
      ['type', 'array'],
      ['items', bare(schema.items, known)],
    ])
  if (schema.kind === 'map')
    return new Map<string, Json>([
      ['type', 'map'],
      ['values', bare(schema.values, known)],
    ])
  if (!isNamed(schema)) return schema.kind
  const { full } = schema.name
  if (known.has(full)) return full
  known.add(full)
  const object: JsonObject = new Map<string, Json>([
    ['name', full],
    ['type', schema.kind],
  ])
  if (schema.kind === 'enum') return object.set('symbols', [...schema.symbols])
  if (schema.kind === 'fixed') return object.set('size', BigInt(schema.size))
  const fields = schema.fields.map(
    (field) =>
      new Map<string, Json>([
        ['name', field.name],
        ['type', bare(field.schema, known)],
      ]),
  )
  return object.set('fields', fields)
}
