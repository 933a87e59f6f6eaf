/**
 * How members go: of their own will, or because they did not show up or did not give up their tasks in
 * time. Each time the group's epoch grows, and the next heartbeat of another member makes a new target.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { Decision } from '../../shard.ts'
import { type GroupContext, nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import { groupRecord, memberTombstones } from './records.ts'
import type { StreamsGroup } from './streams-group.ts'

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
export function streamsGroupOf(context: GroupContext, groupId: string): StreamsGroup {
  const group = context.group(groupId)
  if (group?.type === 'streams') return group
  const what = group === null ? 'not found' : 'is not a streams group'
  throw new KafkaError(errors.GROUP_ID_NOT_FOUND, `Group ${groupId} ${what}.`)
}

/** Null once the group is gone, or of another type. */
export function streamsGroupOrNull(context: GroupContext, groupId: string): StreamsGroup | null {
  const group = context.group(groupId)
  return group?.type === 'streams' ? group : null
}

/** Takes the member out. */
export function fence(group: StreamsGroup, memberId: string): Decision<GroupRecord, void> {
  const { groupId, context, metadataHash, validatedTopologyEpoch, assignmentConfigs } = group
  const epoch = group.groupEpoch + 1
  const next = { epoch, metadataHash, validatedTopologyEpoch, assignmentConfigs }
  return {
    records: [...memberTombstones(groupId, memberId), groupRecord(groupId, next)],
    reply: undefined,
    onCommitted: () => group.deadlines.clearAll(memberId),
    // It is a member still, whose deadlines may have passed just now.
    onFailed: () => context.revive(groupId),
  }
}

/** The session of `memberId` ran out. */
export function expireSession(
  context: GroupContext,
  groupId: string,
  memberId: string,
): Decision<GroupRecord, void> {
  return fenceLate(context, groupId, memberId, 'its session expired')
}

/** The time in which `memberId` was to give up tasks ran out, if it still is in `epoch`. */
export function expireRebalance(
  context: GroupContext,
  groupId: string,
  memberId: string,
  epoch: number,
): Decision<GroupRecord, void> {
  const member = streamsGroupOrNull(context, groupId)?.members.get(memberId)
  if (member?.memberEpoch !== epoch) return nothing
  return fenceLate(context, groupId, memberId, 'it kept tasks that it was to give up')
}

function fenceLate(
  context: GroupContext,
  groupId: string,
  memberId: string,
  reason: string,
): Decision<GroupRecord, void> {
  const group = streamsGroupOrNull(context, groupId)
  if (group === null || !group.members.has(memberId)) return nothing
  const fields = { groupId, memberId, reason }
  context.shared.tell(context.log, context.now(), 'a member is out', fields)
  return fence(group, memberId)
}
