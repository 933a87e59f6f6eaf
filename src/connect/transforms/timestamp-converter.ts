/** Times between their forms: texts, numbers since the Unix epoch, and the logical types. */
import { ConfigError, oneOf, string } from '../../config/definition.ts'
import { key, required } from '../config-def.ts'
import { date, describe, primitive, Schema, Struct, time, timestamp } from '../data.ts'
import { ConnectException, DataException } from '../failures.ts'
import { dateName, Instant, timeName, timestampName } from '../logical.ts'
import { DateFormat } from './date-format.ts'
import {
  basicsOf,
  type FieldRow,
  ofParts,
  once,
  replaceNull,
  requireMap,
  requireStruct,
  valueIn,
} from './part.ts'

type Form = 'string' | 'unix' | 'Date' | 'Time' | 'Timestamp'

const dayMs = 86_400_000
/** How many of them are a millisecond; a second is a thousand milliseconds. */
const perMs: Readonly<Record<string, bigint>> = {
  nanoseconds: 1_000_000n,
  microseconds: 1000n,
  milliseconds: 1n,
}

const formSchemas: Readonly<Record<Form, (optional: boolean) => Schema>> = {
  string: (optional) => primitive('STRING', { optional }),
  unix: (optional) => primitive('INT64', { optional }),
  Date: (optional) => date({ optional }),
  Time: (optional) => time({ optional }),
  Timestamp: (optional) => timestamp({ optional }),
}

interface Conversion {
  readonly target: Form
  readonly format: DateFormat | null
  readonly precision: string
}

export const timestampConverter = ofParts(
  'TimestampConverter',
  {
    field: key(string(''), 'HIGH', 'The field with the time; empty: the whole value is one.'),
    'target.type': required(
      string(null, oneOf('string', 'unix', 'Date', 'Time', 'Timestamp')),
      'HIGH',
      'The form that the time gets.',
    ),
    format: key(string(''), 'MEDIUM', 'A pattern of SimpleDateFormat, for texts.'),
    'unix.precision': key(
      string('milliseconds', oneOf('nanoseconds', 'microseconds', 'milliseconds', 'seconds')),
      'LOW',
      'What numbers count.',
    ),
    'replace.null.with.default': replaceNull,
  },
  (config) => {
    const { field, 'replace.null.with.default': withDefault } = config
    const conversion: Conversion = {
      target: config['target.type'] as Form,
      format: formatOf(config.format, config['target.type']),
      precision: config['unix.precision'],
    }
    const convertStruct = (struct: Struct, schema: Schema) => {
      const made = new Struct(schema)
      for (const { name, schema: of } of struct.schema.fields) {
        const value = valueIn(struct, name, withDefault)
        made.put(name, name === field ? converted(conversion, formOf(of), value) : value)
      }
      return made
    }
    const updated = once((schema) => updatedSchema(schema, field, conversion.target, convertStruct))
    return ({ schema, value }) => {
      if (schema === null) {
        if (value === null || value === undefined || field === '')
          return { schema, value: converted(conversion, null, value) }
        const map = new Map(requireMap(value, 'converting timestamp formats'))
        return { schema, value: map.set(field, converted(conversion, null, map.get(field))) }
      }
      if (field === '')
        return {
          schema: formSchemas[conversion.target](schema.isOptional),
          value: converted(conversion, formOf(schema), value),
        }
      const target = updated(schema)
      if (value === null || value === undefined) return { schema: target, value: null }
      const struct = requireStruct(value, 'converting timestamp formats')
      return { schema: target, value: convertStruct(struct, target) }
    }
  },
)

function formatOf(pattern: string, target: string): DateFormat | null {
  if (pattern.trim() === '') {
    if (target === 'string')
      throw new ConfigError(
        'format',
        'TimestampConverter requires format option to be specified when using string timestamps',
      )
    return null
  }
  try {
    return new DateFormat(pattern)
  } catch (cause) {
    throw new ConfigError(
      'format',
      `TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: ${pattern}: ${(cause as Error).message}`,
    )
  }
}

function updatedSchema(
  schema: Schema,
  field: string,
  target: Form,
  convertStruct: (struct: Struct, schema: Schema) => Struct,
): Schema {
  if (schema.type !== 'STRUCT') throw new DataException('Cannot list fields on non-struct type')
  const fields = schema.fields.map(
    ({ name, schema: of }): FieldRow => [
      name,
      name === field ? formSchemas[target](of.isOptional) : of,
    ],
  )
  const shape = { ...basicsOf(schema), optional: schema.isOptional, fields }
  const bare = new Schema('STRUCT', shape)
  if (!(schema.defaultValue instanceof Struct)) return bare
  return new Schema('STRUCT', { ...shape, defaultValue: convertStruct(schema.defaultValue, bare) })
}

function formOf(schema: Schema): Form {
  if (schema.name === timestampName) return 'Timestamp'
  if (schema.name === dateName) return 'Date'
  if (schema.name === timeName) return 'Time'
  if (schema.type === 'STRING') return 'string'
  if (schema.type === 'INT64') return 'unix'
  throw new ConnectException(
    `Schema ${schema.toString()} does not correspond to a known timestamp type format`,
  )
}

/** `form`: null where only the value itself can tell. */
function converted(conversion: Conversion, form: Form | null, value: unknown): unknown {
  if (value === null || value === undefined) return null
  const { epochMs } = instantFrom(conversion, form ?? inferred(value), value)
  const { target, format, precision } = conversion
  const days = Math.floor(epochMs / dayMs)
  if (target === 'string') return format!.format(new Instant(epochMs))
  if (target === 'Date') return Instant.ofDays(days)
  if (target === 'Time') return new Instant(epochMs - days * dayMs)
  if (target === 'Timestamp') return new Instant(epochMs)
  const unix =
    precision === 'seconds' ? BigInt(epochMs) / 1000n : BigInt(epochMs) * perMs[precision]!
  if (BigInt.asIntN(64, unix) !== unix)
    throw new DataException(`${unix} ${precision} are out of the range of INT64`)
  return unix
}

function inferred(value: unknown): Form {
  if (value instanceof Instant) return 'Timestamp'
  if (typeof value === 'bigint') return 'unix'
  if (typeof value === 'string') return 'string'
  throw new DataException(
    `TimestampConverter does not support ${describe(value)} objects as timestamps`,
  )
}

function instantFrom({ format, precision }: Conversion, form: Form, value: unknown): Instant {
  if (form === 'string') {
    if (typeof value !== 'string' || format === null)
      throw new DataException(
        `Expected string timestamp to be a String, but found ${describe(value)}`,
      )
    return format.parse(value)
  }
  if (form === 'unix') {
    if (typeof value !== 'bigint')
      throw new DataException(`Expected Unix timestamp to be a Long, but found ${describe(value)}`)
    return new Instant(Number(precision === 'seconds' ? value * 1000n : value / perMs[precision]!))
  }
  if (!(value instanceof Instant))
    throw new DataException(`Expected ${form} to be a java.util.Date, but found ${describe(value)}`)
  return value
}
