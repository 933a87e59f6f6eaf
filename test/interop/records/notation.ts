/**
 * Records, schemas and values as JSON in which nothing is lost, for `Records.java` to read and to write. Integers are
 * `["i", digits]`, floats `["f", bits]` (a FLOAT32 as what its text says: all that is left of it without a schema), bytes `["b", hex]`, decimals `["d", unscaled, scale]`, times `["t", ms]`, lists
 * `["l", …]`, maps `["m", [key, value], …]`, structs `["s", schema, …]`; booleans, texts and null are themselves.
 */
import { type Schema, Struct } from '../../../src/connect/data.ts'
import { float32Text } from '../../../src/connect/float-text.ts'
import { type Json, parseJson, writeJson } from '../../../src/connect/json-text.ts'
import { Decimal, Instant } from '../../../src/connect/logical.ts'
import type { ConnectRecord, SinkRecord } from '../../../src/connect/records.ts'

export type Notation = null | boolean | number | string | readonly Notation[]

export function schemaNotation(schema: Schema | null): Notation {
  if (schema === null) return null
  const { type, isOptional, defaultValue, name, version, doc, parameters } = schema
  const pairs = parameters === null ? null : [...parameters].sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    ...[type, isOptional, valueNotation(schema, defaultValue), name, version, doc, pairs],
    partsOf(schema),
  ]
}

function partsOf({ type, keySchema, valueSchema, fields }: Schema): Notation {
  if (type === 'ARRAY') return schemaNotation(valueSchema)
  if (type === 'MAP') return [schemaNotation(keySchema), schemaNotation(valueSchema)]
  if (type !== 'STRUCT') return null
  return fields.map(({ name, schema }) => [name, schemaNotation(schema)])
}

/** The entries of maps are in the order of their notation: Java's maps have none. */
export function valueNotation(schema: Schema | null, value: unknown): Notation {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'bigint') return ['i', String(value)]
  if (typeof value === 'number') {
    if (schema?.type.startsWith('INT')) return ['i', String(value)]
    const bits = Buffer.alloc(8)
    const isNarrow = schema?.type === 'FLOAT32' && Number.isFinite(value)
    // One NaN is as another.
    bits.writeDoubleBE(
      isNarrow ? Number(float32Text(value)) : Object.is(value, -0) ? value : Number(String(value)),
    )
    return ['f', bits.toString('hex')]
  }
  if (Buffer.isBuffer(value)) return ['b', value.toString('hex')]
  if (value instanceof Decimal) return ['d', String(value.unscaled), value.scale]
  if (value instanceof Instant) return ['t', String(value.epochMs)]
  if (Array.isArray(value))
    return ['l', ...value.map((each) => valueNotation(schema?.valueSchema ?? null, each))]
  if (value instanceof Map) {
    const entries = Array.from(value, ([key, each]) => [
      valueNotation(schema?.keySchema ?? null, key),
      valueNotation(schema?.valueSchema ?? null, each),
    ])
    const texts = new Map(entries.map((entry) => [JSON.stringify(entry), entry]))
    return ['m', ...[...texts.keys()].sort().map((text) => texts.get(text)!)]
  }
  if (!(value instanceof Struct)) throw new Error(`no notation for ${String(value)}`)
  const members = value.schema.fields.map(({ name, schema: of }) =>
    valueNotation(of, value.getWithoutDefault(name)),
  )
  return ['s', schemaNotation(value.schema), ...members]
}

export function recordNotation(record: ConnectRecord): Notation {
  const { topic, kafkaPartition, timestamp, headers } = record
  const { kafkaOffset } = record as Partial<SinkRecord>
  return [
    ...[topic, kafkaPartition],
    ...[schemaNotation(record.keySchema), valueNotation(record.keySchema, record.key)],
    ...[schemaNotation(record.valueSchema), valueNotation(record.valueSchema, record.value)],
    timestamp === null ? null : String(timestamp),
    headers.map(({ key, schema, value }) => [
      key,
      schemaNotation(schema),
      valueNotation(schema, value),
    ]),
    // A source's record has no offset.
    kafkaOffset === undefined ? null : String(kafkaOffset),
  ]
}

/** A record, and the JSON of its key and its value. */
export function withTexts(made: Notation, change: (json: Json) => Json): Notation {
  if (!Array.isArray(made) || made.length !== 3) return made
  const [record, ...texts] = made as Notation[]
  const changed = (text: Notation) =>
    typeof text === 'string' ? writeJson(change(parseJson(text))) : text
  return [record!, ...texts.map(changed)]
}

/** Maps without a schema have an order in Java that says nothing: JSON of them is put in another. */
export function inOrder(json: Json): Json {
  if (Array.isArray(json)) {
    const members = json.map(inOrder)
    // A map whose keys are no texts.
    const isMap = members.every((member) => Array.isArray(member) && member.length === 2)
    return isMap ? members.sort((a, b) => (writeJson(a) < writeJson(b) ? -1 : 1)) : members
  }
  if (!(json instanceof Map)) return json
  const members = [...json].sort(([a], [b]) => (a < b ? -1 : 1))
  return new Map(members.map(([name, member]) => [name, inOrder(member)]))
}
