/**
 * Every API that this broker serves, each with the parts that it needs. What is not in this table is not
 * advertised. What lives in this folder: one file per API, from the decoded request to the response. What
 * must not: state, timers, bytes; a handler asks the parts of the broker that know, and translates.
 */

import { errors } from '../../protocol/errors.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { isCoordinatorKey } from '../coordinator/share/records.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { Admission } from '../coordinator/transaction/admission.ts'
import type { MarkerWriter } from '../coordinator/transaction/participants.ts'
import type { TransactionCoordinator } from '../coordinator/transaction/transaction-coordinator.ts'
import type { Environment } from '../environment/environment.ts'
import { Conversions } from '../log/conversion/conversions.ts'
import { AutoTopicCreation } from '../metadata/auto-topic-creation.ts'
import { groupVersionFeature, streamsVersionFeature } from '../metadata/features.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { StreamsTopicCreation } from '../metadata/streams-topic-creation.ts'
import type { FetchSessions } from '../replication/fetch-sessions.ts'
import type { ParkedFetches } from '../replication/parked-fetches.ts'
import type { Replicas } from '../replication/replicas.ts'
import type { ShareDelivery } from '../replication/share/share-delivery.ts'
import type { AnyHandler } from '../server/handler.ts'
import type { ClientTelemetry } from '../telemetry/client-telemetry.ts'
import { addOffsetsToTxn } from './add-offsets-to-txn.ts'
import { addPartitionsToTxn } from './add-partitions-to-txn.ts'
import { addRaftVoter } from './add-raft-voter.ts'
import { alterClientQuotas } from './alter-client-quotas.ts'
import { alterConfigs } from './alter-configs.ts'
import { alterPartitionReassignments } from './alter-partition-reassignments.ts'
import { alterReplicaLogDirs } from './alter-replica-log-dirs.ts'
import { alterShareGroupOffsets } from './alter-share-group-offsets.ts'
import { alterUserScramCredentials } from './alter-user-scram-credentials.ts'
import { apiVersions } from './api-versions.ts'
import { type Advertised, brokerNodes } from './broker-nodes.ts'
import { consumerGroupDescribe } from './consumer-group-describe.ts'
import { consumerGroupHeartbeat } from './consumer-group-heartbeat.ts'
import { createAcls } from './create-acls.ts'
import { createDelegationToken } from './create-delegation-token.ts'
import { createPartitions } from './create-partitions.ts'
import { createTopics } from './create-topics.ts'
import { deleteAcls } from './delete-acls.ts'
import { deleteGroups } from './delete-groups.ts'
import { deleteRecords } from './delete-records.ts'
import { deleteShareGroupOffsets } from './delete-share-group-offsets.ts'
import { deleteShareGroupState } from './delete-share-group-state.ts'
import { deleteTopics } from './delete-topics.ts'
import { describeAcls } from './describe-acls.ts'
import { describeClientQuotas } from './describe-client-quotas.ts'
import { describeCluster } from './describe-cluster.ts'
import { describeConfigs } from './describe-configs.ts'
import { describeDelegationToken } from './describe-delegation-token.ts'
import { describeGroups } from './describe-groups.ts'
import { describeLogDirs } from './describe-log-dirs.ts'
import { describeProducers } from './describe-producers.ts'
import { describeQuorum } from './describe-quorum.ts'
import { describeShareGroupOffsets } from './describe-share-group-offsets.ts'
import { describeTopicPartitions } from './describe-topic-partitions.ts'
import { describeTransactions } from './describe-transactions.ts'
import { describeUserScramCredentials } from './describe-user-scram-credentials.ts'
import { electLeaders } from './elect-leaders.ts'
import { endTxn } from './end-txn.ts'
import { expireDelegationToken } from './expire-delegation-token.ts'
import { fetch } from './fetch.ts'
import { type CoordinatedTopic, findCoordinator } from './find-coordinator.ts'
import { getTelemetrySubscriptions } from './get-telemetry-subscriptions.ts'
import { heartbeat } from './heartbeat.ts'
import { incrementalAlterConfigs } from './incremental-alter-configs.ts'
import { initProducerId } from './init-producer-id.ts'
import { initializeShareGroupState } from './initialize-share-group-state.ts'
import { joinGroup } from './join-group.ts'
import { leaveGroup } from './leave-group.ts'
import { listConfigResources } from './list-config-resources.ts'
import { listGroups } from './list-groups.ts'
import { listOffsets } from './list-offsets.ts'
import { listPartitionReassignments } from './list-partition-reassignments.ts'
import { listTransactions } from './list-transactions.ts'
import { metadata } from './metadata.ts'
import { offsetCommit } from './offset-commit.ts'
import { offsetDelete } from './offset-delete.ts'
import { offsetFetch } from './offset-fetch.ts'
import { offsetForLeaderEpoch } from './offset-for-leader-epoch.ts'
import { produce } from './produce.ts'
import { pushTelemetry } from './push-telemetry.ts'
import { readShareGroupState } from './read-share-group-state.ts'
import { readShareGroupStateSummary } from './read-share-group-state-summary.ts'
import { removeRaftVoter } from './remove-raft-voter.ts'
import { renewDelegationToken } from './renew-delegation-token.ts'
import { shareAcknowledge } from './share-acknowledge.ts'
import { shareFetch } from './share-fetch.ts'
import { shareGroupDescribe } from './share-group-describe.ts'
import { shareGroupHeartbeat } from './share-group-heartbeat.ts'
import { streamsGroupDescribe } from './streams-group-describe.ts'
import { streamsGroupHeartbeat } from './streams-group-heartbeat.ts'
import { syncGroup } from './sync-group.ts'
import { topicView } from './topic-view.ts'
import { TopicsNotMade } from './topics-not-made.ts'
import { txnOffsetCommit } from './txn-offset-commit.ts'
import { unregisterBroker } from './unregister-broker.ts'
import { updateFeatures } from './update-features.ts'
import { writeShareGroupState } from './write-share-group-state.ts'
import { writeTxnMarkers } from './write-txn-markers.ts'

