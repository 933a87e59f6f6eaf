/** Transformations that take fields out, put them in, or change what they hold. */
import { ConfigError, list, matching, string } from '../../config/definition.ts'
import { key, required } from '../config-def.ts'
import {
  describe,
  type PrimitiveType,
  primitive,
  type Schema,
  Struct,
  structOf,
  timestamp,
} from '../data.ts'
import { DataException } from '../failures.ts'
import { Decimal, Instant } from '../logical.ts'
import type { ConnectRecord, SinkRecord } from '../records.ts'
import { type CastType, castTo } from './cast.ts'
import { FieldPath, fieldSyntax } from './field-path.ts'
import {
  type FieldRow,
  names,
  ofParts,
  once,
  replaceNull,
  requireMap,
  requireStruct,
  rowsOf,
  transformation,
  valueIn,
  withFields,
} from './part.ts'

const isNull = (value: unknown): value is null | undefined => value === null || value === undefined

export const extractField = ofParts(
  'ExtractField',
  {
    field: required(string(null), 'MEDIUM', 'The field to extract.'),
    'field.syntax.version': fieldSyntax,
    'replace.null.with.default': replaceNull,
  },
  (config) => {
    const path = new FieldPath(config.field, config['field.syntax.version'])
    const withDefault = config['replace.null.with.default']
    return ({ schema, value }) => {
      if (schema === null) {
        if (isNull(value)) return { schema, value: null }
        return { schema, value: path.valueInMap(requireMap(value, 'field extraction')) }
      }
      const struct = isNull(value) ? null : requireStruct(value, 'field extraction')
      const field = path.fieldIn(schema)
      if (field === undefined) throw new DataException(`Unknown field: ${config.field}`)
      const extracted = struct === null ? null : path.valueInStruct(struct, withDefault)
      return { schema: field.schema, value: extracted }
    }
  },
)

export const hoistField = ofParts(
  'HoistField',
  { field: required(string(null), 'MEDIUM', 'The field that the whole becomes.') },
  ({ field }) => {
    const updated = once((schema) => structOf([[field, schema]]))
    return ({ schema, value }) => {
      if (schema === null) return { schema, value: new Map([[field, value ?? null]]) }
      const target = updated(schema)
      return { schema: target, value: new Struct(target).put(field, value) }
    }
  },
)

const optionality = 'With ! at its end the field is required, with ? (or neither) optional.'
const insertionKey = (what: string) => key(string(null), 'MEDIUM', `${what} ${optionality}`)

interface Insertion {
  readonly name: string
  readonly schema: Schema
  /** Undefined: the record has none. */
  readonly inserted: (record: ConnectRecord, hasSchema: boolean) => unknown
}

export const insertField = ofParts(
  'InsertField',
  {
    'topic.field': insertionKey('The field for the topic.'),
    'partition.field': insertionKey('The field for the partition.'),
    'offset.field': insertionKey('The field for the offset; of a sink only.'),
    'timestamp.field': insertionKey('The field for the timestamp.'),
    'static.field': insertionKey('The field for a fixed value.'),
    'static.value': key(string(null), 'MEDIUM', 'The fixed value.'),
    'replace.null.with.default': replaceNull,
  },
  (config) => {
    const withDefault = config['replace.null.with.default']
    const insertions = insertionsOf(config)
    const updated = once((schema) =>
      withFields(schema, [
        ...rowsOf(schema.fields),
        ...insertions.map(({ name, schema: of }): FieldRow => [name, of]),
      ]),
    )
    return ({ schema, value }, record) => {
      if (isNull(value)) return { schema, value }
      if (schema === null) {
        const map = new Map(requireMap(value, 'field insertion'))
        for (const { name, inserted } of insertions) {
          const given = inserted(record, false)
          if (given !== undefined) map.set(name, given)
        }
        return { schema, value: map }
      }
      const struct = requireStruct(value, 'field insertion')
      const made = new Struct(updated(struct.schema))
      for (const { name } of struct.schema.fields)
        made.put(name, valueIn(struct, name, withDefault))
      for (const { name, inserted } of insertions) {
        const given = inserted(record, true)
        if (given !== undefined) made.put(name, given)
      }
      return { schema: made.schema, value: made }
    }
  },
)

