/** The records of share groups, made of what they are to say. */
import type { Milliseconds } from '../../../environment/environment.ts'
import { type Assignment, topicPartitionsOf } from '../modern/assignment.ts'
import { memberState } from '../modern/reconciliation.ts'
import { groupTombstonesOf, memberTombstonesOf, targetEpochRecordOf } from '../modern/records.ts'
import type { ShareGroupRecord } from '../records.ts'
import type { ShareMember } from './member.ts'
import { type StateTopics, stateTopicsValue } from './state-topics.ts'

export function groupRecord(
  groupId: string,
  epoch: number,
  metadataHash: bigint,
): ShareGroupRecord {
  return { kind: 'ShareGroupMetadata', key: { groupId }, value: { epoch, metadataHash } }
}

export function memberRecord(groupId: string, member: ShareMember): ShareGroupRecord {
  const { memberId, rackId, clientId, clientHost, subscribedTopicNames } = member
  const value = { rackId, clientId, clientHost, subscribedTopicNames }
  return { kind: 'ShareGroupMemberMetadata', key: { groupId, memberId }, value }
}

export function targetRecord(
  groupId: string,
  memberId: string,
  assignment: Assignment,
): ShareGroupRecord {
  const value = { topicPartitions: topicPartitionsOf(assignment) }
  return { kind: 'ShareGroupTargetAssignmentMember', key: { groupId, memberId }, value }
}

export const targetEpochRecord = (
  groupId: string,
  assignmentEpoch: number,
  assignmentTimestamp: Milliseconds,
): ShareGroupRecord =>
  targetEpochRecordOf('ShareGroup', groupId, assignmentEpoch, assignmentTimestamp)

export function currentRecord(groupId: string, member: ShareMember): ShareGroupRecord {
  const { memberId, memberEpoch, previousMemberEpoch, assigned } = member
  return {
    kind: 'ShareGroupCurrentMemberAssignment',
    key: { groupId, memberId },
    value: {
      memberEpoch,
      previousMemberEpoch,
      // Nothing is to be given up before others get it, so there are no steps on the way.
      state: memberState.stable,
      assignedPartitions: topicPartitionsOf(assigned),
    },
  }
}

export function stateTopicsRecord(groupId: string, topics: StateTopics): ShareGroupRecord {
  const value = stateTopicsValue(topics)
  return { kind: 'ShareGroupStatePartitionMetadata', key: { groupId }, value }
}

export const memberTombstones = (groupId: string, memberId: string): ShareGroupRecord[] =>
  memberTombstonesOf('ShareGroup', groupId, memberId)

export function groupTombstones(groupId: string, memberIds: Iterable<string>): ShareGroupRecord[] {
  const rest: ShareGroupRecord = {
    kind: 'ShareGroupStatePartitionMetadata',
    key: { groupId },
    value: null,
  }
  return groupTombstonesOf('ShareGroup', groupId, memberIds, [rest])
}
