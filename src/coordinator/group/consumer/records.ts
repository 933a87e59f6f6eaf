/** The records of consumer groups, made of what they are to say. */
import type { Milliseconds } from '../../../environment/environment.ts'
import { type Assignment, ownedTopicPartitionsOf, topicPartitionsOf } from '../modern/assignment.ts'
import { groupTombstonesOf, memberTombstonesOf, targetEpochRecordOf } from '../modern/records.ts'
import type { ConsumerGroupRecord } from '../records.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { ConsumerMember } from './member.ts'
import type { ResolvedRegex } from './regexes.ts'

export function groupRecord(
  groupId: string,
  epoch: number,
  metadataHash: bigint,
): ConsumerGroupRecord {
  return { kind: 'ConsumerGroupMetadata', key: { groupId }, value: { epoch, metadataHash } }
}

export function memberRecord(groupId: string, member: ConsumerMember): ConsumerGroupRecord {
  return {
    kind: 'ConsumerGroupMemberMetadata',
    key: { groupId, memberId: member.memberId },
    value: {
      instanceId: member.instanceId,
      rackId: member.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: member.subscribedTopicNames,
      subscribedTopicRegex: member.subscribedTopicRegex,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      serverAssignor: member.serverAssignor,
      classicMemberMetadata: member.classic,
    },
  }
}

export function targetRecord(
  groupId: string,
  memberId: string,
  assignment: Assignment,
): ConsumerGroupRecord {
  return {
    kind: 'ConsumerGroupTargetAssignmentMember',
    key: { groupId, memberId },
    value: { topicPartitions: topicPartitionsOf(assignment) },
  }
}

export const targetEpochRecord = (
  groupId: string,
  assignmentEpoch: number,
  assignmentTimestamp: Milliseconds,
): ConsumerGroupRecord =>
  targetEpochRecordOf('ConsumerGroup', groupId, assignmentEpoch, assignmentTimestamp)

export function currentRecord(groupId: string, member: ConsumerMember): ConsumerGroupRecord {
  return {
    kind: 'ConsumerGroupCurrentMemberAssignment',
    key: { groupId, memberId: member.memberId },
    value: {
      memberEpoch: member.memberEpoch,
      previousMemberEpoch: member.previousMemberEpoch,
      state: member.state,
      assignedPartitions: ownedTopicPartitionsOf(member.assigned),
      partitionsPendingRevocation: ownedTopicPartitionsOf(member.pendingRevocation),
    },
  }
}

export function regexRecord(
  groupId: string,
  regularExpression: string,
  { topics, version, resolvedAtMs }: ResolvedRegex,
): ConsumerGroupRecord {
  return {
    kind: 'ConsumerGroupRegularExpression',
    key: { groupId, regularExpression },
    value: { topics: [...topics].sort(), version, timestamp: resolvedAtMs },
  }
}

export function regexTombstone(groupId: string, regularExpression: string): ConsumerGroupRecord {
  const kind = 'ConsumerGroupRegularExpression'
  return { kind, key: { groupId, regularExpression }, value: null }
}

/** Of before Kafka 4.1, when a group recorded what its topics looked like. */
export function partitionMetadataTombstone(groupId: string): ConsumerGroupRecord {
  return { kind: 'ConsumerGroupPartitionMetadata', key: { groupId }, value: null }
}

export const memberTombstones = (groupId: string, memberId: string): ConsumerGroupRecord[] =>
  memberTombstonesOf('ConsumerGroup', groupId, memberId)

export function groupTombstones(
  { groupId, regexes }: ConsumerGroup,
  memberIds: Iterable<string>,
): ConsumerGroupRecord[] {
  return groupTombstonesOf('ConsumerGroup', groupId, memberIds, [
    ...[...regexes.keys()].map((regex) => regexTombstone(groupId, regex)),
    partitionMetadataTombstone(groupId),
  ])
}