/** Integers without a schema are of 64 bits. */
function insertionsOf(config: Readonly<Record<string, unknown>>): Insertion[] {
  const insertions: Insertion[] = []
  const add = (
    setting: string,
    schemaOf: (optional: boolean) => Schema,
    inserted: Insertion['inserted'],
  ) => {
    const text = config[setting]
    if (typeof text !== 'string') return
    const name = text.replace(/[!?]$/, '')
    insertions.push({ name, schema: schemaOf(!text.endsWith('!')), inserted })
  }
  const of = (type: PrimitiveType) => (optional: boolean) => primitive(type, { optional })
  add('topic.field', of('STRING'), ({ topic }) => topic)
  add('partition.field', of('INT32'), ({ kafkaPartition }, hasSchema) => {
    if (kafkaPartition === null) return undefined
    return hasSchema ? kafkaPartition : BigInt(kafkaPartition)
  })
  add('offset.field', of('INT64'), (record) => {
    const { kafkaOffset } = record as Partial<SinkRecord>
    if (kafkaOffset !== undefined) return BigInt(kafkaOffset)
    throw new DataException('Only SinkRecord supported for [field insertion]')
  })
  const time = (optional: boolean) => timestamp({ optional })
  add('timestamp.field', time, ({ timestamp: at }, hasSchema) => {
    if (at === null) return undefined
    return hasSchema ? new Instant(at) : BigInt(at)
  })
  add('static.field', of('STRING'), () => config['static.value'])
  if (insertions.length === 0) throw new ConfigError('topic.field', 'No field insertion configured')
  if (typeof config['static.field'] === 'string' && typeof config['static.value'] !== 'string')
    throw new ConfigError(
      'static.value',
      `Invalid value null for configuration static.value: No value specified for static field: ${config['static.field']}`,
    )
  return insertions
}

export const maskField = ofParts(
  'MaskField',
  {
    fields: required(names(), 'HIGH', 'The fields to mask.'),
    replacement: key(
      string(null, matching(/./, 'a non-empty string')),
      'LOW',
      'What numbers and texts become instead of 0 and nothing.',
    ),
    'replace.null.with.default': replaceNull,
  },
  ({ fields, replacement, 'replace.null.with.default': withDefault }) => {
    const masks = new Set(fields)
    return ({ schema, value }) => {
      if (schema === null) {
        const map = new Map(requireMap(value, 'mask fields'))
        for (const name of masks) map.set(name, masked(null, map.get(name), replacement))
        return { schema, value: map }
      }
      const struct = requireStruct(value, 'mask fields')
      const made = new Struct(struct.schema)
      for (const { name, schema: of } of struct.schema.fields) {
        const given = valueIn(struct, name, withDefault)
        made.put(name, masks.has(name) ? masked(of, given, replacement) : given)
      }
      return { schema, value: made }
    }
  },
)

function masked(schema: Schema | null, value: unknown, replacement: string | null): unknown {
  if (isNull(value)) return null
  if (replacement !== null) return replaced(schema, value, replacement)
  if (typeof value === 'number') return 0
  if (typeof value === 'bigint') return 0n
  if (typeof value === 'boolean') return false
  if (typeof value === 'string') return ''
  if (value instanceof Decimal) return new Decimal(0n, value.scale)
  if (value instanceof Instant) return new Instant(0)
  if (Array.isArray(value)) return []
  if (value instanceof Map) return new Map()
  throw new DataException(`Cannot mask value of type: ${describe(value)}`)
}

