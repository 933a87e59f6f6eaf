/**
 * Values as another type, as Java's casts make them: numbers lose what does not fit, fractions are cut
 * off, booleans are 1 and 0, texts are parsed. And `Cast`, which does it to fields or to all of a value.
 */
import { ConfigError, list } from '../../config/definition.ts'
import { required } from '../config-def.ts'
import { describe, type PrimitiveType, primitive, Schema, Struct, typeOf } from '../data.ts'
import { DataException } from '../failures.ts'
import { float32Text } from '../float-text.ts'
import { Decimal, dateName, Instant, timeName } from '../logical.ts'
import { isoText, numberText } from '../value-text.ts'
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

export type CastType = Exclude<PrimitiveType, 'BYTES'>

const bits: Readonly<Partial<Record<CastType, number>>> = {
  INT8: 8,
  INT16: 16,
  INT32: 32,
  INT64: 64,
}
const castTypes: readonly string[] = [
  ...Object.keys(bits),
  'FLOAT32',
  'FLOAT64',
  'BOOLEAN',
  'STRING',
]
const dayMs = 86_400_000

/** Throws DataException where the value cannot be had as that, with a schema of this type beside it. */
export function castTo(type: CastType, schema: Schema | null, value: unknown): unknown {
  if (value === null || value === undefined) return null
  const from = schema?.type ?? (value instanceof Decimal ? 'BYTES' : typeOf(value))
  const isStructured = from === 'ARRAY' || from === 'MAP' || from === 'STRUCT'
  const isBytes = Buffer.isBuffer(value)
  if (from === null || isStructured || (isBytes && type !== 'STRING'))
    throw new DataException(
      `Cast transformation does not support casting from ${from ?? describe(value)} to ${type}`,
    )
  if (type === 'STRING') return textFrom(schema, value)
  const isFloat = type === 'FLOAT32' || type === 'FLOAT64'
  const plain = value instanceof Decimal && !isFloat ? value.truncated() : plainOf(schema, value)
  if (type === 'BOOLEAN') return booleanFrom(plain)
  if (type === 'FLOAT32') return Math.fround(floatFrom(plain))
  return type === 'FLOAT64' ? floatFrom(plain) : integerFrom(type, plain)
}

/** As `castTo`, for data without a schema: there integers have 64 bits, and a float is what its text says. */
function castPlain(type: CastType, value: unknown): unknown {
  const cast = castTo(type, null, value)
  if (typeof cast !== 'number') return cast
  if (type === 'FLOAT32') return Number(float32Text(cast))
  return type === 'FLOAT64' ? cast : BigInt(cast)
}

type Plain = number | bigint | boolean | string

/** Times as the numbers that stand for them, decimals as what is nearest. */
function plainOf(schema: Schema | null, value: unknown): Plain {
  if (value instanceof Instant) {
    if (schema?.name === dateName) return value.toDays()
    return schema?.name === timeName ? value.toTimeOfDay() : BigInt(value.epochMs)
  }
  if (value instanceof Decimal) return Number(value.toString())
  return value as Plain
}

function integerFrom(type: CastType, value: Plain): number | bigint {
  const width = bits[type]!
  const exact = exactInteger(value, width)
  const narrowed = BigInt.asIntN(width, exact)
  return type === 'INT64' ? narrowed : Number(narrowed)
}

function exactInteger(value: Plain, width: number): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value === 'number') {
    // A float becomes an int or a long first, which end where they end.
    const limit = 2 ** (width === 64 ? 63 : 31)
    if (Number.isNaN(value)) return 0n
    if (value >= limit) return BigInt(limit) - 1n
    return value <= -limit ? -BigInt(limit) : BigInt(Math.trunc(value))
  }
  const parsed = /^[+-]?\d{1,40}$/.test(value) ? BigInt(value.replace(/^\+/, '')) : null
  if (parsed === null || BigInt.asIntN(width, parsed) !== parsed) throw outOfRange(value)
  return parsed
}

/** As Java reads floats, but for hexadecimal ones: `0x1F`, which JavaScript reads, is none. */
const floatText = /^([+-]?(?:NaN$|Infinity$|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))[fFdD]?$/

function floatFrom(value: Plain): number {
  if (typeof value !== 'string') return Number(value)
  const [, digits] = floatText.exec(value.trim()) ?? []
  if (digits === undefined) throw outOfRange(value)
  return Number(digits.endsWith('NaN') ? 'NaN' : digits)
}

