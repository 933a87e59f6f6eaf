/**
 * Tells an administrator the state, topology, members and tasks of streams groups (KIP-1071).
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
  withDefault,
} from '../schema.ts'

export const streamsGroupDescribeRequest = message(
  89,
  'StreamsGroupDescribeRequest',
  { valid: '0-1', flexible: '0+' },
  {
    groupIds: array(string),
    includeAuthorizedOperations: bool,
    includeTopologyDescription: since(1, bool),
  },
)
export type StreamsGroupDescribeRequest = MessageOf<typeof streamsGroupDescribeRequest>

const keyValue = { key: string, value: string }

const topicInfo = {
  name: string,
  partitions: int32,
  replicationFactor: int16,
  topicConfigs: array(keyValue),
}

const subtopology = {
  subtopologyId: string,
  sourceTopics: array(string),
  repartitionSinkTopics: array(string),
  stateChangelogTopics: array(topicInfo),
  repartitionSourceTopics: array(topicInfo),
}

const topology = { epoch: int32, subtopologies: nullable(array(subtopology)) }

const taskOffset = { subtopologyId: string, partition: int32, offset: int64 }

const taskIds = { subtopologyId: string, partitions: array(int32) }

const assignment = {
  activeTasks: array(taskIds),
  standbyTasks: array(taskIds),
  warmupTasks: array(taskIds),
}

const topologyDescriptionNode = {
  name: string,
  nodeType: int8,
  sourceTopics: array(string),
  sinkTopic: nullable(string),
  stores: array(string),
  successors: array(string),
}

const topologyDescription = {
  subtopologies: array({ subtopologyId: string, nodes: array(topologyDescriptionNode) }),
  globalStores: array({
    source: struct(topologyDescriptionNode),
    processor: struct(topologyDescriptionNode),
  }),
}

export const streamsGroupDescribeResponse = message(
  89,
  'StreamsGroupDescribeResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    groups: array({
      errorCode: int16,
      errorMessage: nullable(string),
      groupId: string,
      groupState: string,
      groupEpoch: int32,
      assignmentEpoch: int32,
      topology: nullable(struct(topology)),
      members: array({
        memberId: string,
        memberEpoch: int32,
        instanceId: nullable(string),
        rackId: nullable(string),
        clientId: string,
        clientHost: string,
        topologyEpoch: int32,
        processId: string,
        userEndpoint: nullable(struct({ host: string, port: uint16 })),
        clientTags: array(keyValue),
        taskOffsets: array(taskOffset),
        taskEndOffsets: array(taskOffset),
        assignment: struct(assignment),
        targetAssignment: struct(assignment),
        isClassic: bool,
      }),
      authorizedOperations: withDefault(-0x8000_0000, int32),
      topologyDescription: since(1, nullable(struct(topologyDescription))),
      topologyDescriptionStatus: since(1, int8),
      assignorName: since(1, nullable(string)),
    }),
  },
)
export type StreamsGroupDescribeResponse = InputOf<typeof streamsGroupDescribeResponse>
