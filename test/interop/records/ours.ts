/** What our converters, transformations and predicates make of a case: the other half of `Records.java`. */
import { ConfigError } from '../../../src/config/definition.ts'
import type { ImmediateConverter } from '../../../src/connect/converters/converter.ts'
import { headerConverterOf } from '../../../src/connect/converters/header-converters.ts'
import { JsonConverter } from '../../../src/connect/converters/json.ts'
import { converterOf } from '../../../src/connect/converters/known-converters.ts'
import type { Schema } from '../../../src/connect/data.ts'
import { Processing, Tolerance } from '../../../src/connect/errors/tolerance.ts'
import { ConnectException, classNameOf } from '../../../src/connect/failures.ts'
import { Plugins } from '../../../src/connect/plugins.ts'
import type { ConnectRecord } from '../../../src/connect/records.ts'
import { TransformChain } from '../../../src/connect/transforms/chain.ts'
import { transformations } from '../../../src/connect/transforms/known-transforms.ts'
import { predicates } from '../../../src/connect/transforms/predicates.ts'
import { createNodeEnvironment } from '../../../src/environment/node/environment.ts'
import type { Case, ReadCase, RecordCase, WriteCase } from './cases.ts'
import { type Notation, recordNotation, schemaNotation, valueNotation } from './notation.ts'

export type Outcome =
  | { readonly made: Notation }
  | { readonly error: string; readonly at: 'configure' | 'apply'; readonly message: string }

const plugins = new Plugins([...transformations, ...predicates])
const environment = createNodeEnvironment({ log: { level: 'silent' } })
const json = new JsonConverter(new Map())

export function outcomeOf(given: Case): Outcome {
  let step: () => Notation
  try {
    step = configured(given)
  } catch (error) {
    return failure('configure', error)
  }
  try {
    return { made: step() }
  } catch (error) {
    return failure('apply', error)
  }
}

function failure(at: 'configure' | 'apply', error: unknown): Outcome {
  const isConfig = error instanceof ConfigError
  const name = isConfig ? 'org.apache.kafka.common.config.ConfigException' : classNameOf(error)
  if (!isConfig && !(error instanceof ConnectException)) throw error
  return { error: name, at, message: (error as Error).message }
}

function configured(given: Case): () => Notation {
  switch (given.kind) {
    case 'read':
    case 'write':
      return converted(given)
    case 'readHeader':
    case 'writeHeader':
      return headerConverted(given)
    case 'transform': {
      const transform = plugins.transformation(given.className)!.create(settingsOf(given))
      return () => madeOf(transform(given.record))
    }
    case 'predicate': {
      const predicate = plugins.predicate(given.className)!.create(settingsOf(given))
      return () => predicate(given.record)
    }
    default:
      return chained(given)
  }
}

const settingsOf = ({ config }: Case) => new Map(Object.entries(config))

function converted(given: ReadCase | WriteCase): () => Notation {
  const setting = given.isKey ? 'key.converter' : 'value.converter'
  const settings = new Map([[setting, given.className]])
  for (const [name, value] of settingsOf(given)) settings.set(`${setting}.${name}`, value)
  const { converter } = converterOf(setting, settings, { settings: new Map() })
  const immediate = converter as ImmediateConverter
  if ('bytes' in given) {
    return () => {
      const { schema, value } = immediate.toConnectData('topic', given.bytes)
      return [schemaNotation(schema), valueNotation(schema, value)]
    }
  }
  return () => hexOf(immediate.fromConnectData('topic', given.schema, given.value))
}

function headerConverted(given: ReadCase | WriteCase): () => Notation {
  const settings = new Map([['header.converter', given.className]])
  const { converter } = headerConverterOf(settings, new Map())
  if ('bytes' in given) {
    return () => {
      const { schema, value } = converter.toConnectHeader('topic', given.bytes)
      return [schemaNotation(schema), valueNotation(schema, value)]
    }
  }
  return () => hexOf(converter.fromConnectHeader('topic', given.schema, given.value))
}

function chained(given: RecordCase): () => Notation {
  const chain = new TransformChain(plugins, settingsOf(given))
  return () => {
    const options = { toleratesAll: true, retryTimeoutMs: 0, retryDelayMaxMs: 1 }
    const tolerance = new Tolerance<ConnectRecord>(environment, options, [])
    return madeOf(
      chain.apply(tolerance, new Processing(given.record), given.record) as ConnectRecord | null,
    )
  }
}

const hexOf = (bytes: Buffer | null): Notation => bytes?.toString('hex') ?? null

/** With the bytes that its key and its value become. */
function madeOf(record: ConnectRecord | null): Notation {
  if (record === null) return null
  const { keySchema, key, valueSchema, value } = record
  return [recordNotation(record), bytesOf(keySchema, key), bytesOf(valueSchema, value)]
}

function bytesOf(schema: Schema | null, value: unknown): Notation {
  try {
    return json.fromConnectData('topic', schema, value)?.toString() ?? null
  } catch {
    return false
  }
}

/** A case as `Records.java` reads it. */
export function caseNotation(given: Case): string {
  const { kind, className, config } = given
  const asked = { kind, className, config }
  if ('record' in given) return JSON.stringify({ ...asked, record: recordNotation(given.record) })
  const { isKey } = given
  if ('bytes' in given) return JSON.stringify({ ...asked, isKey, bytes: hexOf(given.bytes) })
  const { schema, value } = given
  const notation = { schema: schemaNotation(schema), value: valueNotation(schema, value) }
  return JSON.stringify({ ...asked, isKey, ...notation })
}