/** Of a number what its type holds of it: digits that do not fit are lost, as in a cast. */
function replaced(schema: Schema | null, value: unknown, replacement: string): unknown {
  if (typeof value === 'string') return replacement
  try {
    if (value instanceof Decimal) return Decimal.parse(replacement)
    if (typeof value === 'bigint') return castTo('INT64', null, Decimal.parse(replacement))
    if (typeof value === 'number' && schema?.type.startsWith('INT'))
      return castTo(schema.type as CastType, null, Decimal.parse(replacement))
    if (typeof value === 'number')
      return castTo((schema?.type ?? 'FLOAT64') as CastType, null, replacement)
  } catch (cause) {
    throw new DataException(`Unable to convert ${replacement} to number`, { cause })
  }
  throw new DataException(`Cannot mask value of type ${describe(value)} with custom replacement.`)
}

export const replaceField = ofParts(
  'ReplaceField',
  {
    exclude: key(list([]), 'MEDIUM', 'Fields to leave out, though they are included.'),
    include: key(list([]), 'MEDIUM', 'The only fields to keep.'),
    renames: key(
      list([], { allowed: 'pairs of names with colons', check: (pairs) => void renamesOf(pairs) }),
      'MEDIUM',
      'Fields and their new names, as old:new.',
    ),
    'replace.null.with.default': replaceNull,
  },
  ({ exclude, include, renames: pairs, 'replace.null.with.default': withDefault }) => {
    const renames = renamesOf(pairs)
    const originals = new Map(Array.from(renames, ([from, to]) => [to, from]))
    const isKept = (name: string) =>
      !exclude.includes(name) && (include.length === 0 || include.includes(name))
    const nameOf = (name: string) => renames.get(name) ?? name
    const updated = once((schema) => {
      const kept = schema.fields.filter(({ name }) => isKept(name))
      return withFields(
        schema,
        kept.map(({ name, schema: of }): FieldRow => [nameOf(name), of]),
      )
    })
    return ({ schema, value }) => {
      if (isNull(value)) return { schema, value }
      if (schema === null) {
        const entries = [...requireMap(value, 'field replacement')]
        const kept = entries.filter(([name]) => isKept(name))
        return { schema, value: new Map(kept.map(([name, of]) => [nameOf(name), of])) }
      }
      const struct = requireStruct(value, 'field replacement')
      const made = new Struct(updated(struct.schema))
      for (const { name } of made.schema.fields)
        made.put(name, valueIn(struct, originals.get(name) ?? name, withDefault))
      return { schema: made.schema, value: made }
    }
  },
)

/** Throws Error that says what is wrong. */
function renamesOf(pairs: readonly string[]): Map<string, string> {
  return new Map(
    pairs.map((pair) => {
      const [from = '', to = '', ...more] = pair.split(':')
      if (to === '' || more.length > 0) throw new Error(`Invalid rename mapping: ${pair}`)
      return [from, to]
    }),
  )
}

export const valueToKey = transformation(
  'ValueToKey',
  {
    fields: required(names(), 'HIGH', 'The fields of the value that become the key.'),
    'replace.null.with.default': replaceNull,
  },
  ({ fields: given, 'replace.null.with.default': withDefault }) => {
    const fields = [...new Set(given)]
    const purpose = 'copying fields from value to key'
    const keySchemaOf = once((schema) =>
      structOf(
        fields.map((name): FieldRow => {
          const field = schema.field(name)
          if (field === undefined) throw new DataException(`Field does not exist: ${name}`)
          return [name, field.schema]
        }),
      ),
    )
    return (record) => {
      if (record.valueSchema === null) {
        const map = requireMap(record.value, purpose)
        const made = new Map(fields.map((name) => [name, map.get(name) ?? null]))
        return { ...record, keySchema: null, key: made }
      }
      const struct = requireStruct(record.value, purpose)
      const made = new Struct(keySchemaOf(struct.schema))
      for (const name of fields) made.put(name, valueIn(struct, name, withDefault))
      return { ...record, keySchema: made.schema, key: made }
    }
  },
)
