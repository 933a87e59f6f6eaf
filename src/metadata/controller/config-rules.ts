/**
 * Which settings a resource may have, and which values. The tables are in `config`; here is what Kafka
 * checks beyond one value at a time, and which error each refusal has.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { allBrokerConfigs, type BrokerConfig } from '../../config/broker-config.ts'
import { checkDynamicSettings } from '../../config/broker-rules.ts'
import {
  ConfigError,
  type Definition,
  type Definitions,
  int,
  list,
  parseSetting,
} from '../../config/definition.ts'
import { checkGroupSettings, groupConfigs } from '../../config/group-configs.ts'
import { Pattern } from '../../config/pattern.ts'
import { PatternError } from '../../config/pattern-syntax.ts'
import { checkTable, checkTableChange, tableLocation } from '../../config/table-configs.ts'
import { resolveTopicConfig, type TopicConfig, topicConfigs } from '../../config/topic-configs.ts'
import { type ConfigTexts, configResource } from '../image.ts'
import { invalidTopicName } from './topic-names.ts'

/** Settings of a client metrics subscription (KIP-714). */
export const clientMetricsConfigs: Definitions = {
  'interval.ms': int(300_000),
  match: list([]),
  metrics: list([]),
}

/** The definitions of a resource's settings; undefined where settings cannot be stored. */
export function definitionsOf(resourceType: number): Definitions | undefined {
  switch (resourceType) {
    case configResource.TOPIC:
      return topicConfigs
    case configResource.BROKER:
      return allBrokerConfigs
    case configResource.GROUP:
      return groupConfigs
    case configResource.CLIENT_METRICS:
      return clientMetricsConfigs
    default:
      return undefined
  }
}

/** Checks all overrides of a topic together. Throws KafkaError INVALID_CONFIG. */
export function checkTopicConfig(
  topic: string,
  overrides: ConfigTexts,
  broker: BrokerConfig,
): void {
  for (const name of overrides.keys()) {
    if (!Object.hasOwn(topicConfigs, name))
      throw invalidConfig(`Unknown topic config name: ${name}`)
  }
  checkValues(topicConfigs, overrides)
  if (overrides.size === 0) return
  let resolved: TopicConfig
  try {
    resolved = resolveTopicConfig(overrides, broker)
    // Where none is given the topic's name says it, which is below in any case.
    if (overrides.has('table.location')) tableLocation('topic', overrides, broker)
    checkTable(topic, overrides)
  } catch (error) {
    throw error instanceof ConfigError ? invalidConfig(error.message) : error
  }
  const { minCompactionLagMs, maxCompactionLagMs } = resolved
  if (minCompactionLagMs > maxCompactionLagMs) {
    throw invalidConfig(
      `conflict topic config setting min.compaction.lag.ms (${minCompactionLagMs}) > ` +
        `max.compaction.lag.ms (${maxCompactionLagMs})`,
    )
  }
  if (resolved.remoteStorageEnable) {
    throw invalidConfig(
      'Tiered Storage functionality is disabled in the broker. ' +
        'Topic cannot be configured with remote log storage.',
    )
  }
}

/** Checks what a topic's change means for what it has. Throws KafkaError INVALID_CONFIG. */
export function checkTopicChange(before: ConfigTexts, after: ConfigTexts): void {
  checkTogether(() => checkTableChange(before, after))
}

/** Checks what a resource would have after a change. Throws KafkaError. */
export function checkResource(
  resourceType: number,
  name: string,
  texts: ConfigTexts,
  broker: BrokerConfig,
  nodeId: number,
): void {
  switch (resourceType) {
    case configResource.TOPIC: {
      if (name === '') throw invalidRequest('Default topic resources are not allowed.')
      const reason = invalidTopicName(name)
      if (reason !== undefined) throw new KafkaError(errors.INVALID_TOPIC_EXCEPTION, reason)
      checkTopicConfig(name, texts, broker)
      break
    }
    case configResource.BROKER:
      checkBrokerName(name, nodeId)
      // Kafka's answer here is not INVALID_CONFIG, whatever is wrong (KAFKA-13609).
      checkTogether(() => checkDynamicSettings(broker, name !== '', texts), invalidRequest)
      break
    case configResource.GROUP:
      if (name === '') throw invalidRequest('Default group resources are not allowed.')
      checkKnown(groupConfigs, texts, (unknown) =>
        invalidConfig(`Unknown group config name: ${unknown}`),
      )
      checkTogether(() => checkGroupSettings(texts, broker))
      break
    case configResource.CLIENT_METRICS:
      if (name === '') throw invalidRequest("Subscription name can't be empty")
      checkClientMetrics(texts)
      break
    default:
      throw invalidRequest(`Unknown resource type ${resourceType}`)
  }
}

/** `refusal`: the answer that a ConfigError is. */
function checkTogether(check: () => void, refusal = invalidConfig): void {
  try {
    check()
  } catch (error) {
    throw error instanceof ConfigError ? refusal(error.message) : error
  }
}

function checkBrokerName(name: string, nodeId: number): void {
  if (name === '') return
  if (!/^[+-]?\d+$/.test(name)) {
    throw invalidRequest(`Node id must be an integer, but it is: ${name}`)
  }
  if (Number(name) !== nodeId) {
    throw invalidRequest(`Unexpected broker id, expected ${nodeId}, but received ${name}`)
  }
}

const intervalMsMin = 100
const intervalMsMax = 3_600_000
const matchable = [
  'client_instance_id',
  'client_id',
  'client_software_name',
  'client_software_version',
  'client_source_address',
  'client_source_port',
]

function checkClientMetrics(texts: ConfigTexts): void {
  checkKnown(clientMetricsConfigs, texts, (unknown) =>
    invalidRequest(`Unknown client metrics configuration: ${unknown}`),
  )
  const interval = texts.get('interval.ms')
  if (
    interval !== undefined &&
    (Number(interval) < intervalMsMin || Number(interval) > intervalMsMax)
  ) {
    throw invalidRequest(
      `Invalid value ${interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)`,
    )
  }
  for (const pattern of (texts.get('match') ?? '').split(',')) {
    if (pattern.trim() === '') continue
    const [name = '', expression = '', ...rest] = pattern.split('=')
    const isRule = matchable.includes(name.trim()) && expression !== '' && rest.length === 0
    if (!isRule || !isExpression(expression.trim())) {
      throw invalidConfig(`Illegal client matching pattern: ${pattern.trim()}`)
    }
  }
}

function isExpression(text: string): boolean {
  try {
    void new Pattern(text)
    return true
  } catch (error) {
    if (error instanceof PatternError) return false
    throw error
  }
}

function checkKnown(
  definitions: Definitions,
  texts: ConfigTexts,
  unknown: (name: string) => KafkaError,
): void {
  for (const name of texts.keys()) if (!Object.hasOwn(definitions, name)) throw unknown(name)
  checkValues(definitions, texts)
}

function checkValues(definitions: Definitions, texts: ConfigTexts): void {
  for (const [name, text] of texts) {
    try {
      parseSetting(name, definitions[name] as Definition, text)
    } catch (error) {
      throw error instanceof ConfigError ? invalidConfig(error.message) : error
    }
  }
}

function invalidConfig(message: string): KafkaError {
  return new KafkaError(errors.INVALID_CONFIG, message)
}

function invalidRequest(message: string): KafkaError {
  return new KafkaError(errors.INVALID_REQUEST, message)
}
