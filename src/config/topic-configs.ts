/**
 * The settings of a topic, the broker settings that give their defaults, and the effective settings of
 * one topic: its own override, else the broker's dynamic or static setting, else Kafka's default.
 */
import type { BrokerConfig, ConfigSynonym } from './broker-config.ts'
import { configSource } from './broker-config.ts'
import {
  any,
  atLeast,
  between,
  betweenOr,
  boolean,
  type Definition,
  double,
  eachOneOf,
  int,
  list,
  long,
  oneOf,
  parseSetting,
  string,
  throttledReplicas,
  type ValueOf,
} from './definition.ts'
import { tableConfigs } from './table-configs.ts'

export const topicConfigs = {
  'cleanup.policy': list(['delete'], eachOneOf('compact', 'delete'), {
    doc: 'What happens to old records: delete them, compact them by key, or both.',
  }),
  'compression.gzip.level': int(-1, betweenOr(1, 9, -1), {
    doc: 'How hard gzip compresses where compression.type is gzip; -1: as zlib does by default.',
  }),
  'compression.lz4.level': int(9, between(1, 17), {
    doc: 'Kafka’s, for how hard lz4 compresses: without effect here, where lz4 has one level.',
  }),
  'compression.type': string(
    'producer',
    oneOf('uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'),
    { doc: 'The codec in which batches are stored; `producer` keeps what the producer chose.' },
  ),
  'compression.zstd.level': int(3, between(-131072, 22), {
    doc: 'How hard zstd compresses where compression.type is zstd.',
  }),
  'delete.retention.ms': long(86400000, atLeast(0), {
    doc: 'How long tombstones of a compacted topic are kept.',
  }),
  'file.delete.delay.ms': long(60000, atLeast(0), {
    doc: 'How long a deleted segment stays on disk.',
  }),
  'flush.messages': long('9223372036854775807', atLeast(1), {
    doc: 'Records after which a partition is flushed to the device before they are acknowledged.',
  }),
  'flush.ms': long('9223372036854775807', atLeast(0), {
    doc: 'The longest time that records stay unflushed.',
  }),
  'follower.replication.throttled.replicas': list([], throttledReplicas, {
    doc: 'Replicas that follower.replication.throttled.rate holds back: PARTITION:BROKER,… or *.',
  }),
  'index.interval.bytes': int(4096, atLeast(0), {
    doc: 'Bytes of log between two entries of the offset index.',
  }),
  'internal.segment.bytes': int(null, any, {
    doc: 'In place of segment.bytes, and as small as one likes: for tests only.',
  }),
  'leader.replication.throttled.replicas': list([], throttledReplicas, {
    doc: 'Replicas that leader.replication.throttled.rate holds back: PARTITION:BROKER,… or *.',
  }),
  'local.retention.bytes': long(-2, atLeast(-2), {
    doc: 'Bytes of a partition that stay here where others have moved to tiered storage; -2: as retention.bytes.',
  }),
  'local.retention.ms': long(-2, atLeast(-2), {
    doc: 'How long records stay here where others have moved to tiered storage; -2: as retention.ms.',
  }),
  'max.compaction.lag.ms': long('9223372036854775807', atLeast(1), {
    doc: 'The longest time a record stays uncompacted.',
  }),
  'max.message.bytes': int(1048588, atLeast(0), {
    doc: 'The largest record batch that is accepted.',
  }),
  'message.timestamp.after.max.ms': long(3600000, atLeast(0), {
    doc: "How far ahead of the broker a record's timestamp may be.",
  }),
  'message.timestamp.before.max.ms': long('9223372036854775807', atLeast(0), {
    doc: "How far behind the broker a record's timestamp may be.",
  }),
  'message.timestamp.type': string('CreateTime', oneOf('CreateTime', 'LogAppendTime'), {
    doc: 'Whether a record keeps its own timestamp or gets the time of its append.',
  }),
  'min.cleanable.dirty.ratio': double(0.5, between(0, 1), {
    doc: 'The share of uncompacted bytes at which a log is compacted.',
  }),
  'min.compaction.lag.ms': long(0, atLeast(0), {
    doc: 'The shortest time a record stays uncompacted.',
  }),
  'min.insync.replicas': int(1, atLeast(1), {
    doc: 'Replicas that must have a write before acks=all is answered.',
  }),
  preallocate: boolean(false, {
    doc: 'Kafka’s, to give segment files their full size when they are created: without effect here.',
  }),
  'remote.log.copy.disable': boolean(false, {
    doc: 'Whether no more segments are copied to tiered storage.',
  }),
  'remote.log.delete.on.disable': boolean(false, {
    doc: 'Whether records in tiered storage are deleted where remote.storage.enable ends.',
  }),
  'remote.storage.enable': boolean(false, {
    doc: 'Whether old segments move to tiered storage, which is refused: there is none here yet.',
  }),
  'retention.bytes': long(-1, any, { doc: 'Bytes of a partition that are kept; -1: all.' }),
  'retention.ms': long(604800000, atLeast(-1), {
    doc: 'How long records are kept, in milliseconds; -1: for ever.',
  }),
  'segment.bytes': int(1073741824, atLeast(1048576), {
    doc: 'The size at which a segment file is closed and the next begun.',
  }),
  'segment.index.bytes': int(10485760, atLeast(4), {
    doc: "The largest size of a segment's offset index.",
  }),
  'segment.jitter.ms': long(0, atLeast(0), {
    doc: 'The most that is taken off segment.ms at random, so that not all logs roll at once.',
  }),
  'segment.ms': long(604800000, atLeast(1), {
    doc: 'The age at which a segment file is closed and the next begun.',
  }),
  'unclean.leader.election.enable': boolean(false, {
    doc: 'Whether a replica that may lack records may become the leader.',
  }),

  // Not Kafka's.
  ...tableConfigs,
} as const

