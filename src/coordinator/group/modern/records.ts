/** Records that groups of all newer protocols have, each under names of its own. */
import type { Milliseconds } from '../../../environment/environment.ts'

/** With what the names of a protocol's records begin. */
type Prefix = 'ConsumerGroup' | 'ShareGroup' | 'StreamsGroup'

/** For which epoch of the group the target was computed, and when. */
export const targetEpochRecordOf = <P extends Prefix>(
  prefix: P,
  groupId: string,
  assignmentEpoch: number,
  assignmentTimestamp: Milliseconds,
) => ({
  kind: `${prefix}TargetAssignmentMetadata` as const,
  key: { groupId },
  value: { assignmentEpoch, assignmentTimestamp },
})

/** The member is gone, and all that was recorded of it. */
export function memberTombstonesOf<P extends Prefix>(prefix: P, groupId: string, memberId: string) {
  const gone = { key: { groupId, memberId }, value: null }
  return [
    { kind: `${prefix}CurrentMemberAssignment` as const, ...gone },
    { kind: `${prefix}TargetAssignmentMember` as const, ...gone },
    { kind: `${prefix}MemberMetadata` as const, ...gone },
  ]
}

/** The group is gone with these members, and `rest` of it; its own record comes last. */
export function groupTombstonesOf<P extends Prefix, R>(
  prefix: P,
  groupId: string,
  memberIds: Iterable<string>,
  rest: readonly R[],
) {
  const gone = { key: { groupId }, value: null }
  return [
    ...[...memberIds].flatMap((memberId) => memberTombstonesOf(prefix, groupId, memberId)),
    { kind: `${prefix}TargetAssignmentMetadata` as const, ...gone },
    ...rest,
    { kind: `${prefix}Metadata` as const, ...gone },
  ]
}
