/**
 * The coordinators of one node, wired: of groups, of share groups' state and of transactions, with their settings, the
 * internal topics that hold their state, and what they ask of each other. `coordinators.ts` then tells them what they
 * coordinate.
 */
import {
  groupCoordinatorConfig,
  groupSettingOf,
  shareCoordinatorConfig,
  transactionCoordinatorConfig,
} from './broker-settings.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { GroupCoordinator } from './coordinator/group/group-coordinator.ts'
import { ShareCoordinator } from './coordinator/share/share-coordinator.ts'
import { TransactionCoordinator } from './coordinator/transaction/transaction-coordinator.ts'
import { Coordinators } from './coordinators.ts'
import type { Environment } from './environment/environment.ts'
import {
  consumerOffsetsTopic,
  type HandlerParts,
  shareGroupStateTopic,
  transactionStateTopic,
} from './handlers/handler-table.ts'
import { LocalMarkers } from './handlers/local-markers.ts'
import { topicView } from './handlers/topic-view.ts'
import { AutoTopicCreation } from './metadata/auto-topic-creation.ts'
import { transactionVersion } from './metadata/features.ts'
import { configResource, configTexts } from './metadata/image.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Replicas } from './replication/replicas.ts'

/** What handlers ask of the coordinators. */
export type CoordinatorParts = Pick<
  HandlerParts,
  'groups' | 'shareState' | 'transactions' | 'markers'
>

export interface NodeCoordinatorsOptions {
  readonly environment: Environment
  readonly config: BrokerConfig
  /** Groups do not wait for more members unless a setting says so. */
  readonly isDevelopment: boolean
  readonly metadata: Metadata
  readonly replicas: Replicas
}

/** None of them coordinates anything yet: `elect` of `coordinators` has them load what they lead. */
export function nodeCoordinators(options: NodeCoordinatorsOptions): {
  readonly coordinators: Coordinators
  readonly parts: CoordinatorParts
} {
  const { environment, config, isDevelopment, metadata, replicas } = options
  const { cache, controller, producerIds } = metadata
  const partitionsOf = (topic: string) => cache.image.topics.byName.get(topic)?.partitions.length
  const shareState = new ShareCoordinator({
    environment,
    config: shareCoordinatorConfig(config),
    statePartitionCount: () =>
      partitionsOf(shareGroupStateTopic) ??
      config.get('share.coordinator.state.topic.num.partitions'),
    partitionCountOf: (topicId) => cache.image.topics.byId.get(topicId)?.partitions.length,
  })
  const autoTopics = new AutoTopicCreation(controller, cache, config)
  const groups = new GroupCoordinator({
    environment,
    config: groupCoordinatorConfig(config, isDevelopment),
    setting: groupSettingOf(config, (groupId) =>
      configTexts(cache.image, configResource.GROUP, groupId),
    ),
    topics: topicView(cache),
    shareState: {
      initialize: async (request) => {
        if (partitionsOf(shareGroupStateTopic) === undefined) {
          await autoTopics.create([shareGroupStateTopic])
        }
        return shareState.initialize(request)
      },
      delete: (request) => shareState.delete(request),
    },
    partitionCount: () =>
      partitionsOf(consumerOffsetsTopic) ?? config.get('offsets.topic.num.partitions'),
  })
  const markers = new LocalMarkers({ environment, replicas, groups })
  const transactions = new TransactionCoordinator({
    environment,
    config: transactionCoordinatorConfig(config, () => transactionVersion(cache.image)),
    partitionCount: () =>
      partitionsOf(transactionStateTopic) ?? config.get('transaction.state.log.num.partitions'),
    producerIds,
    markers,
    isDeleted: (topic, index) => index >= (partitionsOf(topic) ?? 0),
    mayLackRecords: (index) => {
      const partition = replicas.get(transactionStateTopic, index)
      const isSynced = partition !== undefined && partition.config.flushMessages <= 1
      return !isSynced && partition?.directory?.isClean === false
    },
  })
  const all = [groups, shareState, transactions]
  return {
    coordinators: new Coordinators({ log: environment.log, replicas, coordinators: all }),
    parts: { groups, shareState, transactions, markers },
  }
}
