/**
 * The converters whose bytes carry no schema: text, raw bytes, and single numbers and booleans,
 * big-endian, as Kafka's serializers write them. What they read always has the same schema.
 */
import { describe, type PrimitiveType, primitive, type Schema, validate } from '../data.ts'
import { ConnectException, DataException } from '../failures.ts'
import { writeJson } from '../json-text.ts'
import type { ConverterOptions, ImmediateConverter } from './converter.ts'
import { JsonValues } from './json.ts'

/** Encodings by the names Java knows them under. */
const encodings: Readonly<Record<string, BufferEncoding>> = {
  'UTF-8': 'utf8',
  UTF8: 'utf8',
  'ISO-8859-1': 'latin1',
  'UTF-16LE': 'utf16le',
}

const optionalString = primitive('STRING', { optional: true })
const optionalBytes = primitive('BYTES', { optional: true })
const plainJson = new JsonValues(true, true)

/** Any value as text: lists and maps as JSON, bytes in base64, structs as they print themselves. */
export function stringConverter(options: ConverterOptions): ImmediateConverter {
  const name = options.get('converter.encoding') ?? 'UTF-8'
  const encoding = encodings[name.toUpperCase()]
  if (encoding === undefined)
    throw new ConnectException(
      `Invalid value ${name} for configuration converter.encoding: known are ${Object.keys(encodings).join(', ')}`,
    )
  return {
    fromConnectData: (_topic, _schema, value) =>
      value === null || value === undefined ? null : Buffer.from(textOf(value), encoding),
    toConnectData: (_topic, bytes) => ({
      schema: optionalString,
      value: bytes?.toString(encoding) ?? null,
    }),
  }
}

function textOf(value: unknown): string {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value) || value instanceof Map) return writeJson(plainJson.toJson(null, value))
  return String(value)
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

/** A converter for one type, whatever schema a value comes with. */
export function primitiveConverter(type: keyof typeof layouts): ImmediateConverter {
  const layout: Layout = layouts[type]
  const schema: Schema = primitive(type, { optional: true })
  return {
    fromConnectData: (_topic, _schema, value) => {
      if (value === null || value === undefined) return null
      validate(schema, value)
      const bytes = Buffer.alloc(layout.bytes)
      layout.write(bytes, value as never)
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

function booleanOf(byte: number): boolean {
  if (byte > 1) throw new DataException(`Failed to deserialize BOOLEAN: unexpected byte ${byte}`)
  return byte === 1
}
