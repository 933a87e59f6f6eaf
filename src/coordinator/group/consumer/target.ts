/** The target of a consumer group, computed anew when the group's epoch is ahead of it. */
import type { Uuid } from '../../../../protocol/types.ts'
import { assignorNamed } from '../assignor/assignors.ts'
import { type Assignment, noPartitions } from '../modern/assignment.ts'
import { mayAssign } from '../modern/modern-group.ts'
import { computeTarget, type GroupSpec, type MemberSpec } from '../modern/target-assignment.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { Draft } from './draft.ts'
import type { ConsumerMember } from './member.ts'
import { membersWith } from './membership.ts'
import { targetEpochRecord, targetRecord } from './records.ts'
import { type Subscription, topicsOf } from './subscription.ts'

export interface MemberTarget {
  readonly epoch: number
  readonly assignment: Assignment
}

/** What `after` shall have, and in which epoch; records a new target if one is due. */
export function currentTarget(
  { group, records, nowMs }: Draft,
  before: ConsumerMember,
  after: ConsumerMember,
  { groupEpoch, regexes }: Subscription,
): MemberTarget {
  const { groupId, context } = group
  const last = { epoch: group.assignmentEpoch, assignment: lastTarget(group, after) }
  if (last.epoch >= groupEpoch) return last
  const intervalMs = context.setting(groupId, 'consumer.assignment.interval.ms')
  if (!mayAssign(group.assignedAtMs, intervalMs, nowMs)) return last
  const members = membersWith(group, after)
  const spec = specOf(group, members, regexes)
  const assignor = assignorNamed(preferredAssignor(group, before, after))
  const previous = { get: (memberId: string) => targetBefore(group, memberId, after) }
  const target = computeTarget(assignor, spec, previous)
  for (const [memberId, assignment] of target.changed) {
    records.push(targetRecord(groupId, memberId, assignment))
  }
  records.push(targetEpochRecord(groupId, groupEpoch, nowMs))
  const fields = { groupId, groupEpoch, assignor: assignor.name, members: members.length }
  context.shared.tell(context.log, nowMs, 'group has a target', fields)
  return {
    epoch: groupEpoch,
    assignment: target.assignments.get(after.memberId) ?? noPartitions,
  }
}

/** A static member that is back shall have what it was to have before. */
function lastTarget(group: ConsumerGroup, { memberId, instanceId }: ConsumerMember): Assignment {
  return group.targetOf(group.staticMember(instanceId)?.memberId ?? memberId)
}

/** Of the member that replaces another, as its record has it by then. */
function targetBefore(
  group: ConsumerGroup,
  memberId: string,
  joining: ConsumerMember,
): Assignment | undefined {
  if (memberId !== joining.memberId) return group.targets.get(memberId)
  const replaced = group.staticMember(joining.instanceId)
  return group.targets.get(replaced?.memberId ?? memberId)
}

function specOf(
  group: ConsumerGroup,
  members: readonly ConsumerMember[],
  regexes: Subscription['regexes'],
): GroupSpec {
  const { topics } = group.context
  const idsOf = topicIdsByWish((name) => topics.topicIdOf(name))
  const specs = new Map<string, MemberSpec>()
  for (const member of members) {
    const { memberId, instanceId, rackId } = member
    const assignment = lastTarget(group, member)
    const topicIds = idsOf(topicsOf(member, regexes))
    specs.set(memberId, { instanceId, rackId, topicIds, assignment })
  }
  const partitionCount = (id: Uuid) => {
    const name = topics.topicNameOf(id)
    return name === undefined ? undefined : topics.partitionCountOf(name)
  }
  return { members: specs, isHomogeneous: isAlike(specs), partitionCount }
}

/** Members mostly want the same: then they share one set, and looking up ids is done once. */
function topicIdsByWish(
  topicIdOf: (name: string) => Uuid | undefined,
): (names: Iterable<string>) => ReadonlySet<Uuid> {
  const known = new Map<string, ReadonlySet<Uuid>>()
  return (names) => {
    const list = [...names]
    const key = list.join('\n')
    const before = known.get(key)
    if (before !== undefined) return before
    const ids = new Set(list.flatMap((name) => topicIdOf(name) ?? []))
    known.set(key, ids)
    return ids
  }
}

function isAlike(specs: ReadonlyMap<string, MemberSpec>): boolean {
  const [first, ...others] = new Set([...specs.values()].map(({ topicIds }) => topicIds))
  if (first === undefined) return true
  return others.every((ids) => ids.size === first.size && [...ids].every((id) => first.has(id)))
}

/** The one that most members ask for; the broker's first if none asks. */
export function preferredAssignor(
  group: ConsumerGroup,
  before?: ConsumerMember,
  after?: ConsumerMember,
): string {
  const counts = new Map(group.assignorCounts)
  const add = (name: string | null | undefined, change: number) => {
    if (name) counts.set(name, (counts.get(name) ?? 0) + change)
  }
  const isCounted = before !== undefined && group.members.has(before.memberId)
  if (isCounted) add(before.serverAssignor, -1)
  add(after?.serverAssignor, 1)
  let [preferred = 'uniform'] = group.context.config().groupConsumerAssignors
  let most = 0
  for (const [name, count] of counts) {
    if (count > most) [preferred, most] = [name, count]
  }
  return preferred
}
