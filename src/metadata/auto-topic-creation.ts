/**
 * Topics that come into being because somebody asked for them: with the broker's defaults, or, for those
 * in which coordinators keep their state, with settings of their own.
 */
import { type ErrorRow, errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import type { CreateTopicsRequest } from '../../protocol/messages/create-topics.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Controller } from './controller/controller.ts'
import { type CountMutations, recordsPerRequestMax } from './controller/decision.ts'
import { invalidTopicName } from './controller/topic-names.ts'
import { isActive } from './image.ts'
import type { MetadataCache } from './metadata-cache.ts'

type CreatableTopic = CreateTopicsRequest['topics'][number]

/** A topic of a coordinator: the settings that say how many partitions and replicas, and its own configs. */
interface InternalTopic {
  readonly partitions:
    | 'offsets.topic.num.partitions'
    | 'share.coordinator.state.topic.num.partitions'
    | 'transaction.state.log.num.partitions'
  readonly replicas:
    | 'offsets.topic.replication.factor'
    | 'share.coordinator.state.topic.replication.factor'
    | 'transaction.state.log.replication.factor'
  readonly configs: (config: BrokerConfig) => Readonly<Record<string, string>>
}

const internalTopics: Readonly<Record<string, InternalTopic>> = {
  __consumer_offsets: {
    partitions: 'offsets.topic.num.partitions',
    replicas: 'offsets.topic.replication.factor',
    configs: (config) => ({
      'cleanup.policy': 'compact',
      'compression.type': 'producer',
      'segment.bytes': String(config.get('offsets.topic.segment.bytes')),
    }),
  },
  __share_group_state: {
    partitions: 'share.coordinator.state.topic.num.partitions',
    replicas: 'share.coordinator.state.topic.replication.factor',
    // Not compacted: the coordinator itself deletes what is no longer needed.
    configs: (config) => ({
      'cleanup.policy': 'delete',
      'compression.type': 'producer',
      'min.insync.replicas': String(config.get('share.coordinator.state.topic.min.isr')),
      'retention.ms': '-1',
      'segment.bytes': String(config.get('share.coordinator.state.topic.segment.bytes')),
    }),
  },
  __transaction_state: {
    partitions: 'transaction.state.log.num.partitions',
    replicas: 'transaction.state.log.replication.factor',
    configs: (config) => ({
      'cleanup.policy': 'compact',
      'compression.type': 'uncompressed',
      'min.insync.replicas': String(config.get('transaction.state.log.min.isr')),
      'segment.bytes': String(config.get('transaction.state.log.segment.bytes')),
      'unclean.leader.election.enable': 'false',
    }),
  },
}

/** The setting that says how many replicas a topic of the broker's own has; undefined: it is none. */
export function replicasSettingOf(name: string): InternalTopic['replicas'] | undefined {
  return internalTopics[name]?.replicas
}

/** What became of each name that was asked for. */
export type Outcomes = Pick<ReadonlyMap<string, ErrorRow>, 'get'>

export class AutoTopicCreation {
  readonly #controller: Controller
  readonly #cache: MetadataCache
  readonly #config: BrokerConfig

  constructor(controller: Controller, cache: MetadataCache, config: BrokerConfig) {
    this.#controller = controller
    this.#cache = cache
    this.#config = config
  }

  /**
   * Creates the topics that do not exist. Resolves when they can be seen in the cache, with the error
   * (or NONE) of each name; a topic that somebody else created meanwhile is NONE, and one that
   * `countMutations` refused is still unknown.
   */
  async create(names: readonly string[], countMutations?: CountMutations): Promise<Outcomes> {
    // What the controller would say, at the end; not noted for each of so many names.
    if (names.length > recordsPerRequestMax) return { get: () => errors.POLICY_VIOLATION }
    const outcomes = new Map<string, ErrorRow>()
    const topics: CreatableTopic[] = []
    for (const name of new Set(names)) {
      if (invalidTopicName(name) !== undefined) outcomes.set(name, errors.INVALID_TOPIC_EXCEPTION)
      else topics.push(this.#creatable(name))
    }
    if (topics.length === 0) return outcomes
    try {
      const request = { topics, validateOnly: false }
      for (const result of await this.#controller.createTopics(request, countMutations)) {
        outcomes.set(result.name, asTold(errorByCode(result.errorCode)))
      }
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      for (const { name } of topics) outcomes.set(name, error.error)
    }
    return outcomes
  }

  #creatable(name: string): CreatableTopic {
    const internal = internalTopics[name]
    if (internal === undefined) {
      return { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] }
    }
    const texts = internal.configs(this.#config)
    return {
      name,
      numPartitions: this.#config.get(internal.partitions),
      replicationFactor: this.#replicasOf(internal),
      assignments: [],
      configs: Object.entries(texts).map(([setting, value]) => ({ name: setting, value })),
    }
  }

  /** As many as asked for; where nothing was asked for, no more than there are brokers. */
  #replicasOf({ replicas: setting }: InternalTopic): number {
    const wanted = this.#config.get(setting)
    if (this.#config.isSet(setting)) return wanted
    const { image } = this.#cache
    const brokers = [...image.brokers.keys()].filter((id) => isActive(image, id)).length
    return Math.max(1, Math.min(wanted, brokers))
  }
}

/** Who asks for a topic and finds it missing asks again. */
function asTold(error: ErrorRow): ErrorRow {
  if (error === errors.TOPIC_ALREADY_EXISTS) return errors.NONE
  return error === errors.THROTTLING_QUOTA_EXCEEDED ? errors.UNKNOWN_TOPIC_OR_PARTITION : error
}
