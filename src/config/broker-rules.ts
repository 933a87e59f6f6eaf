/**
 * What is checked of a broker's settings beyond one value at a time, as Kafka checks it: at the start,
 * before a change is recorded, and again when what was recorded is put in force. The last has nobody to
 * answer: a value that is refused there is passed over, so that no recorded setting can keep a broker down.
 */
import {
  allBrokerConfigs,
  type BrokerConfig,
  type BrokerConfigName,
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
  if (config.isSet('broker.id') && config.get('broker.id') !== config.get('node.id')) {
    throw new ConfigError('node.id', 'You must set `node.id` to the same value as `broker.id`.')
  }
  checkMemory(config)
  if (
    config.get('max.connections.per.ip') === 0 &&
    config.get('max.connections.per.ip.overrides') === ''
  ) {
    throw new ConfigError(
      'max.connections.per.ip',
      'max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.',
    )
  }
  for (const type of ['consumer', 'share', 'streams'] as const) checkGroupDefaults(config, type)
}

function checkMemory(config: BrokerConfig): void {
  const queuedBytes = config.get('queued.max.request.bytes')
  if (queuedBytes > 0 && queuedBytes < config.get('socket.request.max.bytes')) {
    throw new ConfigError(
      'queued.max.request.bytes',
      'queued.max.request.bytes must be larger or equal to socket.request.max.bytes',
    )
  }
  const threads = config.get('log.cleaner.threads')
  const dedupeBytes = config.get('log.cleaner.dedupe.buffer.size')
  if (threads > 0 && Math.floor(dedupeBytes / threads) <= 1024 * 1024) {
    throw new ConfigError(
      'log.cleaner.dedupe.buffer.size',
      'log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.',
    )
  }
}

/** What groups of a type have by default lies within the bounds of what they may set for themselves. */
function checkGroupDefaults(config: BrokerConfig, type: 'consumer' | 'share' | 'streams'): void {
  const atMost = (lesser: BrokerConfigName, greater: BrokerConfigName, refused = lesser) => {
    if (Number(config.get(lesser)) <= Number(config.get(greater))) return
    const [other, relation] = refused === lesser ? [greater, 'less'] : [lesser, 'greater']
    throw new ConfigError(refused, `${refused} must be ${relation} than or equal to ${other}`)
  }
  const bounded = ['heartbeat.interval.ms', 'session.timeout.ms', 'assignment.interval.ms'] as const
  for (const name of bounded) {
    const [own, min, max] = [
      `group.${type}.${name}`,
      `group.${type}.min.${name}`,
      `group.${type}.max.${name}`,
    ] as const
    atMost(min, max, max)
    atMost(min, own, own)
    atMost(own, max)
  }
  const heartbeat = `group.${type}.heartbeat.interval.ms` as const
  const session = `group.${type}.session.timeout.ms` as const
  if (config.get(heartbeat) >= config.get(session)) {
    throw new ConfigError(heartbeat, `${heartbeat} must be less than ${session}`)
  }
  if (type === 'streams') {
    atMost('group.streams.num.standby.replicas', 'group.streams.max.standby.replicas')
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
