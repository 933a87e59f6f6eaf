/** The records of streams groups, made of what they are to say. */
import type { StreamsGroupTopologyValue } from '../../../../protocol/state/streams-group-records.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import { groupTombstonesOf, memberTombstonesOf, targetEpochRecordOf } from '../modern/records.ts'
import type { StreamsGroupRecord } from '../records.ts'
import type { StreamsMember } from './member.ts'
import { byKind, ownedTaskIdsOf, type TaskKind, type Tasks, taskIdsOf } from './tasks.ts'

/** What is recorded with a group's epoch. */
export interface GroupEpoch {
  readonly epoch: number
  readonly metadataHash: bigint
  /** The epoch of the topology if the topics fit it, else -1. */
  readonly validatedTopologyEpoch: number
  /** The settings with which tasks are assigned, by name. */
  readonly assignmentConfigs: ReadonlyMap<string, string>
}

export function groupRecord(groupId: string, group: GroupEpoch): StreamsGroupRecord {
  const { epoch, metadataHash, validatedTopologyEpoch, assignmentConfigs } = group
  const lastAssignmentConfigs = [...assignmentConfigs].map(([key, value]) => ({ key, value }))
  return {
    kind: 'StreamsGroupMetadata',
    key: { groupId },
    value: { epoch, metadataHash, validatedTopologyEpoch, lastAssignmentConfigs },
  }
}

export function topologyRecord(
  groupId: string,
  value: StreamsGroupTopologyValue,
): StreamsGroupRecord {
  return { kind: 'StreamsGroupTopology', key: { groupId }, value }
}

export function memberRecord(groupId: string, member: StreamsMember): StreamsGroupRecord {
  return {
    kind: 'StreamsGroupMemberMetadata',
    key: { groupId, memberId: member.memberId },
    value: {
      instanceId: member.instanceId,
      rackId: member.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      topologyEpoch: member.topologyEpoch,
      processId: member.processId,
      userEndpoint: member.userEndpoint,
      clientTags: member.clientTags,
    },
  }
}

export function targetRecord(groupId: string, memberId: string, target: Tasks): StreamsGroupRecord {
  const { active, standby, warmup } = byKind((kind) => taskIdsOf(target[kind]))
  return {
    kind: 'StreamsGroupTargetAssignmentMember',
    key: { groupId, memberId },
    value: { activeTasks: active, standbyTasks: standby, warmupTasks: warmup },
  }
}

export const targetEpochRecord = (
  groupId: string,
  assignmentEpoch: number,
  assignmentTimestamp: Milliseconds,
): StreamsGroupRecord =>
  targetEpochRecordOf('StreamsGroup', groupId, assignmentEpoch, assignmentTimestamp)

export function currentRecord(groupId: string, member: StreamsMember): StreamsGroupRecord {
  const has = byKind((kind: TaskKind) => ownedTaskIdsOf(kind, member.assigned[kind]))
  const gives = byKind((kind: TaskKind) => ownedTaskIdsOf(kind, member.pendingRevocation[kind]))
  return {
    kind: 'StreamsGroupCurrentMemberAssignment',
    key: { groupId, memberId: member.memberId },
    value: {
      memberEpoch: member.memberEpoch,
      previousMemberEpoch: member.previousMemberEpoch,
      state: member.state,
      activeTasks: has.active,
      standbyTasks: has.standby,
      warmupTasks: has.warmup,
      activeTasksPendingRevocation: gives.active,
      standbyTasksPendingRevocation: gives.standby,
      warmupTasksPendingRevocation: gives.warmup,
    },
  }
}

export const memberTombstones = (groupId: string, memberId: string): StreamsGroupRecord[] =>
  memberTombstonesOf('StreamsGroup', groupId, memberId)

export function groupTombstones(
  groupId: string,
  memberIds: Iterable<string>,
): StreamsGroupRecord[] {
  const rest: StreamsGroupRecord = { kind: 'StreamsGroupTopology', key: { groupId }, value: null }
  return groupTombstonesOf('StreamsGroup', groupId, memberIds, [rest])
}
