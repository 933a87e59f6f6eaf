/**
 * How members go: of their own will, or because they did not show up or did not give up their tasks in
 * time. Each time the group's epoch grows, and the next heartbeat of another member makes a new target.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { Decision } from '../../shard.ts'
import type { GroupContext } from '../group.ts'
import { lateMembers } from '../modern/late-members.ts'
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

export const { startDeadlines } = lateMembers(streamsGroupOrNull, fence)
