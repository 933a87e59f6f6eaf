/** The steps that bring a member of a consumer group to its target (see `modern/reconciliation.ts`). */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import {
  type Assignment,
  noPartitions,
  type OwnedPartitions,
  overlaps,
  sameOwned,
  type TopicPartitions,
} from '../modern/assignment.ts'
import { isReconciled, memberState, stepsBetween, withFree } from '../modern/reconciliation.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { Draft } from './draft.ts'
import type { ConsumerMember } from './member.ts'
import { currentRecord } from './records.ts'
import { type Subscription, topicsOf } from './subscription.ts'
import type { MemberTarget } from './target.ts'

export interface Surroundings {
  /** Of the member, with this request: topics that it does not want any more go at once. */
  readonly hasSubscriptionChanged: boolean
  /** What the member says that it owns; null where it does not say: then it may own anything. */
  readonly owned: readonly TopicPartitions[] | null
  readonly regexes: Subscription['regexes']
}

/** The member after the next step; recorded if there was one. Throws KafkaError FENCED_MEMBER_EPOCH. */
export function reconcile(
  { group, records }: Draft,
  member: ConsumerMember,
  target: MemberTarget,
  surroundings: Surroundings,
): ConsumerMember {
  if (!surroundings.hasSubscriptionChanged && isReconciled(member, target.epoch)) return member
  const next = step(group, member, target, surroundings)
  if (next === member) return member
  const isSame =
    next.memberEpoch === member.memberEpoch &&
    next.previousMemberEpoch === member.previousMemberEpoch &&
    next.state === member.state &&
    sameOwned(next.assigned, member.assigned) &&
    sameOwned(next.pendingRevocation, member.pendingRevocation)
  if (isSame) return member
  records.push(currentRecord(group.groupId, next))
  // What did not change is the same object still: the member need not be told of it.
  return sameOwned(next.assigned, member.assigned) ? { ...next, assigned: member.assigned } : next
}

function step(
  group: ConsumerGroup,
  member: ConsumerMember,
  target: MemberTarget,
  surroundings: Surroundings,
): ConsumerMember {
  const wanted = wantedTopicIds(group, member, surroundings.regexes)
  switch (member.state) {
    case memberState.stable:
      if (member.memberEpoch !== target.epoch) return approach(group, member, target, surroundings)
      return surroundings.hasSubscriptionChanged ? shed(member, wanted, surroundings.owned) : member
    case memberState.unrevoked:
      if (!mayOwn(surroundings.owned, member.pendingRevocation)) {
        return approach(group, member, target, surroundings)
      }
      return surroundings.hasSubscriptionChanged ? shed(member, wanted, surroundings.owned) : member
    case memberState.unreleased:
      return approach(group, member, target, surroundings)
    case memberState.unknown:
      // Of a later version: it starts over, without partitions.
      if (surroundings.owned === null || surroundings.owned.length > 0) {
        throw new KafkaError(
          errors.FENCED_MEMBER_EPOCH,
          'The consumer group member is in a unknown state. ' +
            'The member must abandon all its partitions and rejoin.',
        )
      }
      return approach(group, { ...member, memberEpoch: target.epoch }, target, surroundings)
  }
}

/** Takes away, gives, or waits, whichever is next. */
function approach(
  group: ConsumerGroup,
  member: ConsumerMember,
  target: MemberTarget,
  { owned, regexes }: Surroundings,
): ConsumerMember {
  const wanted = wantedTopicIds(group, member, regexes)
  const assignment = onlyOf(target.assignment, wanted)
  const isHeld = (topicId: Uuid, partition: number) =>
    group.holderOf(topicId, partition) !== undefined &&
    !member.pendingRevocation.get(topicId)?.has(partition)
  const steps = stepsBetween(member.assigned, assignment, isHeld)
  const { memberEpoch } = member
  if (steps.revoked.size > 0 && mayOwn(owned, steps.revoked)) {
    return {
      ...member,
      state: memberState.unrevoked,
      previousMemberEpoch: memberEpoch,
      assigned: steps.kept,
      pendingRevocation: steps.revoked,
    }
  }
  return {
    ...member,
    state: steps.hasUnreleased ? memberState.unreleased : memberState.stable,
    memberEpoch: target.epoch,
    previousMemberEpoch: memberEpoch,
    assigned: withFree(steps, target.epoch),
    pendingRevocation: noPartitions,
  }
}

/** Takes away at once what the member does not want any more, whatever the target says. */
function shed(
  member: ConsumerMember,
  wanted: ReadonlySet<Uuid>,
  owned: readonly TopicPartitions[] | null,
): ConsumerMember {
  const kept = new Map([...member.assigned].filter(([topicId]) => wanted.has(topicId)))
  if (kept.size === member.assigned.size) return member
  const pending = new Map(member.pendingRevocation)
  for (const [topicId, partitions] of member.assigned) {
    if (kept.has(topicId)) continue
    pending.set(topicId, new Map([...(pending.get(topicId) ?? []), ...partitions]))
  }
  const next = { ...member, previousMemberEpoch: member.memberEpoch, assigned: kept }
  // What it let go of already need not be waited for.
  if (!mayOwn(owned, pending)) return next
  return { ...next, state: memberState.unrevoked, pendingRevocation: pending }
}

/** A member that does not say what it owns may own all it had. */
function mayOwn(owned: readonly TopicPartitions[] | null, partitions: OwnedPartitions): boolean {
  return owned === null || overlaps(owned, partitions)
}

function wantedTopicIds(
  group: ConsumerGroup,
  member: ConsumerMember,
  regexes: Subscription['regexes'],
): ReadonlySet<Uuid> {
  const { topics } = group.context
  return new Set([...topicsOf(member, regexes)].flatMap((name) => topics.topicIdOf(name) ?? []))
}

function onlyOf(assignment: Assignment, wanted: ReadonlySet<Uuid>): Assignment {
  return new Map([...assignment].filter(([topicId]) => wanted.has(topicId)))
}
