/** The converters by their classes' names, and how settings name one: `value.converter`, with its options behind it. */
import type { HttpClient } from '../../environment/http-client.ts'
import type { Settings } from '../config-def.ts'
import { ConnectException } from '../failures.ts'
import { AvroConverter } from './avro.ts'
import type {
  Converter,
  ConverterFactory,
  ConverterOptions,
  ImmediateConverter,
} from './converter.ts'
import { JsonConverter } from './json.ts'
import { byteArrayConverter, primitiveConverter, stringConverter } from './primitives.ts'

const prefix = 'org.apache.kafka.connect'

/** Those that ask nobody; of headers, too. */
export const immediateConverters: ReadonlyMap<
  string,
  (options: ConverterOptions) => ImmediateConverter
> = new Map<string, (options: ConverterOptions) => ImmediateConverter>([
  [`${prefix}.json.JsonConverter`, (options) => new JsonConverter(options)],
  [`${prefix}.storage.StringConverter`, stringConverter],
  [`${prefix}.converters.ByteArrayConverter`, byteArrayConverter],
  [`${prefix}.converters.BooleanConverter`, () => primitiveConverter('BOOLEAN')],
  [`${prefix}.converters.ShortConverter`, () => primitiveConverter('INT16')],
  [`${prefix}.converters.IntegerConverter`, () => primitiveConverter('INT32')],
  [`${prefix}.converters.LongConverter`, () => primitiveConverter('INT64')],
  [`${prefix}.converters.FloatConverter`, () => primitiveConverter('FLOAT32')],
  [`${prefix}.converters.DoubleConverter`, () => primitiveConverter('FLOAT64')],
])

export const converters: ReadonlyMap<string, ConverterFactory> = new Map<string, ConverterFactory>([
  ...immediateConverters,
  ['io.confluent.connect.avro.AvroConverter', (options, http) => new AvroConverter(options, http)],
])

/** A converter with the name that tells what it is. */
export interface NamedConverter {
  readonly className: string
  readonly converter: Converter
}

/** What converters are made in. */
export interface ConverterSurroundings {
  /** The worker's. */
  readonly settings: Settings
  /** Without an HTTP client none of them can ask anybody: they are only looked at. */
  readonly environment?: { readonly http?: HttpClient }
  /** Known here, beside those that are known everywhere. */
  readonly converters?: ReadonlyMap<string, ConverterFactory>
}

const nobodyToAsk: HttpClient = async (url) => {
  throw new Error(`${url} cannot be asked from here`)
}

/** The connector's own where it has one, with its own options; else the worker's. Throws ConnectException. */
export function converterOf(
  setting: 'key.converter' | 'value.converter',
  settings: Settings,
  worker: ConverterSurroundings,
): NamedConverter {
  const own = settings.has(setting) ? settings : worker.settings
  const http = worker.environment?.http ?? nobodyToAsk
  const name = own.get(setting) ?? `${prefix}.json.JsonConverter`
  const known = new Map([...converters, ...(worker.converters ?? [])])
  const found = nameOfClass(known.keys(), name, 'Converter')
  if (found === undefined)
    throw new ConnectException(
      `Invalid value ${name} for configuration ${setting}: Class ${name} could not be found.`,
    )
  const options = new Map(optionsOf(own, `${setting}.`))
  options.set('converter.type', setting === 'key.converter' ? 'key' : 'value')
  return { className: found, converter: known.get(found)!(options, http) }
}

/** The settings below a prefix, without it. */
export function optionsOf(settings: Settings, below: string): Map<string, string> {
  const options = new Map<string, string>()
  for (const [name, value] of settings)
    if (name.startsWith(below)) options.set(name.slice(below.length), value)
  return options
}

/** The class that a full name, the last part of one, or that without its ending stands for. */
export function nameOfClass(
  classNames: Iterable<string>,
  name: string,
  ending: string,
): string | undefined {
  for (const className of classNames) {
    const simple = className.slice(className.lastIndexOf('.') + 1)
    const pruned = simple.endsWith(ending) ? simple.slice(0, -ending.length) : simple
    if (name === className || name === simple || (pruned !== '' && name === pruned))
      return className
  }
  return undefined
}
