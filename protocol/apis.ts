/**
 * Every API of Kafka's protocol: one row each, in the order of their keys. A row names the tables
 * of the request and of the response and the listeners on which Kafka offers the API.
 */
import { addOffsetsToTxnRequest, addOffsetsToTxnResponse } from './messages/add-offsets-to-txn.ts'
import {
  addPartitionsToTxnRequest,
  addPartitionsToTxnResponse,
} from './messages/add-partitions-to-txn.ts'
import { addRaftVoterRequest, addRaftVoterResponse } from './messages/add-raft-voter.ts'
import {
  allocateProducerIdsRequest,
  allocateProducerIdsResponse,
} from './messages/allocate-producer-ids.ts'
import {
  alterClientQuotasRequest,
  alterClientQuotasResponse,
} from './messages/alter-client-quotas.ts'
import { alterConfigsRequest, alterConfigsResponse } from './messages/alter-configs.ts'
import { alterPartitionRequest, alterPartitionResponse } from './messages/alter-partition.ts'
import {
  alterPartitionReassignmentsRequest,
  alterPartitionReassignmentsResponse,
} from './messages/alter-partition-reassignments.ts'
import {
  alterReplicaLogDirsRequest,
  alterReplicaLogDirsResponse,
} from './messages/alter-replica-log-dirs.ts'
import {
  alterShareGroupOffsetsRequest,
  alterShareGroupOffsetsResponse,
} from './messages/alter-share-group-offsets.ts'
import {
  alterUserScramCredentialsRequest,
  alterUserScramCredentialsResponse,
} from './messages/alter-user-scram-credentials.ts'
import { apiVersionsRequest, apiVersionsResponse } from './messages/api-versions.ts'
import {
  assignReplicasToDirsRequest,
  assignReplicasToDirsResponse,
} from './messages/assign-replicas-to-dirs.ts'
import { beginQuorumEpochRequest, beginQuorumEpochResponse } from './messages/begin-quorum-epoch.ts'
import { brokerHeartbeatRequest, brokerHeartbeatResponse } from './messages/broker-heartbeat.ts'
import {
  brokerRegistrationRequest,
  brokerRegistrationResponse,
} from './messages/broker-registration.ts'
import {
  consumerGroupDescribeRequest,
  consumerGroupDescribeResponse,
} from './messages/consumer-group-describe.ts'
import {
  consumerGroupHeartbeatRequest,
  consumerGroupHeartbeatResponse,
} from './messages/consumer-group-heartbeat.ts'
import {
  controllerRegistrationRequest,
  controllerRegistrationResponse,
} from './messages/controller-registration.ts'
import { createAclsRequest, createAclsResponse } from './messages/create-acls.ts'
import {
  createDelegationTokenRequest,
  createDelegationTokenResponse,
} from './messages/create-delegation-token.ts'
import { createPartitionsRequest, createPartitionsResponse } from './messages/create-partitions.ts'
import { createTopicsRequest, createTopicsResponse } from './messages/create-topics.ts'
import { deleteAclsRequest, deleteAclsResponse } from './messages/delete-acls.ts'
import { deleteGroupsRequest, deleteGroupsResponse } from './messages/delete-groups.ts'
import { deleteRecordsRequest, deleteRecordsResponse } from './messages/delete-records.ts'
import {
  deleteShareGroupOffsetsRequest,
  deleteShareGroupOffsetsResponse,
} from './messages/delete-share-group-offsets.ts'
import {
  deleteShareGroupStateRequest,
  deleteShareGroupStateResponse,
} from './messages/delete-share-group-state.ts'
import { deleteTopicsRequest, deleteTopicsResponse } from './messages/delete-topics.ts'
import { describeAclsRequest, describeAclsResponse } from './messages/describe-acls.ts'
import {
  describeClientQuotasRequest,
  describeClientQuotasResponse,
} from './messages/describe-client-quotas.ts'
import { describeClusterRequest, describeClusterResponse } from './messages/describe-cluster.ts'
import { describeConfigsRequest, describeConfigsResponse } from './messages/describe-configs.ts'
import {
  describeDelegationTokenRequest,
  describeDelegationTokenResponse,
} from './messages/describe-delegation-token.ts'
import { describeGroupsRequest, describeGroupsResponse } from './messages/describe-groups.ts'
import { describeLogDirsRequest, describeLogDirsResponse } from './messages/describe-log-dirs.ts'
import {
  describeProducersRequest,
  describeProducersResponse,
} from './messages/describe-producers.ts'
import { describeQuorumRequest, describeQuorumResponse } from './messages/describe-quorum.ts'
import {
  describeShareGroupOffsetsRequest,
  describeShareGroupOffsetsResponse,
} from './messages/describe-share-group-offsets.ts'
import {
  describeTopicPartitionsRequest,
  describeTopicPartitionsResponse,
} from './messages/describe-topic-partitions.ts'
import {
  describeTransactionsRequest,
  describeTransactionsResponse,
} from './messages/describe-transactions.ts'
import {
  describeUserScramCredentialsRequest,
  describeUserScramCredentialsResponse,
} from './messages/describe-user-scram-credentials.ts'
import { electLeadersRequest, electLeadersResponse } from './messages/elect-leaders.ts'
import { endQuorumEpochRequest, endQuorumEpochResponse } from './messages/end-quorum-epoch.ts'
import { endTxnRequest, endTxnResponse } from './messages/end-txn.ts'
import { envelopeRequest, envelopeResponse } from './messages/envelope.ts'
import {
  expireDelegationTokenRequest,
  expireDelegationTokenResponse,
} from './messages/expire-delegation-token.ts'
import { fetchRequest, fetchResponse } from './messages/fetch.ts'
import { fetchSnapshotRequest, fetchSnapshotResponse } from './messages/fetch-snapshot.ts'
import { findCoordinatorRequest, findCoordinatorResponse } from './messages/find-coordinator.ts'
import {
  getTelemetrySubscriptionsRequest,
  getTelemetrySubscriptionsResponse,
} from './messages/get-telemetry-subscriptions.ts'
import { heartbeatRequest, heartbeatResponse } from './messages/heartbeat.ts'
import {
  incrementalAlterConfigsRequest,
  incrementalAlterConfigsResponse,
} from './messages/incremental-alter-configs.ts'
import { initProducerIdRequest, initProducerIdResponse } from './messages/init-producer-id.ts'
import {
  initializeShareGroupStateRequest,
  initializeShareGroupStateResponse,
} from './messages/initialize-share-group-state.ts'
import { joinGroupRequest, joinGroupResponse } from './messages/join-group.ts'
import { leaveGroupRequest, leaveGroupResponse } from './messages/leave-group.ts'
import {
  listConfigResourcesRequest,
  listConfigResourcesResponse,
} from './messages/list-config-resources.ts'
import { listGroupsRequest, listGroupsResponse } from './messages/list-groups.ts'
import { listOffsetsRequest, listOffsetsResponse } from './messages/list-offsets.ts'
import {
  listPartitionReassignmentsRequest,
  listPartitionReassignmentsResponse,
} from './messages/list-partition-reassignments.ts'
import { listTransactionsRequest, listTransactionsResponse } from './messages/list-transactions.ts'
import { metadataRequest, metadataResponse } from './messages/metadata.ts'
import { offsetCommitRequest, offsetCommitResponse } from './messages/offset-commit.ts'
import { offsetDeleteRequest, offsetDeleteResponse } from './messages/offset-delete.ts'
import { offsetFetchRequest, offsetFetchResponse } from './messages/offset-fetch.ts'
import {
  offsetForLeaderEpochRequest,
  offsetForLeaderEpochResponse,
} from './messages/offset-for-leader-epoch.ts'
import { produceRequest, produceResponse } from './messages/produce.ts'
import { pushTelemetryRequest, pushTelemetryResponse } from './messages/push-telemetry.ts'
import {
  readShareGroupStateRequest,
  readShareGroupStateResponse,
} from './messages/read-share-group-state.ts'
import {
  readShareGroupStateSummaryRequest,
  readShareGroupStateSummaryResponse,
} from './messages/read-share-group-state-summary.ts'
import { removeRaftVoterRequest, removeRaftVoterResponse } from './messages/remove-raft-voter.ts'
import {
  renewDelegationTokenRequest,
  renewDelegationTokenResponse,
} from './messages/renew-delegation-token.ts'
import { saslAuthenticateRequest, saslAuthenticateResponse } from './messages/sasl-authenticate.ts'
import { saslHandshakeRequest, saslHandshakeResponse } from './messages/sasl-handshake.ts'
import { shareAcknowledgeRequest, shareAcknowledgeResponse } from './messages/share-acknowledge.ts'
import { shareFetchRequest, shareFetchResponse } from './messages/share-fetch.ts'
import {
  shareGroupDescribeRequest,
  shareGroupDescribeResponse,
} from './messages/share-group-describe.ts'
import {
  shareGroupHeartbeatRequest,
  shareGroupHeartbeatResponse,
} from './messages/share-group-heartbeat.ts'
import {
  streamsGroupDescribeRequest,
  streamsGroupDescribeResponse,
} from './messages/streams-group-describe.ts'
import {
  streamsGroupHeartbeatRequest,
  streamsGroupHeartbeatResponse,
} from './messages/streams-group-heartbeat.ts'
import {
  streamsGroupTopologyDescriptionUpdateRequest,
  streamsGroupTopologyDescriptionUpdateResponse,
} from './messages/streams-group-topology-description-update.ts'
import { syncGroupRequest, syncGroupResponse } from './messages/sync-group.ts'
import { txnOffsetCommitRequest, txnOffsetCommitResponse } from './messages/txn-offset-commit.ts'
import { unregisterBrokerRequest, unregisterBrokerResponse } from './messages/unregister-broker.ts'
import {
  unregisterControllerRequest,
  unregisterControllerResponse,
} from './messages/unregister-controller.ts'
import { updateFeaturesRequest, updateFeaturesResponse } from './messages/update-features.ts'
import { updateRaftVoterRequest, updateRaftVoterResponse } from './messages/update-raft-voter.ts'
import { voteRequest, voteResponse } from './messages/vote.ts'
import {
  writeShareGroupStateRequest,
  writeShareGroupStateResponse,
} from './messages/write-share-group-state.ts'
import { writeTxnMarkersRequest, writeTxnMarkersResponse } from './messages/write-txn-markers.ts'
import type { InputOf, Message, MessageOf } from './schema.ts'