/** Where groups keep their offsets and themselves. */
export const consumerOffsetsTopic = '__consumer_offsets'
/** Where share groups keep what they have read. */
export const shareGroupStateTopic = '__share_group_state'

/** Where transactions are kept. */
export const transactionStateTopic = '__transaction_state'

/** Key types of FindCoordinator, and the topics whose leaders coordinate them. */
const coordinatedTopics: readonly Omit<CoordinatedTopic, 'partitionCount'>[] = [
  { keyType: 0, topic: consumerOffsetsTopic },
  { keyType: 1, topic: transactionStateTopic },
  { keyType: 2, topic: shareGroupStateTopic, isKey: isCoordinatorKey },
]

export interface HandlerParts {
  readonly environment: Environment
  readonly config: BrokerConfig
  readonly metadata: Metadata
  readonly replicas: Replicas
  readonly groups: GroupCoordinator
  readonly shareState: ShareCoordinator
  readonly transactions: TransactionCoordinator
  readonly markers: MarkerWriter
  readonly nodeId: number
  readonly fetchSessions: FetchSessions
  readonly parkedFetches: ParkedFetches
  readonly delivery: ShareDelivery
  readonly advertised: Advertised
  readonly telemetry: ClientTelemetry
}

export function handlerTable(parts: HandlerParts): readonly AnyHandler[] {
  const { config, environment, groups, replicas, shareState, transactions } = parts
  const { cache, controller, producerIds, quorum } = parts.metadata
  const nodes = { cache, config, nodeId: parts.nodeId, advertised: parts.advertised }
  const image = () => cache.image
  const hasConsumerGroups = () => isGroupTypeEnabled(parts, 'consumer', groupVersionFeature)
  const hasStreamsGroups = () => isGroupTypeEnabled(parts, 'streams', streamsVersionFeature)
  const topics = topicView(cache)
  const autoTopics = new AutoTopicCreation(controller, cache, config)
  const admission = new Admission({
    environment,
    verifier: transactions,
    isVerifying: () => config.get('transaction.partition.verification.enable'),
    retryBackoffMs: () => config.get('add.partitions.to.txn.retry.backoff.ms'),
    retryMsMax: () => config.get('add.partitions.to.txn.retry.backoff.max.ms'),
  })
  const conversions = new Conversions(environment)
  const bytesMax = () => config.get('fetch.max.bytes')
  const { shares } = parts.delivery
  const shareParts = { ...parts.delivery, parked: parts.parkedFetches, image, bytesMax }
  const table: readonly AnyHandler[] = [
    produce({ replicas, image, admission, conversions, now: () => environment.clock.now() }),
    fetch({
      replicas,
      image,
      sessions: parts.fetchSessions,
      parked: parts.parkedFetches,
      conversions,
      bytesMax,
    }),
    listOffsets({ replicas }),
    metadata({ ...nodes, autoTopics }),
    offsetCommit({ groups, topics }),
    offsetFetch({ groups, topics }),
    findCoordinator(coordinators(parts, autoTopics)),
    joinGroup({ groups }),
    heartbeat({ groups }),
    leaveGroup({ groups }),
    syncGroup({ groups }),
    describeGroups({ groups }),
    listGroups({ groups }),
    apiVersions({ ...nodes, handlers: () => table, telemetry: parts.telemetry }),
    createTopics({ controller }),
    deleteTopics({ cache, controller, config }),
    deleteRecords({ replicas }),
    initProducerId({ producerIds, transactions }),
    offsetForLeaderEpoch({ replicas }),
    addPartitionsToTxn({ transactions, topics }),
    addOffsetsToTxn({ groups, transactions }),
    endTxn({ transactions }),
    writeTxnMarkers({ markers: parts.markers }),
    txnOffsetCommit({ groups, topics, replicas, admission }),
    describeConfigs({ ...nodes, environment }),
    alterConfigs({ controller }),
    alterReplicaLogDirs({ replicas }),
    describeLogDirs({ replicas }),
    createPartitions({ controller }),
    deleteGroups({ groups }),
    incrementalAlterConfigs({ controller, environment, nodeId: parts.nodeId }),
    offsetDelete({ groups, topics }),
    describeAcls({ cache }),
    createAcls({ controller }),
    deleteAcls({ controller }),
    createDelegationToken(),
    renewDelegationToken(),
    expireDelegationToken(),
    describeDelegationToken(),
    electLeaders({ controller }),
    alterPartitionReassignments({ controller }),
    listPartitionReassignments({ cache }),
    describeClientQuotas({ cache }),
    alterClientQuotas({ controller }),
    describeUserScramCredentials({ cache }),
    alterUserScramCredentials({ controller }),
    unregisterBroker({ controller }),
    describeQuorum({ quorum }),
    addRaftVoter({ cache, config }),
    removeRaftVoter({ cache }),
    updateFeatures({ controller }),
    describeCluster(nodes),
    describeProducers({ replicas }),
    consumerGroupHeartbeat({ groups, isEnabled: hasConsumerGroups }),
    consumerGroupDescribe({ groups, isEnabled: hasConsumerGroups }),
    getTelemetrySubscriptions(parts),
    pushTelemetry(parts),
    describeTransactions({ transactions }),
    listTransactions({ transactions }),
    listConfigResources({ cache }),
    describeTopicPartitions({ cache, config }),
    shareGroupHeartbeat({ groups, image }),
    shareGroupDescribe({ groups, image }),
    streamsGroupHeartbeat({
      groups,
      isEnabled: hasStreamsGroups,
      isInternal: (topic) => coordinatedTopics.some((each) => each.topic === topic),
      creation: new StreamsTopicCreation(controller, environment),
    }),
    streamsGroupDescribe({ groups, isEnabled: hasStreamsGroups }),
    describeShareGroupOffsets({ groups, shareState, replicas, image }),
    alterShareGroupOffsets({ groups, shares, image }),
    deleteShareGroupOffsets({ groups, shares, image }),
    shareFetch({ ...shareParts, clock: environment.clock }),
    shareAcknowledge(shareParts),
    initializeShareGroupState({ shareState }),
    readShareGroupState({ shareState }),
    writeShareGroupState({ shareState }),
    deleteShareGroupState({ shareState }),
    readShareGroupStateSummary({ shareState }),
  ]
  return table
}

