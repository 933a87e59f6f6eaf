/**
 * The converters whose bytes carry no schema: text, raw bytes, and single numbers and booleans,
 * big-endian, as Kafka's serializers write them. What they read always has the same schema.
 */
import {
  describe,
  type PrimitiveType,
  primitive,
  type Schema,
  type Type,
  validate,
} from '../data.ts'
import { ConnectException, DataException } from '../failures.ts'
import { textOf } from '../value-text.ts'
import type { ConverterOptions, ImmediateConverter } from './converter.ts'

/** Encodings by the names Java knows them under. */
const encodings: Readonly<Record<string, BufferEncoding>> = {
  'UTF-8': 'utf8',
  UTF8: 'utf8',
  'ISO-8859-1': 'latin1',
  'UTF-16LE': 'utf16le',
}

const optionalString = primitive('STRING', { optional: true })
const optionalBytes = primitive('BYTES', { optional: true })

/** Any value as the text that Java prints of it, but for bytes and times, of which nobody could read that. */
export function stringConverter(options: ConverterOptions): ImmediateConverter {
  const name = options.get('converter.encoding') ?? 'UTF-8'
  const encoding = encodings[name.toUpperCase()]
  if (encoding === undefined)
    throw new ConnectException(
      `Invalid value ${name} for configuration converter.encoding: known are ${Object.keys(encodings).join(', ')}`,
    )
  return {
    fromConnectData: (_topic, schema, value) =>
      value === null || value === undefined ? null : encoded(textOf(schema, value), encoding),
    toConnectData: (_topic, bytes) => ({
      schema: optionalString,
      value: bytes === null ? null : decoded(bytes, encoding),
    }),
  }
}

/** What an encoding does not have is a question mark, as Java writes it. */
function encoded(text: string, encoding: BufferEncoding): Buffer {
  const known = encoding === 'latin1' ? text.replace(/[^\0-\xff]/gu, '?') : text
  return Buffer.from(known, encoding)
}

function decoded(bytes: Buffer, encoding: BufferEncoding): string {
  const isCut = encoding === 'utf16le' && bytes.length % 2 === 1
  return isCut ? `${bytes.toString(encoding)}\ufffd` : bytes.toString(encoding)
}

/** Bytes as they are; anything else is refused. */
export function byteArrayConverter(): ImmediateConverter {
  return {
    fromConnectData: (_topic, schema, value) => {
      if (schema !== null && schema.type !== 'BYTES')
        throw new DataException(`Invalid schema type for ByteArrayConverter: ${schema.type}`)
      if (value === null || value === undefined) return null
      if (!Buffer.isBuffer(value))
        throw new DataException(
          `ByteArrayConverter is not compatible with objects of type ${describe(value)}`,
        )
      return value
    },
    toConnectData: (_topic, bytes) => ({ schema: optionalBytes, value: bytes }),
  }
}

interface Layout {
  readonly bytes: number
  readonly write: (target: Buffer, value: never) => void
  readonly read: (source: Buffer) => unknown
}

const layouts = {
  INT16: {
    bytes: 2,
    write: (target: Buffer, value: number) => target.writeInt16BE(value),
    read: (source: Buffer) => source.readInt16BE(),
  },
  INT32: {
    bytes: 4,
    write: (target: Buffer, value: number) => target.writeInt32BE(value),
    read: (source: Buffer) => source.readInt32BE(),
  },
  INT64: {
    bytes: 8,
    write: (target: Buffer, value: bigint) => target.writeBigInt64BE(value),
    read: (source: Buffer) => source.readBigInt64BE(),
  },
  FLOAT32: {
    bytes: 4,
    write: (target: Buffer, value: number) => target.writeFloatBE(value),
    read: (source: Buffer) => source.readFloatBE(),
  },
  FLOAT64: {
    bytes: 8,
    write: (target: Buffer, value: number) => target.writeDoubleBE(value),
    read: (source: Buffer) => source.readDoubleBE(),
  },
  BOOLEAN: {
    bytes: 1,
    write: (target: Buffer, value: boolean) => target.writeUInt8(value ? 1 : 0),
    read: (source: Buffer) => booleanOf(source[0]!),
  },
} satisfies Partial<Record<PrimitiveType, Layout>>

/** A converter for one type. Without a schema an integer is one of any size, and a float of either. */
export function primitiveConverter(type: keyof typeof layouts): ImmediateConverter {
  const layout: Layout = layouts[type]
  const schema: Schema = primitive(type, { optional: true })
  /** Of other types: those whose values are of another class in Java, of which booleans have but one. */
  const isRefused = (other: Type, isNull: boolean) =>
    type === 'BOOLEAN' || (!isNull && /^(INT|FLOAT)/.test(other))
  return {
    fromConnectData: (_topic, given, value) => {
      const isNull = value === null || value === undefined
      if (given !== null && given.type !== type && isRefused(given.type, isNull))
        throw new DataException(`Invalid schema type for a converter of ${type}: ${given.type}`)
      if (isNull) return null
      const exact = given === null ? ofPlain(type, value) : value
      validate(schema, exact)
      const bytes = Buffer.alloc(layout.bytes)
      layout.write(bytes, exact as never)
      return bytes
    },
    toConnectData: (_topic, bytes) => {
      if (bytes === null) return { schema, value: null }
      if (bytes.length !== layout.bytes)
        throw new DataException(
          `Failed to deserialize ${type}: expected ${layout.bytes} bytes, found ${bytes.length}`,
        )
      return { schema, value: layout.read(bytes) }
    },
  }
}

/** What stands without a schema for a value of the type; any other is as it is. */
function ofPlain(type: keyof typeof layouts, value: unknown): unknown {
  if (!type.startsWith('INT') || type === 'INT64') return value
  // A number is a float there, and 100.0 no integer.
  if (typeof value === 'bigint') return Number(value)
  throw new DataException(`A converter of ${type} does not take ${describe(value)}`)
}

function booleanOf(byte: number): boolean {
  if (byte > 1) throw new DataException(`Failed to deserialize BOOLEAN: unexpected byte ${byte}`)
  return byte === 1
}
