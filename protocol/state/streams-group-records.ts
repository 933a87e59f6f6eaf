/**
 * What a group coordinator stores in __consumer_offsets about streams groups (KIP-1071).
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  int64,
  int64Exact,
  message,
  nullable,
  string,
  struct,
  tagged,
  uint16,
  withDefault,
} from '../schema.ts'

/** Names a streams group. */
export const streamsGroupMetadataKey = message(
  17,
  'StreamsGroupMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type StreamsGroupMetadataKey = MessageOf<typeof streamsGroupMetadataKey>

const lastAssignmentConfig = { key: string, value: string }

/** A streams group's epoch, a hash of the metadata of its topics and the topology checked last. */
export const streamsGroupMetadataValue = message(
  17,
  'StreamsGroupMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    epoch: int32,
    metadataHash: int64Exact,
    validatedTopologyEpoch: tagged(0, withDefault(-1, int32)),
    lastAssignmentConfigs: tagged(1, withDefault([], nullable(array(lastAssignmentConfig)))),
  },
)
export type StreamsGroupMetadataValue = MessageOf<typeof streamsGroupMetadataValue>

/** Names a member of a streams group. */
export const streamsGroupMemberMetadataKey = message(
  19,
  'StreamsGroupMemberMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type StreamsGroupMemberMetadataKey = MessageOf<typeof streamsGroupMemberMetadataKey>

/** What a member of a streams group said about itself. */
export const streamsGroupMemberMetadataValue = message(
  19,
  'StreamsGroupMemberMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    instanceId: nullable(string),
    rackId: nullable(string),
    clientId: string,
    clientHost: string,
    rebalanceTimeoutMs: withDefault(-1, int32),
    topologyEpoch: int32,
    processId: string,
    userEndpoint: nullable(struct({ host: string, port: uint16 })),
    clientTags: array({ key: string, value: string }),
  },
)
export type StreamsGroupMemberMetadataValue = MessageOf<typeof streamsGroupMemberMetadataValue>

/** Names the streams group of a target assignment. */
export const streamsGroupTargetAssignmentMetadataKey = message(
  20,
  'StreamsGroupTargetAssignmentMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type StreamsGroupTargetAssignmentMetadataKey = MessageOf<
  typeof streamsGroupTargetAssignmentMetadataKey
>

/** The epoch of a streams group's target assignment. */
export const streamsGroupTargetAssignmentMetadataValue = message(
  20,
  'StreamsGroupTargetAssignmentMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    assignmentEpoch: int32,
    assignmentTimestamp: tagged(0, int64),
  },
)
export type StreamsGroupTargetAssignmentMetadataValue = MessageOf<
  typeof streamsGroupTargetAssignmentMetadataValue
>

/** Names a member of a streams group. */
export const streamsGroupTargetAssignmentMemberKey = message(
  21,
  'StreamsGroupTargetAssignmentMemberKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type StreamsGroupTargetAssignmentMemberKey = MessageOf<
  typeof streamsGroupTargetAssignmentMemberKey
>

const taskIds = { subtopologyId: string, partitions: array(int32) }

/** The tasks that a member shall run. */
export const streamsGroupTargetAssignmentMemberValue = message(
  21,
  'StreamsGroupTargetAssignmentMemberValue',
  { valid: '0', flexible: '0+' },
  {
    activeTasks: array(taskIds),
    standbyTasks: array(taskIds),
    warmupTasks: array(taskIds),
  },
)
export type StreamsGroupTargetAssignmentMemberValue = MessageOf<
  typeof streamsGroupTargetAssignmentMemberValue
>

/** Names a member of a streams group. */
export const streamsGroupCurrentMemberAssignmentKey = message(
  22,
  'StreamsGroupCurrentMemberAssignmentKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type StreamsGroupCurrentMemberAssignmentKey = MessageOf<
  typeof streamsGroupCurrentMemberAssignmentKey
>

const streamsGroupCurrentMemberAssignmentValueTaskIds = {
  subtopologyId: string,
  partitions: array(int32),
  assignmentEpochs: tagged(0, withDefault([], nullable(array(int32)))),
}

/** The tasks that a member runs, or still has to give up. */
export const streamsGroupCurrentMemberAssignmentValue = message(
  22,
  'StreamsGroupCurrentMemberAssignmentValue',
  { valid: '0', flexible: '0+' },
  {
    memberEpoch: int32,
    previousMemberEpoch: int32,
    state: int8,
    activeTasks: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    standbyTasks: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    warmupTasks: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    activeTasksPendingRevocation: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    standbyTasksPendingRevocation: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    warmupTasksPendingRevocation: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
  },
)
export type StreamsGroupCurrentMemberAssignmentValue = MessageOf<
  typeof streamsGroupCurrentMemberAssignmentValue
>

/** Names the streams group of a topology. */
export const streamsGroupTopologyKey = message(
  23,
  'StreamsGroupTopologyKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type StreamsGroupTopologyKey = MessageOf<typeof streamsGroupTopologyKey>

const topicInfo = {
  name: string,
  partitions: int32,
  replicationFactor: int16,
  topicConfigs: array(lastAssignmentConfig),
}

/** The subtopologies of a streams group with the topics that they need. */
export const streamsGroupTopologyValue = message(
  23,
  'StreamsGroupTopologyValue',
  { valid: '0', flexible: '0+' },
  {
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
  },
)
export type StreamsGroupTopologyValue = MessageOf<typeof streamsGroupTopologyValue>

/** These records by name: the key's table, and the value's. */
export const streamsGroupRecords = {
  StreamsGroupMetadata: { key: streamsGroupMetadataKey, value: streamsGroupMetadataValue },
  StreamsGroupMemberMetadata: {
    key: streamsGroupMemberMetadataKey,
    value: streamsGroupMemberMetadataValue,
  },
  StreamsGroupTargetAssignmentMetadata: {
    key: streamsGroupTargetAssignmentMetadataKey,
    value: streamsGroupTargetAssignmentMetadataValue,
  },
  StreamsGroupTargetAssignmentMember: {
    key: streamsGroupTargetAssignmentMemberKey,
    value: streamsGroupTargetAssignmentMemberValue,
  },
  StreamsGroupCurrentMemberAssignment: {
    key: streamsGroupCurrentMemberAssignmentKey,
    value: streamsGroupCurrentMemberAssignmentValue,
  },
  StreamsGroupTopology: { key: streamsGroupTopologyKey, value: streamsGroupTopologyValue },
}
