/**
 * What a group coordinator stores in __consumer_offsets about consumer groups (KIP-848): group,
 * members, and the target and current assignment of each.
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
  bytes,
  int8,
  int32,
  int64,
  int64Exact,
  message,
  nullable,
  nullableSince,
  string,
  struct,
  tagged,
  uuid,
  withDefault,
} from '../schema.ts'

/** Names a consumer group. */
export const consumerGroupMetadataKey = message(
  3,
  'ConsumerGroupMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type ConsumerGroupMetadataKey = MessageOf<typeof consumerGroupMetadataKey>

/** A consumer group's epoch and a hash of the metadata of its topics. */
export const consumerGroupMetadataValue = message(
  3,
  'ConsumerGroupMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    epoch: int32,
    metadataHash: tagged(0, int64Exact),
  },
)
export type ConsumerGroupMetadataValue = MessageOf<typeof consumerGroupMetadataValue>

/** Names a consumer group. Written by Kafka up to 4.0 only. */
export const consumerGroupPartitionMetadataKey = message(
  4,
  'ConsumerGroupPartitionMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type ConsumerGroupPartitionMetadataKey = MessageOf<typeof consumerGroupPartitionMetadataKey>

/** What a group's topics looked like. Kafka 4.1 and later keep a hash instead. */
export const consumerGroupPartitionMetadataValue = message(
  4,
  'ConsumerGroupPartitionMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    topics: array({
      topicId: uuid,
      topicName: string,
      numPartitions: int32,
      partitionMetadata: array({ partition: int32, racks: array(string) }),
    }),
  },
)
export type ConsumerGroupPartitionMetadataValue = MessageOf<
  typeof consumerGroupPartitionMetadataValue
>

/** Names a member of a consumer group. */
export const consumerGroupMemberMetadataKey = message(
  5,
  'ConsumerGroupMemberMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type ConsumerGroupMemberMetadataKey = MessageOf<typeof consumerGroupMemberMetadataKey>

const classicMemberMetadata = {
  sessionTimeoutMs: int32,
  supportedProtocols: array({ name: string, metadata: bytes }),
}

/** What a member of a consumer group said about itself. */
export const consumerGroupMemberMetadataValue = message(
  5,
  'ConsumerGroupMemberMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    instanceId: nullable(string),
    rackId: nullable(string),
    clientId: string,
    clientHost: string,
    subscribedTopicNames: array(string),
    subscribedTopicRegex: nullable(string),
    rebalanceTimeoutMs: withDefault(-1, int32),
    serverAssignor: nullable(string),
    // Null in a member of the new protocol, and written so; left out it is empty.
    classicMemberMetadata: tagged(0, nullableSince(0, struct(classicMemberMetadata))),
  },
)
export type ConsumerGroupMemberMetadataValue = MessageOf<typeof consumerGroupMemberMetadataValue>

/** Names the consumer group of a target assignment. */
export const consumerGroupTargetAssignmentMetadataKey = message(
  6,
  'ConsumerGroupTargetAssignmentMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type ConsumerGroupTargetAssignmentMetadataKey = MessageOf<
  typeof consumerGroupTargetAssignmentMetadataKey
>

/** The epoch of a consumer group's target assignment. */
export const consumerGroupTargetAssignmentMetadataValue = message(
  6,
  'ConsumerGroupTargetAssignmentMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    assignmentEpoch: int32,
    assignmentTimestamp: tagged(0, int64),
  },
)
export type ConsumerGroupTargetAssignmentMetadataValue = MessageOf<
  typeof consumerGroupTargetAssignmentMetadataValue
>

/** Names a member of a consumer group. */
export const consumerGroupTargetAssignmentMemberKey = message(
  7,
  'ConsumerGroupTargetAssignmentMemberKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type ConsumerGroupTargetAssignmentMemberKey = MessageOf<
  typeof consumerGroupTargetAssignmentMemberKey
>

/** The partitions that a member shall own. */
export const consumerGroupTargetAssignmentMemberValue = message(
  7,
  'ConsumerGroupTargetAssignmentMemberValue',
  { valid: '0', flexible: '0+' },
  {
    topicPartitions: array({ topicId: uuid, partitions: array(int32) }),
  },
)
export type ConsumerGroupTargetAssignmentMemberValue = MessageOf<
  typeof consumerGroupTargetAssignmentMemberValue
>

/** Names a member of a consumer group. */
export const consumerGroupCurrentMemberAssignmentKey = message(
  8,
  'ConsumerGroupCurrentMemberAssignmentKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type ConsumerGroupCurrentMemberAssignmentKey = MessageOf<
  typeof consumerGroupCurrentMemberAssignmentKey
>

const topicPartitions = {
  topicId: uuid,
  partitions: array(int32),
  assignmentEpochs: tagged(0, withDefault([], nullable(array(int32)))),
}

/** The partitions that a member owns, or still has to give up. */
export const consumerGroupCurrentMemberAssignmentValue = message(
  8,
  'ConsumerGroupCurrentMemberAssignmentValue',
  { valid: '0', flexible: '0+' },
  {
    memberEpoch: int32,
    previousMemberEpoch: int32,
    state: int8,
    assignedPartitions: array(topicPartitions),
    partitionsPendingRevocation: array(topicPartitions),
  },
)
export type ConsumerGroupCurrentMemberAssignmentValue = MessageOf<
  typeof consumerGroupCurrentMemberAssignmentValue
>

/** Names a regular expression to which members are subscribed. */
export const consumerGroupRegularExpressionKey = message(
  16,
  'ConsumerGroupRegularExpressionKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    regularExpression: string,
  },
)
export type ConsumerGroupRegularExpressionKey = MessageOf<typeof consumerGroupRegularExpressionKey>

/** The topics that a regular expression stood for, and when it was resolved. */
export const consumerGroupRegularExpressionValue = message(
  16,
  'ConsumerGroupRegularExpressionValue',
  { valid: '0', flexible: '0+' },
  {
    topics: array(string),
    version: int64,
    timestamp: int64,
  },
)
export type ConsumerGroupRegularExpressionValue = MessageOf<
  typeof consumerGroupRegularExpressionValue
>

/** These records by name: the key's table, and the value's. */
export const consumerGroupRecords = {
  ConsumerGroupMetadata: { key: consumerGroupMetadataKey, value: consumerGroupMetadataValue },
  ConsumerGroupPartitionMetadata: {
    key: consumerGroupPartitionMetadataKey,
    value: consumerGroupPartitionMetadataValue,
  },
  ConsumerGroupMemberMetadata: {
    key: consumerGroupMemberMetadataKey,
    value: consumerGroupMemberMetadataValue,
  },
  ConsumerGroupTargetAssignmentMetadata: {
    key: consumerGroupTargetAssignmentMetadataKey,
    value: consumerGroupTargetAssignmentMetadataValue,
  },
  ConsumerGroupTargetAssignmentMember: {
    key: consumerGroupTargetAssignmentMemberKey,
    value: consumerGroupTargetAssignmentMemberValue,
  },
  ConsumerGroupCurrentMemberAssignment: {
    key: consumerGroupCurrentMemberAssignmentKey,
    value: consumerGroupCurrentMemberAssignmentValue,
  },
  ConsumerGroupRegularExpression: {
    key: consumerGroupRegularExpressionKey,
    value: consumerGroupRegularExpressionValue,
  },
}
