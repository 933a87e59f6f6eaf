/**
 * DescribeConfigs: every setting of a resource with the value in force, where that comes from, and the
 * values that it hides (KIP-226). Each resource is described once, however often it is named, and what does
 * not fit into an answer of a reasonable size is refused.
 */

import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type {
  DescribeConfigsRequest,
  DescribeConfigsResponse,
} from '../../protocol/messages/describe-configs.ts'
import {
  allBrokerConfigs,
  type BrokerConfig,
  type ConfigSynonym,
  configSource,
  dynamicConfig,
  toldBrokerConfigs,
} from '../config/broker-config.ts'
import type { ConfigType, Definition } from '../config/definition.ts'
import { groupConfigs } from '../config/group-configs.ts'
import {
  brokerSettingOf,
  toldTopicConfigs,
  topicConfigs,
  topicSynonyms,
} from '../config/topic-configs.ts'
import type { Environment } from '../environment/environment.ts'
import { mapInSteps, type Steps } from '../environment/in-turns.ts'
import { clientMetricsConfigs } from '../metadata/controller/config-rules.ts'
import { invalidTopicName } from '../metadata/controller/topic-names.ts'
import {
  type ConfigTexts,
  configResource,
  configTexts,
  type MetadataImage,
} from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { handler } from '../server/handler.ts'
import { loggerLevels } from './broker-loggers.ts'
import { ConfigAccess } from './config-access.ts'

const access = new ConfigAccess('DESCRIBE_CONFIGS', 'results.errorCode')

type Resource = DescribeConfigsRequest['resources'][number]
type Result = DescribeConfigsResponse['results'][number]
type Entry = Result['configs'][number]

const brokerId = /^[+-]?\d+$/

/** Enough for all settings of 5 000 topics, without documentation. */
const answerCharactersMax = 16 * 1024 * 1024

/** Looked at between two stops: they take less than a microsecond each. */
const resourcesPerStep = 64

const tooMany = 'The answer would be too large: ask for fewer resources in a request'

export interface DescribeConfigsParts {
  readonly cache: MetadataCache
  readonly config: BrokerConfig
  readonly nodeId: number
  readonly environment: Pick<Environment, 'logThreshold'>
}

export const describeConfigs = (parts: DescribeConfigsParts) =>
  handler(
    apis.describeConfigs,
    async (request, context) => {
      const distinct = await context.inTurns(distinctOf(request.resources))
      const { allowed, denied } = access.split(context, distinct)
      let left = answerCharactersMax
      const answers = mapInSteps(allowed, (resource) => {
        if (left <= 0) return failed(resource, errors.INVALID_REQUEST.code, tooMany)
        const result = describe(parts, request, resource)
        for (const entry of result.configs) left -= charactersOf(entry)
        return result
      })
      const results = await context.inTurns(answers)
      const refused = denied.map((one) => ({ ...one, configs: [] }))
      return { throttleTimeMs: 0, results: [...results, ...refused] }
    },
    {
      access: access.rules,
      onError: ({ resources }, error, _version, message) => ({
        results: resources.map((resource) => failed(resource, error.code, message)),
      }),
    },
  )

const describedTypes: ReadonlySet<number> = new Set(
  Object.values(configResource).filter((type) => type !== configResource.UNKNOWN),
)

/** Throws KafkaError INVALID_REQUEST: with a type that is unknown, nothing of a request is described. */
function checkType({ resourceType, resourceName }: Resource): void {
  if (describedTypes.has(resourceType)) return
  throw invalid(`Unexpected resource type ${resourceType} for resource ${resourceName}`)
}

/** Each resource once. Throws as `checkType`. */
function* distinctOf(resources: readonly Resource[]): Steps<Resource[]> {
  const byName = new Map<string, Resource>()
  let count = 0
  for (const resource of resources) {
    checkType(resource)
    if (++count % resourcesPerStep === 0) yield
    const { resourceType, resourceName } = resource
    // Ids of brokers may be written in several ways.
    const isBroker = resourceType === configResource.BROKER && brokerId.test(resourceName)
    const name = `${resourceType}/${isBroker ? Number(resourceName) : resourceName}`
    if (!byName.has(name)) byName.set(name, resource)
  }
  return [...byName.values()]
}

/** About what an entry takes in the answer. */
function charactersOf({ name, value, documentation, synonyms }: Entry): number {
  const synonymous = (synonyms ?? []).length * 2
  const text = (name.length + (value?.length ?? 0)) * (1 + synonymous)
  return 50 + text + (documentation?.length ?? 0)
}

