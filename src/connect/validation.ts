/**
 * Whether the settings of a connector can be run: those of every connector, of its plug-in, its
 * converters, transformations and predicates. What is answered has the shape of Kafka Connect's
 * `PUT /connector-plugins/{plugin}/config/validate`; a form can be made of it.
 */
import { ConfigError } from '../config/definition.ts'
import { ConfigDef, type ConfigKey, type ConfigValue, type Settings } from './config-def.ts'
import { sinkConfig, sourceConfig } from './connector-configs.ts'
import { headerConverterOf } from './converters/header-converters.ts'
import { converterOf } from './converters/known-converters.ts'
import { ConnectException } from './failures.ts'
import { javaPattern } from './java-pattern.ts'
import type { ConnectorPlugin, SourceConnector } from './plugin.ts'
import type { Plugins } from './plugins.ts'
import { overrideKeys } from './runtime/client-settings.ts'
import { TransformChain, transformKeys } from './transforms/chain.ts'

export interface ConfigInfos {
  readonly name: string
  readonly error_count: number
  readonly groups: readonly string[]
  readonly configs: readonly {
    readonly definition: KeyInfo | null
    readonly value: ValueInfo
  }[]
}

/** A row of a table, as REST answers it. */
export type KeyInfo = ReturnType<typeof keyInfo>
type ValueInfo = ReturnType<typeof valueInfo>

interface Looked {
  readonly key: ConfigKey | null
  readonly value: ConfigValue
}

interface ValidatingWorker {
  readonly plugins: Plugins
  /** Its sources write in transactions. */
  readonly isExactlyOnce: boolean
}

/** Never throws for what is wrong with settings; `plugin` may throw whatever it likes. */
export async function validateConnector(
  plugin: ConnectorPlugin,
  settings: Settings,
  { plugins, isExactlyOnce }: ValidatingWorker,
): Promise<ConfigInfos> {
  const framework = plugin.type === 'sink' ? sinkConfig : sourceConfig
  const keys = new Map<string, ConfigKey>([
    ...framework.keys,
    ...transformKeys(plugins, settings),
    ...plugin.config.keys,
    ...overrideKeys(settings),
  ])
  const table = new ConfigDef(Object.fromEntries(keys))
  const connector = plugin.connector()
  const own = await connector.validate?.(settings, plugin.config.validate(settings))
  const ownByName = new Map(own?.map((value) => [value.name, value]))
  const looked = new Map<string, Looked>(
    table
      .validate(settings)
      .map((value) => [
        value.name,
        { key: keys.get(value.name) ?? null, value: ownByName.get(value.name) ?? value },
      ]),
  )
  const complain = (name: string, message: string) => {
    const known = looked.get(name)
    if (known !== undefined) known.value.errors.push(message)
    else looked.set(name, { key: null, value: complaint(name, settings, message) })
  }
  if (plugin.type === 'sink') checkTopics(settings, complain)
  else checkTransactions(connector as SourceConnector, settings, { complain, isExactlyOnce })
  checkConverters(settings, complain)
  if ([...looked.values()].every(({ value }) => value.errors.length === 0))
    checkTransforms(plugins, settings, complain)
  return infosOf(settings.get('connector.class') ?? plugin.className, [...looked.values()])
}

type Complain = (name: string, message: string) => void

function complaint(name: string, settings: Settings, message: string): ConfigValue {
  return {
    name,
    value: settings.get(name) ?? null,
    recommendedValues: [],
    errors: [message],
    isVisible: true,
  }
}

function checkTopics(settings: Settings, complain: Complain): void {
  const topics = topicsOf(settings)
  const pattern = (settings.get('topics.regex') ?? '').trim()
  const deadLetters = (settings.get('errors.deadletterqueue.topic.name') ?? '').trim()
  const both = (message: string) => {
    complain('topics', message)
    complain('topics.regex', message)
  }
  if (topics.length > 0 && pattern !== '')
    both('topics and topics.regex are mutually exclusive options, but both are set.')
  if (topics.length === 0 && pattern === '') both('Must configure one of topics or topics.regex')
  if (deadLetters === '') return
  const mayNot = `The DLQ topic '${deadLetters}' may not be`
  if (topics.includes(deadLetters))
    complain(
      'topics',
      `${mayNot} included in the list of topics ('topics=[${topics.join(', ')}]') consumed by the connector`,
    )
  if (pattern !== '' && isMatch(pattern, deadLetters))
    complain(
      'topics.regex',
      `${mayNot} matched by the regex for the topics ('topics.regex=${pattern}') consumed by the connector`,
    )
}