/** What is coordinated is coordinated by the leaders of the partitions of an internal topic. */
function coordinators(parts: HandlerParts, autoTopics: AutoTopicCreation) {
  const { environment } = parts
  const { cache } = parts.metadata
  const notMade = new TopicsNotMade(environment.log, parts.config)
  return {
    coordinated: coordinatedTopics.map((each) => ({
      ...each,
      partitionCount: () => cache.image.topics.byName.get(each.topic)?.partitions.length,
    })),
    ensureTopic: async (name: string) => {
      const error = (await autoTopics.create([name])).get(name) ?? errors.NONE
      notMade.tell(name, error, cache.image.brokers.size)
    },
    leaderOf: (topic: string, index: number, context: Parameters<Advertised>[0]) => {
      const leader = cache.image.topics.byName.get(topic)?.partitions[index]?.leader
      const node = brokerNodes(cache.image, parts, context).find(
        ({ broker }) => broker.id === leader,
      )
      return node && { nodeId: node.broker.id, host: node.host, port: node.port }
    },
  }
}

/** Of groups that are no classic ones: where the broker's settings name them and the feature is finalized. */
function isGroupTypeEnabled(
  { config, metadata }: HandlerParts,
  type: string,
  feature: string,
): boolean {
  const isNamed = config.get('group.coordinator.rebalance.protocols').includes(type)
  return isNamed && (metadata.cache.image.features.get(feature) ?? 0) > 0
}
