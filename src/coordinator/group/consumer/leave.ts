/**
 * How members go: of their own will, for a while (static ones), or because they did not show up or did
 * not give up their partitions in time. Each time the group's epoch grows, and the next heartbeat of
 * another member makes a new target.
 */
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../../protocol/messages/consumer-group-heartbeat.ts'
import type { Decision } from '../../shard.ts'
import { prepareRebalance } from '../classic/rebalance.ts'
import { type GroupContext, nothing } from '../group.ts'
import { type Assignment, noPartitions, ownedSince } from '../modern/assignment.ts'
import { lateMembers } from '../modern/late-members.ts'
import { staticLeaveEpoch } from '../modern/modern-group.ts'
import type { GroupRecord } from '../records.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { canDowngrade, downgradedRecord } from './downgrade.ts'
import { consumerGroupOf, consumerGroupOrNull } from './draft.ts'
import { type ConsumerMember, regexOf } from './member.ts'
import { heldBy } from './membership.ts'
import {
  currentRecord,
  groupRecord,
  groupTombstones,
  memberTombstones,
  regexTombstone,
} from './records.ts'

/** Throws KafkaError GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID. */
export function leave(
  context: GroupContext,
  { groupId, memberId, memberEpoch, instanceId }: ConsumerGroupHeartbeatRequest,
): Decision<GroupRecord, ConsumerGroupHeartbeatResponse> {
  const group = consumerGroupOf(context, groupId)
  const member =
    instanceId === null
      ? group.member(memberId)
      : heldBy(group.staticMember(instanceId), memberId, instanceId)
  const reply = {
    errorCode: 0,
    errorMessage: null,
    memberId,
    memberEpoch,
    heartbeatIntervalMs: 0,
    assignment: null,
  }
  if (memberEpoch === staticLeaveEpoch) return { ...leaveForAWhile(group, member), reply }
  return { ...fence(group, [member]), reply }
}

/**
 * The member's place is kept, with its partitions, as long as its session would have lasted: who comes
 * back with the same instance id takes it.
 */
function leaveForAWhile(group: ConsumerGroup, member: ConsumerMember): Decision<GroupRecord, void> {
  const away = {
    ...member,
    memberEpoch: staticLeaveEpoch,
    assigned: ownedSince(member.assigned, 0),
    pendingRevocation: noPartitions,
  }
  return { records: [currentRecord(group.groupId, away)], reply: undefined }
}

export const { fenceLate, startDeadlines } = lateMembers(consumerGroupOrNull, (group, memberId) =>
  fence(group, [group.member(memberId)]),
)

/**
 * Takes members out, and with them the regular expressions that nobody else has. If only members of the
 * classic protocol are left, the group becomes a classic one.
 */
export function fence(
  group: ConsumerGroup,
  members: readonly ConsumerMember[],
): Decision<GroupRecord, void> {
  const { groupId, context } = group
  const left = [...group.members.values()].filter((member) => !members.includes(member))
  if (canDowngrade(group, left)) {
    return downgradeTo(group, left, ({ memberId }) => group.targetOf(memberId))
  }
  const records: GroupRecord[] = members.flatMap(({ memberId }) =>
    memberTombstones(groupId, memberId),
  )
  const counts = group.subscriptions.copy()
  for (const { subscribedTopicNames } of members) counts.countNames(subscribedTopicNames, -1)
  for (const regex of orphans(group, members)) {
    records.push(regexTombstone(groupId, regex))
    counts.countRegex(group.regexes.get(regex)?.topics ?? [], -1)
  }
  const hash = context.hashes.of(counts.topics())
  records.push(groupRecord(groupId, group.groupEpoch + 1, hash))
  return {
    records,
    reply: undefined,
    onCommitted: () => {
      for (const { memberId } of members) group.deadlines.clearAll(memberId)
    },
    // They are members still, whose deadlines may have passed just now.
    onFailed: () => context.revive(groupId),
  }
}

/** The group becomes a classic one of these members, who rebalance at once. */
export function downgradeTo(
  group: ConsumerGroup,
  members: readonly ConsumerMember[],
  targetOf: (member: ConsumerMember) => Assignment,
): Decision<GroupRecord, void> {
  const { groupId, context } = group
  const records = [
    ...groupTombstones(group, group.members.keys()),
    downgradedRecord(group, members, targetOf),
  ]
  return {
    records,
    reply: undefined,
    onCommitted: () => {
      context.log.info('a consumer group is a classic one now', { groupId })
      context.revive(groupId)
      context.write(() => {
        const classic = context.group(groupId)
        if (classic?.type !== 'classic' || classic.state !== 'Stable') return nothing
        return prepareRebalance(classic, 'nobody is left with the new protocol')
      })
    },
    onFailed: () => context.revive(groupId),
  }
}

function orphans(group: ConsumerGroup, members: readonly ConsumerMember[]): string[] {
  const leaving = new Map<string, number>()
  for (const member of members) {
    const regex = regexOf(member)
    if (regex !== null) leaving.set(regex, (leaving.get(regex) ?? 0) + 1)
  }
  return [...leaving].flatMap(([regex, count]) =>
    group.regexCounts.get(regex) === count ? [regex] : [],
  )
}