/** Where Kafka offers an API: to clients and other brokers, or among the nodes of the quorum. */
export type ApiListener = 'broker' | 'controller'

export interface ApiRow<Request extends Message = Message, Response extends Message = Message> {
  readonly key: number
  readonly name: string
  readonly request: Request
  readonly response: Response
  readonly listeners: readonly ApiListener[]
  /** Kafka marks the newest version as unstable: it may change and is not advertised by default. */
  readonly isLatestUnstable: boolean
}

/** What a request of this API looks like once decoded. */
export type RequestOf<Api extends ApiRow> = MessageOf<Api['request']>

/** What answers it: fields with a default may be left out. */
export type ResponseOf<Api extends ApiRow> = InputOf<Api['response']>

const onBroker = ['broker'] as const
const onController = ['controller'] as const
const onBoth = ['broker', 'controller'] as const

function api<Request extends Message, Response extends Message>(
  request: Request,
  response: Response,
  listeners: readonly ApiListener[],
  { unstable = false } = {},
): ApiRow<Request, Response> {
  const key = request.key as number
  const name = request.name.slice(0, -'Request'.length)
  return Object.freeze({ key, name, request, response, listeners, isLatestUnstable: unstable })
}

export const apis = {
  produce: api(produceRequest, produceResponse, onBroker),
  fetch: api(fetchRequest, fetchResponse, onBoth),
  listOffsets: api(listOffsetsRequest, listOffsetsResponse, onBroker),
  metadata: api(metadataRequest, metadataResponse, onBroker),
  offsetCommit: api(offsetCommitRequest, offsetCommitResponse, onBroker),
  offsetFetch: api(offsetFetchRequest, offsetFetchResponse, onBroker),
  findCoordinator: api(findCoordinatorRequest, findCoordinatorResponse, onBroker),
  joinGroup: api(joinGroupRequest, joinGroupResponse, onBroker),
  heartbeat: api(heartbeatRequest, heartbeatResponse, onBroker),
  leaveGroup: api(leaveGroupRequest, leaveGroupResponse, onBroker),
  syncGroup: api(syncGroupRequest, syncGroupResponse, onBroker),
  describeGroups: api(describeGroupsRequest, describeGroupsResponse, onBroker),
  listGroups: api(listGroupsRequest, listGroupsResponse, onBroker),
  saslHandshake: api(saslHandshakeRequest, saslHandshakeResponse, onBoth),
  apiVersions: api(apiVersionsRequest, apiVersionsResponse, onBoth),
  createTopics: api(createTopicsRequest, createTopicsResponse, onBoth),
  deleteTopics: api(deleteTopicsRequest, deleteTopicsResponse, onBoth),
  deleteRecords: api(deleteRecordsRequest, deleteRecordsResponse, onBroker),
  initProducerId: api(initProducerIdRequest, initProducerIdResponse, onBroker, { unstable: true }),
  offsetForLeaderEpoch: api(offsetForLeaderEpochRequest, offsetForLeaderEpochResponse, onBroker),
  addPartitionsToTxn: api(addPartitionsToTxnRequest, addPartitionsToTxnResponse, onBroker),
  addOffsetsToTxn: api(addOffsetsToTxnRequest, addOffsetsToTxnResponse, onBroker),
  endTxn: api(endTxnRequest, endTxnResponse, onBroker),
  writeTxnMarkers: api(writeTxnMarkersRequest, writeTxnMarkersResponse, onBroker),
  txnOffsetCommit: api(txnOffsetCommitRequest, txnOffsetCommitResponse, onBroker),
  describeAcls: api(describeAclsRequest, describeAclsResponse, onBoth),
  createAcls: api(createAclsRequest, createAclsResponse, onBoth),
  deleteAcls: api(deleteAclsRequest, deleteAclsResponse, onBoth),
  describeConfigs: api(describeConfigsRequest, describeConfigsResponse, onBoth),
  alterConfigs: api(alterConfigsRequest, alterConfigsResponse, onBoth),
  alterReplicaLogDirs: api(alterReplicaLogDirsRequest, alterReplicaLogDirsResponse, onBroker),
  describeLogDirs: api(describeLogDirsRequest, describeLogDirsResponse, onBroker),
  saslAuthenticate: api(saslAuthenticateRequest, saslAuthenticateResponse, onBoth),
  createPartitions: api(createPartitionsRequest, createPartitionsResponse, onBoth),
  createDelegationToken: api(createDelegationTokenRequest, createDelegationTokenResponse, onBoth),
  renewDelegationToken: api(renewDelegationTokenRequest, renewDelegationTokenResponse, onBoth),
  expireDelegationToken: api(expireDelegationTokenRequest, expireDelegationTokenResponse, onBoth),
  describeDelegationToken: api(
    describeDelegationTokenRequest,
    describeDelegationTokenResponse,
    onBoth,
  ),
  deleteGroups: api(deleteGroupsRequest, deleteGroupsResponse, onBroker),
  electLeaders: api(electLeadersRequest, electLeadersResponse, onBoth),
  incrementalAlterConfigs: api(
    incrementalAlterConfigsRequest,
    incrementalAlterConfigsResponse,
    onBoth,
  ),
  alterPartitionReassignments: api(
    alterPartitionReassignmentsRequest,
    alterPartitionReassignmentsResponse,
    onBoth,
  ),
  listPartitionReassignments: api(
    listPartitionReassignmentsRequest,
    listPartitionReassignmentsResponse,
    onBoth,
  ),
  offsetDelete: api(offsetDeleteRequest, offsetDeleteResponse, onBroker),
  describeClientQuotas: api(describeClientQuotasRequest, describeClientQuotasResponse, onBroker),
  alterClientQuotas: api(alterClientQuotasRequest, alterClientQuotasResponse, onBoth),
  describeUserScramCredentials: api(
    describeUserScramCredentialsRequest,
    describeUserScramCredentialsResponse,
    onBoth,
  ),
  alterUserScramCredentials: api(
    alterUserScramCredentialsRequest,
    alterUserScramCredentialsResponse,
    onBoth,
  ),
  vote: api(voteRequest, voteResponse, onController),
  beginQuorumEpoch: api(beginQuorumEpochRequest, beginQuorumEpochResponse, onController),
  endQuorumEpoch: api(endQuorumEpochRequest, endQuorumEpochResponse, onController),
  describeQuorum: api(describeQuorumRequest, describeQuorumResponse, onBoth),
  alterPartition: api(alterPartitionRequest, alterPartitionResponse, onController),
  updateFeatures: api(updateFeaturesRequest, updateFeaturesResponse, onBoth),
  envelope: api(envelopeRequest, envelopeResponse, onController),
  fetchSnapshot: api(fetchSnapshotRequest, fetchSnapshotResponse, onController),
  describeCluster: api(describeClusterRequest, describeClusterResponse, onBoth),
  describeProducers: api(describeProducersRequest, describeProducersResponse, onBroker),
  brokerRegistration: api(brokerRegistrationRequest, brokerRegistrationResponse, onController),
  brokerHeartbeat: api(brokerHeartbeatRequest, brokerHeartbeatResponse, onController),
  unregisterBroker: api(unregisterBrokerRequest, unregisterBrokerResponse, onBoth),
  describeTransactions: api(describeTransactionsRequest, describeTransactionsResponse, onBroker),
  listTransactions: api(listTransactionsRequest, listTransactionsResponse, onBroker),
  allocateProducerIds: api(allocateProducerIdsRequest, allocateProducerIdsResponse, onController),
  consumerGroupHeartbeat: api(
    consumerGroupHeartbeatRequest,
    consumerGroupHeartbeatResponse,
    onBroker,
  ),
  consumerGroupDescribe: api(consumerGroupDescribeRequest, consumerGroupDescribeResponse, onBroker),
  controllerRegistration: api(
    controllerRegistrationRequest,
    controllerRegistrationResponse,
    onController,
  ),
  getTelemetrySubscriptions: api(
    getTelemetrySubscriptionsRequest,
    getTelemetrySubscriptionsResponse,
    onBroker,
  ),
  pushTelemetry: api(pushTelemetryRequest, pushTelemetryResponse, onBroker),
  assignReplicasToDirs: api(
    assignReplicasToDirsRequest,
    assignReplicasToDirsResponse,
    onController,
  ),
  listConfigResources: api(listConfigResourcesRequest, listConfigResourcesResponse, onBroker),
  describeTopicPartitions: api(
    describeTopicPartitionsRequest,
    describeTopicPartitionsResponse,
    onBroker,
  ),
  shareGroupHeartbeat: api(shareGroupHeartbeatRequest, shareGroupHeartbeatResponse, onBroker),
  shareGroupDescribe: api(shareGroupDescribeRequest, shareGroupDescribeResponse, onBroker),
  shareFetch: api(shareFetchRequest, shareFetchResponse, onBroker),
  shareAcknowledge: api(shareAcknowledgeRequest, shareAcknowledgeResponse, onBroker),
  addRaftVoter: api(addRaftVoterRequest, addRaftVoterResponse, onBoth),
  removeRaftVoter: api(removeRaftVoterRequest, removeRaftVoterResponse, onBoth),
  updateRaftVoter: api(updateRaftVoterRequest, updateRaftVoterResponse, onController),
  initializeShareGroupState: api(
    initializeShareGroupStateRequest,
    initializeShareGroupStateResponse,
    onBroker,
  ),
  readShareGroupState: api(readShareGroupStateRequest, readShareGroupStateResponse, onBroker),
  writeShareGroupState: api(writeShareGroupStateRequest, writeShareGroupStateResponse, onBroker),
  deleteShareGroupState: api(deleteShareGroupStateRequest, deleteShareGroupStateResponse, onBroker),
  readShareGroupStateSummary: api(
    readShareGroupStateSummaryRequest,
    readShareGroupStateSummaryResponse,
    onBroker,
  ),
  streamsGroupHeartbeat: api(streamsGroupHeartbeatRequest, streamsGroupHeartbeatResponse, onBroker),
  streamsGroupDescribe: api(streamsGroupDescribeRequest, streamsGroupDescribeResponse, onBroker),
  describeShareGroupOffsets: api(
    describeShareGroupOffsetsRequest,
    describeShareGroupOffsetsResponse,
    onBroker,
  ),
  alterShareGroupOffsets: api(
    alterShareGroupOffsetsRequest,
    alterShareGroupOffsetsResponse,
    onBroker,
  ),
  deleteShareGroupOffsets: api(
    deleteShareGroupOffsetsRequest,
    deleteShareGroupOffsetsResponse,
    onBroker,
  ),
  streamsGroupTopologyDescriptionUpdate: api(
    streamsGroupTopologyDescriptionUpdateRequest,
    streamsGroupTopologyDescriptionUpdateResponse,
    onBroker,
  ),
  unregisterController: api(unregisterControllerRequest, unregisterControllerResponse, onBoth),
}

const rowsByKey: (ApiRow | undefined)[] = []
for (const row of Object.values(apis)) rowsByKey[row.key] = row

/** The row of an API, or undefined for a key that no API has. */
export function apiByKey(key: number): ApiRow | undefined {
  return rowsByKey[key]
}
