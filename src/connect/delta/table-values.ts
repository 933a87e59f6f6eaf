/**
 * Rows of a table as Connect's data: the way back of `column-types.ts` and `fit.ts`. Every field may be null. A timestamp
 * is a number of microseconds, by the name that Debezium gives it, or Connect's own, which has milliseconds only.
 */
import type { ColumnBatch, DataType, Field } from '../../tables/columns/column.ts'
import { typeName } from '../../tables/columns/column.ts'
import { type Value, valueAt } from '../../tables/columns/value.ts'
import {
  arrayOf,
  date,
  decimalOf,
  mapOf,
  type PrimitiveType,
  primitive,
  type Schema,
  Struct,
  structOf,
  timestamp,
} from '../data.ts'
import { ConnectException } from '../failures.ts'
import { Decimal, Instant } from '../logical.ts'

export type TimestampUnit = 'micros' | 'millis'

const optional = { optional: true }
const micros = primitive('INT64', {
  ...optional,
  ...{ name: 'io.debezium.time.MicroTimestamp', version: 1 },
})

const primitives: Readonly<Partial<Record<DataType['kind'], PrimitiveType>>> = {
  boolean: 'BOOLEAN',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float: 'FLOAT32',
  double: 'FLOAT64',
  string: 'STRING',
  binary: 'BYTES',
}

/** Values of a type: their schema, and what they are in it. */
interface Conversion {
  readonly schema: Schema
  readonly convert: (value: NonNullable<Value>) => unknown
}

/** Makes structs of rows with such fields. Throws ConnectException for a type that Connect has not. */
export class RowStructs {
  readonly schema: Schema
  readonly #fields: readonly Field[]
  readonly #conversions: readonly Conversion[]

  constructor(fields: readonly Field[], unit: TimestampUnit) {
    this.#fields = fields
    this.#conversions = fields.map(({ type, name }) => conversionOf(type, unit, name))
    this.schema = structOf(fields.map(({ name }, i) => [name, this.#conversions[i]!.schema]))
  }

  at({ columns }: ColumnBatch, row: number): Struct {
    const struct = new Struct(this.schema)
    for (const [i, { name, type }] of this.#fields.entries()) {
      struct.put(name, convertedBy(this.#conversions[i]!, valueAt(type, columns[i]!, row)))
    }
    return struct
  }
}

function convertedBy({ convert }: Conversion, value: Value | undefined): unknown {
  return value === null || value === undefined ? null : convert(value)
}

function conversionOf(type: DataType, unit: TimestampUnit, at: string): Conversion {
  const plain = primitives[type.kind]
  if (plain === 'BYTES') {
    const convert = (value: NonNullable<Value>) => Buffer.from(value as Uint8Array)
    return { schema: primitive(plain, optional), convert }
  }
  if (plain !== undefined) return { schema: primitive(plain, optional), convert: (value) => value }
  switch (type.kind) {
    case 'date':
      return { schema: date(optional), convert: (value) => Instant.ofDays(value as number) }
    case 'timestamp':
      if (unit === 'micros') return { schema: micros, convert: (value) => value }
      return {
        schema: timestamp(optional),
        convert: (value) => new Instant(Math.floor(Number(value) / 1000)),
      }
    case 'decimal':
      return {
        schema: decimalOf(type.scale, {
          ...optional,
          parameters: new Map([['connect.decimal.precision', String(type.precision)]]),
        }),
        convert: (value) => new Decimal(value as bigint, type.scale),
      }
    case 'list': {
      const element = conversionOf(type.element.type, unit, `${at}[]`)
      const convert = (value: NonNullable<Value>) =>
        (value as Value[]).map((one) => convertedBy(element, one))
      return { schema: arrayOf(element.schema, optional), convert }
    }
    case 'map':
      return mapConversion(type, unit, at)
    case 'struct':
      return structConversion(type, unit, at)
    default:
      throw new ConnectException(`${at} is of type ${typeName(type)}, which Connect has not`)
  }
}

function mapConversion(
  type: DataType & { kind: 'map' },
  unit: TimestampUnit,
  at: string,
): Conversion {
  const key = conversionOf(type.key.type, unit, `${at} (key)`)
  const value = conversionOf(type.value.type, unit, `${at} (value)`)
  const convert = (map: NonNullable<Value>) =>
    new Map(
      Array.from(map as Map<Value, Value>, ([name, one]) => [
        convertedBy(key, name),
        convertedBy(value, one),
      ]),
    )
  return { schema: mapOf(key.schema, value.schema, optional), convert }
}

function structConversion(
  { fields }: DataType & { kind: 'struct' },
  unit: TimestampUnit,
  at: string,
): Conversion {
  const within = fields.map(({ name, type }) => conversionOf(type, unit, `${at}.${name}`))
  const schema = structOf(
    fields.map(({ name }, i) => [name, within[i]!.schema]),
    optional,
  )
  const convert = (value: NonNullable<Value>) => {
    const struct = new Struct(schema)
    const row = value as { [name: string]: Value }
    for (const [i, { name }] of fields.entries()) {
      struct.put(name, convertedBy(within[i]!, Object.hasOwn(row, name) ? row[name] : null))
    }
    return struct
  }
  return { schema, convert }
}
