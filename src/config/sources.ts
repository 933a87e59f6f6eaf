/**
 * Where a broker's settings come from, each adding to and overriding those before it: the properties
 * file, `KAFKA_…` variables, `MILLRACE_…` variables, `--override`. What is unknown is refused by name.
 */
import { acceptedConfigs } from './accepted-configs.ts'
import { allBrokerConfigs, listenerConfig } from './broker-config.ts'
import { connectConfig, connectConfigs, connectPrefix } from './connect-configs.ts'
import { ConfigError, nearestName, parseSetting } from './definition.ts'
import { parseProperties } from './properties.ts'

export interface Sources {
  /** The text of `server.properties`, where one was named. */
  readonly file?: { readonly path: string; readonly text: string }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `property=value`, as they followed `--override`. */
  readonly overrides: readonly string[]
}

export interface Settings {
  readonly texts: ReadonlyMap<string, string>
  /** Names that Kafka knows and that have no effect here. */
  readonly withoutEffect: readonly string[]
}

/** Prefixes under which Kafka passes settings on to plug-ins or listeners; they are never unknown. */
const openPrefixes = [
  'listener.name.',
  'rsm.config.',
  'rlmm.config.',
  'config.providers.',
  // Of another distribution of Kafka, whose compose files name them for every broker.
  'confluent.',
]

/** Gathers, checks and returns the settings. Throws ConfigError with the name, what is wrong and what is near. */
export function gatherSettings(sources: Sources): Settings {
  const texts = new Map<string, string>()
  const add = (name: string, text: string, from: string) => {
    check(name, text, from)
    texts.set(name, text)
  }
  if (sources.file !== undefined) {
    const { path, text } = sources.file
    for (const [name, value] of parseProperties(text)) add(name, value, path)
  }
  for (const prefix of ['KAFKA_', 'MILLRACE_']) {
    for (const [variable, value] of Object.entries(sources.environment)) {
      const name = settingOf(variable, prefix)
      if (name !== null && value !== undefined) add(name, value, `the variable ${variable}`)
    }
  }
  for (const override of sources.overrides) {
    const equals = override.indexOf('=')
    if (equals < 1) {
      throw new ConfigError(override, `--override takes property=value, not "${override}"`)
    }
    add(override.slice(0, equals).trim(), override.slice(equals + 1), '--override')
  }
  return {
    texts,
    withoutEffect: [...texts.keys()].filter(
      (name) => name in acceptedConfigs || (isOpen(name) && listenerConfig(name) === undefined),
    ),
  }
}

function isOpen(name: string): boolean {
  return openPrefixes.some((prefix) => name.startsWith(prefix))
}

function check(name: string, text: string, from: string): void {
  const definition = allBrokerConfigs[name] ?? listenerConfig(name) ?? connectConfig(name)
  if (definition === undefined) {
    if (isOpen(name)) return
    if (name.startsWith('zookeeper.')) {
      const message = `${name} (from ${from}) is of Kafka before 4.0: there is no ZooKeeper; remove it`
      throw new ConfigError(name, message)
    }
    const near = nearestName(name, knownNames())
    const hint = near === undefined ? '' : ` Did you mean ${near}?`
    throw new ConfigError(name, `Unknown setting ${name} (from ${from}).${hint}`)
  }
  try {
    parseSetting(name, definition, text)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(name, `${error.message} (from ${from}; allowed: ${definition.allowed})`)
  }
}

function knownNames(): string[] {
  const ofConnect = Object.keys(connectConfigs).map((name) => `${connectPrefix}${name}`)
  return [...Object.keys(allBrokerConfigs), ...ofConnect]
}

/**
 * The setting that a variable names, as in the usual container images: `KAFKA_LOG_DIRS` is `log.dirs`,
 * two underscores an underscore, three a dash; `KAFKA_CFG_` works as well. Null for variables that the
 * images or Kubernetes use for other things.
 */
export function settingOf(variable: string, prefix: string): string | null {
  if (!variable.startsWith(prefix) || notSettings.test(variable)) return null
  const rest = variable.slice(prefix.length).replace(/^CFG_/, '')
  return rest
    .toLowerCase()
    .replace(/_{1,3}/g, (run) => (run.length === 1 ? '.' : run.length === 2 ? '_' : '-'))
}

const notSettings = new RegExp(
  '^(KAFKA|MILLRACE)_(' +
    [
      '(HEAP_OPTS|OPTS|JVM_PERFORMANCE_OPTS|GC_LOG_OPTS|LOG4J_.*|JMX_.*|JMX|DEBUG.*|HOME|VERSION|SCALA_VERSION)',
      '(CLUSTER_ID|CONFIG|DATA|USER|TOOLS_LOG4J_LOGLEVEL|ENABLE_KRAFT|KRAFT_CLUSTER_ID|INTER_BROKER_USER)',
      '(.*_?SERVICE_(HOST|PORT.*)|PORT|PORT_\\d+_.*|BOOTSTRAP(_SERVERS?)?|BROKERS|BROKER_LIST|CREATE_TOPICS)',
    ].join('|') +
    // Where the command line finds Kafka Connect and a schema registry, as it does brokers by BOOTSTRAP.
    ')$|^MILLRACE_(CONNECT|REGISTRY)$',
)