/** What Kafka Connect asks of a source whose records are to be there once (KIP-618), in its words. */
function checkTransactions(
  connector: SourceConnector,
  settings: Settings,
  { complain, isExactlyOnce }: { complain: Complain; isExactlyOnce: boolean },
): void {
  const support = 'exactly.once.support'
  if (settings.get(support)?.trim() === 'required') {
    if (!isExactlyOnce)
      complain(support, 'This worker does not have exactly-once source support enabled.')
    const supported = connector.exactlyOnceSupport?.(settings) ?? null
    if (supported === null)
      complain(
        support,
        'The connector does not implement the API required for preflight validation of exactly-once source support. Please consult the documentation for the connector to determine whether it supports exactly-once semantics, and then consider reconfiguring the connector to use the value "requested" for this property (which will disable this preflight check and allow the connector to be created).',
      )
    else if (supported === 'UNSUPPORTED')
      complain(
        support,
        'The connector does not support exactly-once semantics with the provided configuration.',
      )
  }
  const boundary = 'transaction.boundary'
  const mayDefine = connector.canDefineTransactionBoundaries?.(settings) === 'SUPPORTED'
  if (settings.get(boundary)?.trim() === 'connector' && !mayDefine)
    complain(
      boundary,
      'The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different transaction boundary definition.',
    )
}

function isMatch(pattern: string, topic: string): boolean {
  try {
    return javaPattern(pattern).test(topic)
  } catch {
    // The table has said so already.
    return false
  }
}

/** The list of `topics`, without repetitions. */
export function topicsOf(settings: Settings): string[] {
  const names = (settings.get('topics') ?? '').split(',').map((name) => name.trim())
  return [...new Set(names.filter((name) => name !== ''))]
}

/** A converter is made, and thrown away: whatever it has against its options it says. */
function checkConverters(settings: Settings, complain: Complain): void {
  for (const setting of ['key.converter', 'value.converter'] as const) {
    if (!settings.has(setting)) continue
    try {
      converterOf(setting, settings, { settings: new Map() })
    } catch (error) {
      if (!(error instanceof ConnectException)) throw error
      complain(setting, error.message)
    }
  }
  try {
    headerConverterOf(settings, new Map())
  } catch (error) {
    if (!(error instanceof ConnectException)) throw error
    complain('header.converter', error.message)
  }
}

/** They are made, and thrown away: whatever they have against their settings they say. */
function checkTransforms(plugins: Plugins, settings: Settings, complain: Complain): void {
  try {
    new TransformChain(plugins, settings)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    complain(error.setting, error.message)
  }
}

function infosOf(name: string, looked: readonly Looked[]): ConfigInfos {
  const groups = looked.flatMap(({ key }) => key?.group ?? [])
  return {
    name,
    error_count: looked.reduce((sum, { value }) => sum + value.errors.length, 0),
    groups: [...new Set(groups)],
    configs: looked.map(({ key, value }) => ({
      definition: key === null ? null : keyInfo(value.name, key),
      value: valueInfo(value),
    })),
  }
}

export function keyInfo(name: string, key: ConfigKey) {
  return {
    name,
    type: key.definition.type.toUpperCase(),
    required: key.isRequired,
    default_value: key.isRequired ? null : key.definition.defaultText,
    importance: key.importance,
    documentation: key.documentation,
    group: key.group,
    order_in_group: key.order,
    width: key.width,
    display_name: key.displayName ?? name,
    dependents: key.dependents,
  }
}

function valueInfo({ name, value, recommendedValues, errors, isVisible }: ConfigValue) {
  return { name, value, recommended_values: recommendedValues, errors, visible: isVisible }
}
