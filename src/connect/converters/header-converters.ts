/**
 * Between the bytes of a record's headers and data: any converter that asks nobody. The usual one is Kafka Connect's
 * simple converter, of whose texts the type is found by looking (`header-text.ts`).
 */
import type { Settings } from '../config-def.ts'
import { nullValue, type Schema, type SchemaAndValue, Struct } from '../data.ts'
import { ConnectException } from '../failures.ts'
import { Decimal, dateName, Instant, timeName } from '../logical.ts'
import { isoText, numberText } from '../value-text.ts'
import type { ConverterOptions, ImmediateConverter } from './converter.ts'
import { valueOfText } from './header-text.ts'
import { immediateConverters, nameOfClass, optionsOf } from './known-converters.ts'

export interface HeaderConverter {
  /** Throws DataException. */
  fromConnectHeader(topic: string, schema: Schema | null, value: unknown): Buffer | null
  toConnectHeader(topic: string, bytes: Buffer | null): SchemaAndValue
}

export interface NamedHeaderConverter {
  readonly className: string
  readonly converter: HeaderConverter
}

const simpleName = 'org.apache.kafka.connect.storage.SimpleHeaderConverter'

const headerConverters: ReadonlyMap<string, (options: ConverterOptions) => HeaderConverter> =
  new Map<string, (options: ConverterOptions) => HeaderConverter>([
    [simpleName, simpleHeaderConverter],
    ...Array.from(
      immediateConverters,
      ([name, create]) =>
        [name, (options: ConverterOptions) => ofConverter(create(options))] as const,
    ),
  ])

export const headerConverterNames: readonly string[] = [...headerConverters.keys()]

/** The connector's own, or the worker's. Throws ConnectException. */
export function headerConverterOf(settings: Settings, worker: Settings): NamedHeaderConverter {
  const setting = 'header.converter'
  const own = settings.has(setting) ? settings : worker
  const name = own.get(setting) ?? simpleName
  const found = nameOfClass(headerConverters.keys(), name, 'Converter')
  if (found === undefined)
    throw new ConnectException(
      `Invalid value ${name} for configuration ${setting}: Class ${name} could not be found.`,
    )
  const options = optionsOf(own, `${setting}.`)
  return { className: found, converter: headerConverters.get(found)!(options) }
}

function ofConverter(converter: ImmediateConverter): HeaderConverter {
  return {
    fromConnectHeader: (topic, schema, value) => converter.fromConnectData(topic, schema, value),
    toConnectHeader: (topic, bytes) => converter.toConnectData(topic, bytes),
  }
}

function simpleHeaderConverter(): HeaderConverter {
  return {
    fromConnectHeader: (_topic, schema, value) =>
      value === null || value === undefined ? null : Buffer.from(headerText(schema, value)),
    toConnectHeader: (_topic, bytes) =>
      bytes === null ? nullValue : valueOfText(bytes.toString('utf8')),
  }
}

/** A value as the text of a header. */
function headerText(schema: Schema | null, value: unknown): string {
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString('base64')
  return embeddedText(schema, value)
}

function embeddedText(schema: Schema | null, value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (Buffer.isBuffer(value)) return `"${value.toString('base64')}"`
  if (value instanceof Instant) {
    const text = isoText(value)
    if (schema?.name === dateName) return text.slice(0, -'T00:00:00.000Z'.length)
    return schema?.name === timeName ? text.slice(-'00:00:00.000Z'.length) : text
  }
  if (Array.isArray(value))
    return `[${value.map((each) => embeddedText(schema?.valueSchema ?? null, each)).join(',')}]`
  if (value instanceof Map) {
    const entries = Array.from(
      value,
      ([key, each]) =>
        `${embeddedText(schema?.keySchema ?? null, key)}:${embeddedText(schema?.valueSchema ?? null, each)}`,
    )
    return `{${entries.join(',')}}`
  }
  if (value instanceof Struct) {
    const entries = value.schema.fields.map(
      ({ name, schema: of }) => `${JSON.stringify(name)}:${embeddedText(of, value.get(name))}`,
    )
    return `{${entries.join(',')}}`
  }
  if (typeof value === 'number') return numberText(schema, value)
  return value instanceof Decimal ? value.canonicalText() : String(value)
}
