/**
 * The one request of a member of a streams group: brings the topology, says which tasks it owns;
 * the answer says which to own (KIP-1071).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  struct,
  uint16,
  until,
  withDefault,
} from '../schema.ts'

const keyValue = { key: string, value: string }

const topicInfo = {
  name: string,
  partitions: int32,
  replicationFactor: int16,
  topicConfigs: array(keyValue),
}

const topology = {
  epoch: int32,
  subtopologies: array({
    subtopologyId: string,
    sourceTopics: array(string),
    sourceTopicRegex: array(string),
    stateChangelogTopics: array(topicInfo),
    repartitionSinkTopics: array(string),
    repartitionSourceTopics: array(topicInfo),
    copartitionGroups: array({
      sourceTopics: array(int16),
      sourceTopicRegex: array(int16),
      repartitionSourceTopics: array(int16),
    }),
  }),
}

const taskIds = { subtopologyId: string, partitions: array(int32) }

const endpoint = { host: string, port: uint16 }

const taskOffset = { subtopologyId: string, partition: int32, offset: int64 }

export const streamsGroupHeartbeatRequest = message(
  88,
  'StreamsGroupHeartbeatRequest',
  { valid: '0-1', flexible: '0+' },
  {
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    endpointInformationEpoch: int32,
    instanceId: nullable(string),
    rackId: nullable(string),
    rebalanceTimeoutMs: withDefault(-1, int32),
    topology: nullable(struct(topology)),
    activeTasks: nullable(array(taskIds)),
    standbyTasks: nullable(array(taskIds)),
    warmupTasks: nullable(array(taskIds)),
    processId: nullable(string),
    userEndpoint: nullable(struct(endpoint)),
    clientTags: nullable(array(keyValue)),
    taskOffsets: nullable(array(taskOffset)),
    taskEndOffsets: nullable(array(taskOffset)),
    shutdownApplication: withDefault(false, bool),
  },
)
export type StreamsGroupHeartbeatRequest = MessageOf<typeof streamsGroupHeartbeatRequest>

const topicPartition = { topic: string, partitions: array(int32) }

const endpointToPartitions = {
  userEndpoint: struct(endpoint),
  activePartitions: array(topicPartition),
  standbyPartitions: array(topicPartition),
}

export const streamsGroupHeartbeatResponse = message(
  88,
  'StreamsGroupHeartbeatResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    memberId: string,
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    acceptableRecoveryLagLegacy: until(0, int32),
    taskOffsetIntervalMs: int32,
    acceptableRecoveryLag: since(1, withDefault(-1, int64)),
    status: nullable(array({ statusCode: int8, statusDetail: string })),
    activeTasks: nullable(array(taskIds)),
    standbyTasks: nullable(array(taskIds)),
    warmupTasks: nullable(array(taskIds)),
    topologyDescriptionRequired: since(1, bool),
    endpointInformationEpoch: int32,
    partitionsByUserEndpoint: nullable(array(endpointToPartitions)),
  },
)
export type StreamsGroupHeartbeatResponse = InputOf<typeof streamsGroupHeartbeatResponse>