function booleanFrom(value: Plain): boolean {
  if (typeof value === 'boolean') return value
  if (typeof value === 'string') return value.toLowerCase() === 'true'
  return typeof value === 'bigint' ? value !== 0n : Math.trunc(value) !== 0 && !Number.isNaN(value)
}

function textFrom(schema: Schema | null, value: unknown): string {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (value instanceof Instant) {
    const text = isoText(value)
    if (value.epochMs < dayMs) return text.slice(-'00:00:00.000Z'.length)
    return value.epochMs % dayMs === 0 ? text.slice(0, -'T00:00:00.000Z'.length) : text
  }
  if (value instanceof Decimal) return value.canonicalText()
  return typeof value === 'number' ? numberText(schema, value) : String(value)
}

function outOfRange(value: string): DataException {
  return new DataException(`Value (${value}) was out of range for requested data type`)
}

interface Casts {
  readonly whole: CastType | null
  readonly fields: ReadonlyMap<string, CastType>
}

/** `field:type` each, or one type for all. Throws Error that says what is wrong. */
function parseSpec(items: readonly string[]): Casts {
  const fields = new Map<string, CastType>()
  let whole: CastType | null = null
  if (items.length === 0) throw new Error('Must specify at least one field to cast.')
  for (const item of items) {
    const parts = item.split(':').map((part) => part.trim())
    if (parts.length > 2) throw new Error(`Invalid rename mapping: ${item}`)
    const type = parts.at(-1)!.toUpperCase()
    if (!castTypes.includes(type))
      throw new Error(`Cast transformation does not support casting to ${type}`)
    if (parts.length === 1) whole = type as CastType
    else fields.set(parts[0]!, type as CastType)
  }
  if (whole !== null && items.length > 1)
    throw new Error(
      'Cast transformations that specify a type to cast the entire value to may only specify a single cast in their spec',
    )
  return { whole, fields }
}

const spec = list([], {
  allowed: 'pairs of field and type with a colon between them, or one type',
  check: (items) => void parseSpec(items),
})

export const cast = ofParts(
  'Cast',
  {
    spec: required(
      spec,
      'HIGH',
      'Fields with the types they become, as field1:int32,field2:string, or one type for the whole.',
    ),
    'replace.null.with.default': replaceNull,
  },
  ({ spec: items, 'replace.null.with.default': withDefault }) => {
    const casts = specOf(items)
    const updated = once((schema) => castSchema(schema, casts))
    return ({ schema, value }) => {
      if (value === null || value === undefined) return { schema, value }
      const { whole, fields } = casts
      const target = schema === null ? null : updated(schema)
      if (whole !== null) {
        const made = target === null ? castPlain(whole, value) : castTo(whole, schema, value)
        return { schema: target, value: made }
      }
      if (target === null) {
        const map = new Map(requireMap(value, 'cast types'))
        for (const [name, type] of fields) map.set(name, castPlain(type, map.get(name)))
        return { schema: null, value: map }
      }
      const struct = requireStruct(value, 'cast types')
      return { schema: target, value: castStruct(struct, target, fields, withDefault) }
    }
  },
)

function specOf(items: readonly string[]): Casts {
  try {
    return parseSpec(items)
  } catch (error) {
    throw new ConfigError('spec', (error as Error).message)
  }
}

function castStruct(
  struct: Struct,
  target: Schema,
  fields: ReadonlyMap<string, CastType>,
  withDefault: boolean,
): Struct {
  const made = new Struct(target)
  for (const { name, schema } of struct.schema.fields) {
    const value = valueIn(struct, name, withDefault)
    const type = fields.get(name)
    made.put(name, type === undefined ? value : castTo(type, schema, value))
  }
  return made
}

function castSchema(schema: Schema, { whole, fields }: Casts): Schema {
  const optional = schema.isOptional
  if (whole !== null) {
    const defaultValue = castTo(whole, schema, schema.defaultValue)
    return primitive(whole, { ...basicsOf(schema), optional, defaultValue })
  }
  const rows = schema.fields.map(({ name, schema: of }): FieldRow => {
    const type = fields.get(name)
    if (type === undefined) return [name, of]
    const defaultValue = castTo(type, of, of.defaultValue)
    return [name, primitive(type, { optional: of.isOptional, defaultValue })]
  })
  const bare = new Schema('STRUCT', { ...basicsOf(schema), optional, fields: rows })
  if (!(schema.defaultValue instanceof Struct)) return bare
  const defaultValue = castStruct(schema.defaultValue, bare, fields, true)
  return new Schema('STRUCT', { ...basicsOf(schema), optional, fields: rows, defaultValue })
}