function describe(
  parts: DescribeConfigsParts,
  request: DescribeConfigsRequest,
  resource: Resource,
): Result {
  const { resourceType, resourceName, configurationKeys } = resource
  try {
    const keys = configurationKeys?.length ? new Set(configurationKeys) : undefined
    const settings = settingsOf(parts, resource)
    const asked = settings.filter(({ name }) => keys === undefined || keys.has(name))
    const configs = asked.map((setting) => entryOf(setting, request))
    return { errorCode: 0, errorMessage: null, resourceType, resourceName, configs }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    // An unknown topic has no message, as in Kafka.
    const hasMessage = error.error !== errors.UNKNOWN_TOPIC_OR_PARTITION
    return failed(resource, error.error.code, hasMessage ? error.message : null)
  }
}

function failed(resource: Resource, errorCode: number, errorMessage: string | null): Result {
  const { resourceType, resourceName } = resource
  return { errorCode, errorMessage, resourceType, resourceName, configs: [] }
}

/** One setting, before it is put in the words of the protocol. */
interface Setting {
  readonly name: string
  /** undefined: stored, but in no table. */
  readonly definition: Definition | undefined
  readonly value: string | null
  readonly source: number
  /** What is set and preset, the value in force first. */
  readonly synonyms: readonly ConfigSynonym[]
  readonly isReadOnly: boolean
  readonly isSensitive: boolean
}

function settingsOf(
  parts: DescribeConfigsParts,
  { resourceType, resourceName }: Resource,
): Setting[] {
  const { image } = parts.cache
  switch (resourceType) {
    case configResource.TOPIC:
      return topicSettings(image, parts.config, resourceName)
    case configResource.BROKER:
      if (resourceName === '') return clusterDefaults(image)
      checkBrokerId(resourceName, parts.nodeId, 'or empty string, ')
      return brokerSettings(image, parts)
    case configResource.BROKER_LOGGER:
      if (resourceName === '') throw invalid('Broker id must not be empty')
      checkBrokerId(resourceName, parts.nodeId, '')
      return loggerSettings(parts)
    case configResource.CLIENT_METRICS:
      if (resourceName === '') throw invalid('Client metrics subscription name must not be empty')
      return clientMetricsSettings(image, resourceName)
    default:
      if (resourceName === '') throw invalid('Group name must not be empty')
      return groupSettings(image, parts.config, resourceName)
  }
}

function topicSettings(image: MetadataImage, config: BrokerConfig, topic: string): Setting[] {
  const reason = invalidTopicName(topic)
  if (reason !== undefined) throw new KafkaError(errors.INVALID_TOPIC_EXCEPTION, reason)
  if (!image.topics.byName.has(topic)) throw new KafkaError(errors.UNKNOWN_TOPIC_OR_PARTITION)
  const overrides = configTexts(image, configResource.TOPIC, topic)
  const describe = () => describedSettings(overrides, config)
  return overrides.size === 0 ? config.derived('settings of topics', describe) : describe()
}

function describedSettings(overrides: ConfigTexts, config: BrokerConfig): Setting[] {
  return toldTopicConfigs(overrides).map((name) => {
    const all = topicSynonyms(name, overrides, config)
    const own = all.filter(({ source }) => source === configSource.DYNAMIC_TOPIC_CONFIG)
    const behind = all.slice(own.length).flatMap((one) => asGiven(one, config))
    return {
      name,
      definition: topicConfigs[name],
      ...valuesOf([...own, ...toldSynonyms(brokerSettingOf(name), behind)]),
      value: all[0]?.text ?? null,
      isReadOnly: false,
      isSensitive: false,
    }
  })
}

/**
 * Of the broker's settings behind one, Kafka tells those from the first on that bears `name`, and so
 * none where only another unit of it is set: `log.retention.hours` alone is no synonym.
 */
function toldSynonyms(name: string | undefined, synonyms: readonly ConfigSynonym[]) {
  const first = synonyms.findIndex((one) => one.name === name)
  return first < 0 ? [] : synonyms.slice(first)
}

/**
 * A broker setting that stands behind a topic setting, in its own unit; the preset of a topic setting
 * that has no broker setting behind it is no synonym.
 */
function asGiven(synonym: ConfigSynonym, config: BrokerConfig): ConfigSynonym[] {
  if (synonym.source === configSource.DYNAMIC_TOPIC_CONFIG) return [synonym]
  return config.synonyms(synonym.name).filter(({ source }) => source === synonym.source)
}

function clusterDefaults(image: MetadataImage): Setting[] {
  return [...configTexts(image, configResource.BROKER, '')].map(([name, text]) => ({
    name,
    definition: allBrokerConfigs[name] ?? dynamicConfig(name),
    ...valuesOf([{ name, text, source: configSource.DYNAMIC_DEFAULT_BROKER_CONFIG }]),
    isReadOnly: allBrokerConfigs[name]?.scope === 'read-only',
    isSensitive: isSecret(allBrokerConfigs[name] ?? dynamicConfig(name)),
  }))
}