export type TopicConfigName = keyof typeof topicConfigs

type CamelCase<S extends string> = S extends `${infer Head}.${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S

/** The effective settings of a topic: `segment.bytes` is `segmentBytes`. */
export type TopicConfig = {
  readonly [Name in TopicConfigName as CamelCase<Name>]: ValueOf<(typeof topicConfigs)[Name]>
}

const hourMs = 3_600_000
const minuteMs = 60_000

/** A broker setting that gives a topic setting its default, and what its unit is in the topic's. */
interface BrokerSynonym {
  readonly name: string
  readonly unit?: number
}

/** Most specific first, as Kafka's ServerTopicConfigSynonyms. */
const brokerSynonyms: Readonly<Partial<Record<TopicConfigName, readonly BrokerSynonym[]>>> = {
  'cleanup.policy': [{ name: 'log.cleanup.policy' }],
  'compression.gzip.level': [{ name: 'compression.gzip.level' }],
  'compression.lz4.level': [{ name: 'compression.lz4.level' }],
  'compression.type': [{ name: 'compression.type' }],
  'compression.zstd.level': [{ name: 'compression.zstd.level' }],
  'delete.retention.ms': [{ name: 'log.cleaner.delete.retention.ms' }],
  'file.delete.delay.ms': [{ name: 'log.segment.delete.delay.ms' }],
  'flush.messages': [{ name: 'log.flush.interval.messages' }],
  'flush.ms': [{ name: 'log.flush.interval.ms' }, { name: 'log.flush.scheduler.interval.ms' }],
  'index.interval.bytes': [{ name: 'log.index.interval.bytes' }],
  'local.retention.bytes': [{ name: 'log.local.retention.bytes' }],
  'local.retention.ms': [{ name: 'log.local.retention.ms' }],
  'max.compaction.lag.ms': [{ name: 'log.cleaner.max.compaction.lag.ms' }],
  'max.message.bytes': [{ name: 'message.max.bytes' }],
  'message.timestamp.after.max.ms': [{ name: 'log.message.timestamp.after.max.ms' }],
  'message.timestamp.before.max.ms': [{ name: 'log.message.timestamp.before.max.ms' }],
  'message.timestamp.type': [{ name: 'log.message.timestamp.type' }],
  'min.cleanable.dirty.ratio': [{ name: 'log.cleaner.min.cleanable.ratio' }],
  'min.compaction.lag.ms': [{ name: 'log.cleaner.min.compaction.lag.ms' }],
  'min.insync.replicas': [{ name: 'min.insync.replicas' }],
  preallocate: [{ name: 'log.preallocate' }],
  'retention.bytes': [{ name: 'log.retention.bytes' }],
  'retention.ms': [
    { name: 'log.retention.ms', unit: 1 },
    { name: 'log.retention.minutes', unit: minuteMs },
    { name: 'log.retention.hours', unit: hourMs },
  ],
  'segment.bytes': [{ name: 'log.segment.bytes' }],
  'segment.index.bytes': [{ name: 'log.index.size.max.bytes' }],
  'segment.jitter.ms': [
    { name: 'log.roll.jitter.ms' },
    { name: 'log.roll.jitter.hours', unit: hourMs },
  ],
  'segment.ms': [{ name: 'log.roll.ms' }, { name: 'log.roll.hours', unit: hourMs }],
  'unclean.leader.election.enable': [{ name: 'unclean.leader.election.enable' }],
}

/** The broker setting that stands first behind a topic's; undefined where none does. */
export const brokerSettingOf = (name: TopicConfigName): string | undefined =>
  brokerSynonyms[name]?.[0]?.name

/**
 * All values that `name` has for a topic with these overrides, most specific first: the first one is in
 * force. The last one is the default. Units are the topic setting's own.
 */
export function topicSynonyms(
  name: TopicConfigName,
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): readonly ConfigSynonym[] {
  const presets = broker.derived(`synonyms of ${name}`, () => presetsOf(name, broker))
  const override = overrides.get(name)
  if (override === undefined) return presets
  return [{ name, text: override, source: configSource.DYNAMIC_TOPIC_CONFIG }, ...presets]
}

/** What a topic setting is where the topic has none of its own. */
function presetsOf(name: TopicConfigName, broker: BrokerConfig): readonly ConfigSynonym[] {
  const fromBroker: ConfigSynonym[] = []
  for (const { name: brokerName, unit } of brokerSynonyms[name] ?? []) {
    for (const synonym of broker.synonyms(brokerName)) {
      if (synonym.text === null) continue
      fromBroker.push(unit === undefined ? synonym : inUnit(synonym, unit))
    }
  }
  // Within the same source the more specific name wins; set values win over defaults.
  fromBroker.sort((a, b) => a.source - b.source)
  if (fromBroker.length > 0) return fromBroker
  const { defaultText } = topicConfigs[name]
  return [{ name, text: defaultText, source: configSource.DEFAULT_CONFIG }]
}

/** Any time below zero is none at all, which a topic calls -1. */
function inUnit(synonym: ConfigSynonym, unit: number): ConfigSynonym {
  const value = Number(synonym.text)
  if (value < 0) return { ...synonym, text: '-1' }
  // A text that is in the topic's unit already may be longer than a number is exact.
  return unit === 1 ? synonym : { ...synonym, text: String(value * unit) }
}

/** The effective settings of a topic with these overrides. Throws ConfigError. */
export function resolveTopicConfig(
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): TopicConfig {
  const presets = broker.derived('presets of topics', () =>
    resolve(topicConfigNames, noTexts, broker),
  )
  if (overrides.size === 0) return presets
  const names = topicConfigNames.filter((name) => overrides.has(name))
  const own = resolve(names, overrides, broker)
  const { internalSegmentBytes } = own
  if (typeof internalSegmentBytes !== 'number') return { ...presets, ...own }
  return { ...presets, ...own, segmentBytes: internalSegmentBytes }
}

const noTexts: ReadonlyMap<string, string> = new Map()

function resolve(
  names: readonly TopicConfigName[],
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): TopicConfig {
  const resolved = names.map((name) => {
    const [inForce] = topicSynonyms(name, overrides, broker)
    const text = inForce?.text ?? null
    const definition = topicConfigs[name] as Definition
    // What is wrong is told of the setting that somebody wrote, which may be the broker's.
    const value: unknown =
      text === null ? null : parseSetting(inForce?.name ?? name, definition, text)
    return [camelCase(name), value] as const
  })
  // Made at once: an object to which so many names are added one by one is a hash table to V8, and every
  // append to a log looks at a dozen of them.
  return Object.fromEntries(resolved) as TopicConfig
}

/** In the order of the table. */
const topicConfigNames = Object.keys(topicConfigs) as readonly TopicConfigName[]

/** Told of a topic only where they are set, as in Kafka. */
const internalNames: ReadonlySet<TopicConfigName> = new Set(['internal.segment.bytes'])

/** The settings that a topic with these overrides is described by, in the order of the table. */
export function toldTopicConfigs(overrides: ReadonlyMap<string, string>): TopicConfigName[] {
  return topicConfigNames.filter((name) => !internalNames.has(name) || overrides.has(name))
}

function camelCase(name: string): string {
  return name.replace(/\.(.)/g, (_, letter: string) => letter.toUpperCase())
}
