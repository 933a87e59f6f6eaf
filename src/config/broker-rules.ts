/**
 * What is checked of a broker's settings beyond one value at a time, as Kafka checks it: at the start,
 * before a change is recorded, and again when what was recorded is put in force. The last has nobody to
 * answer: a value that is refused there is passed over, so that no recorded setting can keep a broker down.
 */
import {
  allBrokerConfigs,
  type BrokerConfig,
  type DynamicTexts,
  dynamicConfig,
} from './broker-config.ts'
import { ConfigError, type Definition, parseSetting } from './definition.ts'
import { resolveTopicConfig } from './topic-configs.ts'

/** Checks the settings in force together; each of those given at start is valid by itself. Throws ConfigError. */
export function checkBrokerSettings(config: BrokerConfig): void {
  const { retentionMs } = resolveTopicConfig(new Map(), config)
  if (retentionMs === 0) {
    throw new ConfigError(
      'log.retention.ms',
      'log.retention.ms must be unlimited (-1) or, greater than or equal to 1',
    )
  }
}

/**
 * Checks all that a broker, or all of them, would have set at run time. Settings that no table knows are
 * taken as they are: they belong to plugins. Throws ConfigError.
 */
export function checkDynamicSettings(
  config: BrokerConfig,
  isPerBroker: boolean,
  texts: ReadonlyMap<string, string>,
): void {
  checkEach(texts, isPerBroker)
  const { perBroker, clusterDefault } = config.dynamic
  checkBrokerSettings(
    config.with(
      isPerBroker ? { perBroker: texts, clusterDefault } : { perBroker, clusterDefault: texts },
    ),
  )
}

/** Puts in force what was recorded, and returns why it passes over what it does. */
export function applyRecorded(config: BrokerConfig, recorded: DynamicTexts): ConfigError[] {
  if (refusalOf(config, recorded) === null) {
    config.setDynamic(recorded.perBroker, recorded.clusterDefault)
    return []
  }
  const perBroker = new Map<string, string>()
  const clusterDefault = new Map<string, string>()
  const entriesOf = (texts: ReadonlyMap<string, string>, kept: Map<string, string>) =>
    [...texts].map(([name, text]) => ({ name, text, kept }))
  let waiting = [
    ...entriesOf(recorded.clusterDefault, clusterDefault),
    ...entriesOf(recorded.perBroker, perBroker),
  ]
  // One that is refused may be valid beside one that comes later, and so those are tried again.
  for (;;) {
    const refusals: ConfigError[] = []
    const refused = waiting.filter(({ name, text, kept }) => {
      kept.set(name, text)
      const refusal = refusalOf(config, { perBroker, clusterDefault })
      if (refusal === null) return false
      kept.delete(name)
      refusals.push(new ConfigError(name, refusal.message))
      return true
    })
    if (refused.length === 0 || refused.length === waiting.length) {
      config.setDynamic(perBroker, clusterDefault)
      return refusals
    }
    waiting = refused
  }
}

function refusalOf(config: BrokerConfig, dynamic: DynamicTexts): ConfigError | null {
  try {
    checkEach(dynamic.perBroker, true)
    checkEach(dynamic.clusterDefault, false)
    checkBrokerSettings(config.with(dynamic))
    return null
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

/** Whether each may be set at run time, there, and to this. Throws ConfigError. */
function checkEach(texts: ReadonlyMap<string, string>, isPerBroker: boolean): void {
  const known = [...texts].flatMap(([name, text]) => {
    const definition = allBrokerConfigs[name] ?? dynamicConfig(name)
    return definition === undefined ? [] : [{ name, text, definition }]
  })
  const refuse = (scope: Definition['scope'], why: string) => {
    const names = known.filter((one) => one.definition.scope === scope).map(({ name }) => name)
    if (names[0] !== undefined) throw new ConfigError(names[0], `${why}: [${names.join(', ')}]`)
  }
  refuse('read-only', 'Cannot update these configs dynamically')
  if (!isPerBroker) {
    const why = 'Cannot update these configs at default cluster level, broker id must be specified'
    refuse('per-broker', why)
  }
  for (const { name, text, definition } of known) parseSetting(name, definition, text)
}
