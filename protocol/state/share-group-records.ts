/**
 * What a group coordinator stores in __consumer_offsets about share groups (KIP-932).
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int32,
  int64,
  int64Exact,
  message,
  nullable,
  string,
  tagged,
  uuid,
} from '../schema.ts'

/** Names a member of a share group. */
export const shareGroupMemberMetadataKey = message(
  10,
  'ShareGroupMemberMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type ShareGroupMemberMetadataKey = MessageOf<typeof shareGroupMemberMetadataKey>

/** What a member of a share group said about itself. */
export const shareGroupMemberMetadataValue = message(
  10,
  'ShareGroupMemberMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    rackId: nullable(string),
    clientId: string,
    clientHost: string,
    subscribedTopicNames: array(string),
  },
)
export type ShareGroupMemberMetadataValue = MessageOf<typeof shareGroupMemberMetadataValue>

/** Names a share group. */
export const shareGroupMetadataKey = message(
  11,
  'ShareGroupMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type ShareGroupMetadataKey = MessageOf<typeof shareGroupMetadataKey>

/** A share group's epoch and a hash of the metadata of its topics. */
export const shareGroupMetadataValue = message(
  11,
  'ShareGroupMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    epoch: int32,
    metadataHash: int64Exact,
  },
)
export type ShareGroupMetadataValue = MessageOf<typeof shareGroupMetadataValue>

/** Names the share group of a target assignment. */
export const shareGroupTargetAssignmentMetadataKey = message(
  12,
  'ShareGroupTargetAssignmentMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type ShareGroupTargetAssignmentMetadataKey = MessageOf<
  typeof shareGroupTargetAssignmentMetadataKey
>

/** The epoch of a share group's target assignment. */
export const shareGroupTargetAssignmentMetadataValue = message(
  12,
  'ShareGroupTargetAssignmentMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    assignmentEpoch: int32,
    assignmentTimestamp: tagged(0, int64),
  },
)
export type ShareGroupTargetAssignmentMetadataValue = MessageOf<
  typeof shareGroupTargetAssignmentMetadataValue
>

/** Names a member of a share group. */
export const shareGroupTargetAssignmentMemberKey = message(
  13,
  'ShareGroupTargetAssignmentMemberKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type ShareGroupTargetAssignmentMemberKey = MessageOf<
  typeof shareGroupTargetAssignmentMemberKey
>

/** The partitions that a member shall read. */
export const shareGroupTargetAssignmentMemberValue = message(
  13,
  'ShareGroupTargetAssignmentMemberValue',
  { valid: '0', flexible: '0+' },
  {
    topicPartitions: array({ topicId: uuid, partitions: array(int32) }),
  },
)
export type ShareGroupTargetAssignmentMemberValue = MessageOf<
  typeof shareGroupTargetAssignmentMemberValue
>

/** Names a member of a share group. */
export const shareGroupCurrentMemberAssignmentKey = message(
  14,
  'ShareGroupCurrentMemberAssignmentKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    memberId: string,
  },
)
export type ShareGroupCurrentMemberAssignmentKey = MessageOf<
  typeof shareGroupCurrentMemberAssignmentKey
>

/** The partitions that a member reads. */
export const shareGroupCurrentMemberAssignmentValue = message(
  14,
  'ShareGroupCurrentMemberAssignmentValue',
  { valid: '0', flexible: '0+' },
  {
    memberEpoch: int32,
    previousMemberEpoch: int32,
    state: int8,
    assignedPartitions: array({ topicId: uuid, partitions: array(int32) }),
  },
)
export type ShareGroupCurrentMemberAssignmentValue = MessageOf<
  typeof shareGroupCurrentMemberAssignmentValue
>

/** Names a share group. */
export const shareGroupStatePartitionMetadataKey = message(
  15,
  'ShareGroupStatePartitionMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
  },
)
export type ShareGroupStatePartitionMetadataKey = MessageOf<
  typeof shareGroupStatePartitionMetadataKey
>

const topicPartitionsInfo = { topicId: uuid, topicName: string, partitions: array(int32) }

/** The topics whose state is being set up, is set up, or is being deleted. */
export const shareGroupStatePartitionMetadataValue = message(
  15,
  'ShareGroupStatePartitionMetadataValue',
  { valid: '0', flexible: '0+' },
  {
    initializingTopics: array(topicPartitionsInfo),
    initializedTopics: array(topicPartitionsInfo),
    deletingTopics: array({ topicId: uuid, topicName: string }),
  },
)
export type ShareGroupStatePartitionMetadataValue = MessageOf<
  typeof shareGroupStatePartitionMetadataValue
>

/** These records by name: the key's table, and the value's. */
export const shareGroupRecords = {
  ShareGroupMemberMetadata: {
    key: shareGroupMemberMetadataKey,
    value: shareGroupMemberMetadataValue,
  },
  ShareGroupMetadata: { key: shareGroupMetadataKey, value: shareGroupMetadataValue },
  ShareGroupTargetAssignmentMetadata: {
    key: shareGroupTargetAssignmentMetadataKey,
    value: shareGroupTargetAssignmentMetadataValue,
  },
  ShareGroupTargetAssignmentMember: {
    key: shareGroupTargetAssignmentMemberKey,
    value: shareGroupTargetAssignmentMemberValue,
  },
  ShareGroupCurrentMemberAssignment: {
    key: shareGroupCurrentMemberAssignmentKey,
    value: shareGroupCurrentMemberAssignmentValue,
  },
  ShareGroupStatePartitionMetadata: {
    key: shareGroupStatePartitionMetadataKey,
    value: shareGroupStatePartitionMetadataValue,
  },
}