function brokerSettings(image: MetadataImage, { config, nodeId }: DescribeConfigsParts): Setting[] {
  const known = toldBrokerConfigs(config).map(([name, definition]) => ({
    name,
    definition,
    ...valuesOf(
      toldSynonyms(
        name,
        config.synonyms(name).filter(({ text }) => text !== null),
      ),
    ),
    isReadOnly: definition.scope === 'read-only',
    isSensitive: isSecret(definition),
  }))
  const stored = configTexts(image, configResource.BROKER, String(nodeId))
  const unknown = [...stored].filter(([name]) => allBrokerConfigs[name] === undefined)
  return [
    ...known,
    ...unknown.map(([name, text]) => ({
      name,
      definition: dynamicConfig(name),
      ...valuesOf([{ name, text, source: configSource.DYNAMIC_BROKER_CONFIG }]),
      isReadOnly: false,
      isSensitive: isSecret(dynamicConfig(name)),
    })),
  ]
}

/** What no table knows may be the secret of a plugin. */
function isSecret(definition: Definition | undefined): boolean {
  return definition === undefined || definition.type === 'password'
}

/** Behind a group's setting stands the broker's of the same name with `group.` in front. */
function groupSettings(image: MetadataImage, config: BrokerConfig, group: string): Setting[] {
  const texts = configTexts(image, configResource.GROUP, group)
  return Object.entries<Definition>(groupConfigs).map(([name, definition]) => {
    const behind = config.synonyms(`group.${name}`).filter(({ text }) => text !== null)
    const own = texts.get(name)
    const inForce =
      own === undefined
        ? {
            name,
            text: behind[0]?.text ?? definition.defaultText,
            source: configSource.DEFAULT_CONFIG,
          }
        : { name, text: own, source: configSource.DYNAMIC_GROUP_CONFIG }
    return {
      name,
      definition,
      ...valuesOf([inForce, ...behind]),
      isReadOnly: false,
      isSensitive: false,
    }
  })
}

/** A subscription that does not exist has the presets. */
function clientMetricsSettings(image: MetadataImage, subscription: string): Setting[] {
  const texts = configTexts(image, configResource.CLIENT_METRICS, subscription)
  return Object.entries<Definition>(clientMetricsConfigs).map(([name, definition]) => {
    const text = texts.get(name)
    const source = configSource.DYNAMIC_CLIENT_METRICS_CONFIG
    return {
      name,
      definition,
      ...valuesOf(text === undefined ? [] : [{ name, text, source }]),
      value: text ?? definition.defaultText,
      isReadOnly: false,
      isSensitive: false,
    }
  })
}

function loggerSettings({ environment: { logThreshold } }: DescribeConfigsParts): Setting[] {
  return Array.from(loggerLevels(logThreshold), ([name, value]) => ({
    name,
    definition: undefined,
    value,
    source: configSource.DYNAMIC_BROKER_LOGGER_CONFIG,
    synonyms: [],
    isReadOnly: false,
    isSensitive: false,
  }))
}

function valuesOf(synonyms: readonly ConfigSynonym[]) {
  const [inForce] = synonyms
  return {
    value: inForce?.text ?? null,
    source: inForce?.source ?? configSource.DEFAULT_CONFIG,
    synonyms,
  }
}

function checkBrokerId(name: string, nodeId: number, orWhat: string): void {
  if (!brokerId.test(name)) throw invalid(`Broker id must be an integer, but it is: ${name}`)
  if (Number(name) !== nodeId) {
    const expected = orWhat === '' ? `${nodeId} ` : `${nodeId} ${orWhat}`
    throw invalid(`Unexpected broker id, expected ${expected}but received ${name}`)
  }
}

const typeNumbers: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9,
}

function entryOf(setting: Setting, request: DescribeConfigsRequest): Entry {
  const { name, definition, value, source, synonyms, isReadOnly, isSensitive } = setting
  const shown = (text: string | null) => (isSensitive ? null : text)
  return {
    name,
    value: shown(value),
    readOnly: isReadOnly,
    isDefault: source === configSource.DEFAULT_CONFIG,
    configSource: source,
    isSensitive,
    synonyms: request.includeSynonyms
      ? synonyms.map((one) => ({ name: one.name, value: shown(one.text), source: one.source }))
      : [],
    configType: definition === undefined ? 0 : typeNumbers[definition.type],
    documentation: request.includeDocumentation ? (definition?.documentation ?? '') : null,
  }
}

function invalid(message: string): KafkaError {
  return new KafkaError(errors.INVALID_REQUEST, message)
}
