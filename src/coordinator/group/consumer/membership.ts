/**
 * Who a heartbeat is from: a member, somebody new, or a static member (KIP-345) that is back under
 * another id.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import { isSubset, type TopicPartitions } from '../modern/assignment.ts'
import { checkEpoch, staticLeaveEpoch } from '../modern/modern-group.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { Draft } from './draft.ts'
import { type ConsumerMember, newMember } from './member.ts'
import { currentRecord, memberRecord, memberTombstones, targetRecord } from './records.ts'

export interface Introduction {
  readonly memberId: string
  readonly instanceId: string | null
  /** 0 joins. */
  readonly memberEpoch: number
  /** What it says that it owns; null where it does not say. */
  readonly topicPartitions: readonly TopicPartitions[] | null
}

/** Throws KafkaError UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH and those of static members. */
export function findMember(draft: Draft, introduction: Introduction): ConsumerMember {
  const { group } = draft
  const { memberId, instanceId, memberEpoch, topicPartitions } = introduction
  const isJoining = memberEpoch === 0
  if (instanceId === null) {
    const member = group.members.get(memberId)
    if (member === undefined && isJoining) return newMember(memberId)
    const known = member ?? group.member(memberId)
    checkOwner(known, memberEpoch, topicPartitions)
    return known
  }
  const holder = group.staticMember(instanceId)
  if (!isJoining) {
    const member = heldBy(holder, memberId, instanceId)
    checkOwner(member, memberEpoch, topicPartitions)
    return member
  }
  if (holder === undefined) return group.members.get(memberId) ?? newMember(memberId)
  if (holder.classic === null) checkReleased(holder, memberId, instanceId)
  return replace(draft, holder, memberId)
}

/**
 * As `findMember`, for who comes with the classic protocol. Epochs are nothing to it; a static member
 * without an id takes the place of the one that had its instance id, whether that left or not.
 */
export function findClassicMember(
  draft: Draft,
  memberId: string,
  instanceId: string | null,
  isNew: boolean,
): ConsumerMember {
  const { group } = draft
  if (instanceId === null) return group.members.get(memberId) ?? newMember(memberId)
  const holder = group.staticMember(instanceId)
  if (!isNew) return heldBy(holder, memberId, instanceId)
  return holder === undefined ? newMember(memberId) : replace(draft, holder, memberId)
}

/** Throws KafkaError unless the static member is `memberId`. */
export function heldBy(
  holder: ConsumerMember | undefined,
  memberId: string,
  instanceId: string,
): ConsumerMember {
  if (holder === undefined) {
    throw new KafkaError(errors.UNKNOWN_MEMBER_ID, `Instance id ${instanceId} is unknown.`)
  }
  if (holder.memberId === memberId) return holder
  const fenced = `Static member ${memberId} with instance id ${instanceId} was fenced by member`
  throw new KafkaError(errors.FENCED_INSTANCE_ID, `${fenced} ${holder.memberId}.`)
}

/** The place of a static member is free only after it said that it leaves for a while. */
function checkReleased(holder: ConsumerMember, memberId: string, instanceId: string): void {
  if (holder.memberEpoch === staticLeaveEpoch) return
  const refused = `Static member ${memberId} with instance id ${instanceId} cannot join the group`
  const reason = `because the instance id is owned by ${holder.memberId} member.`
  throw new KafkaError(errors.UNRELEASED_INSTANCE_ID, `${refused} ${reason}`)
}

/** Epoch 0 is always welcome: it starts over. */
function checkOwner(
  member: ConsumerMember,
  epoch: number,
  owned: readonly TopicPartitions[] | null,
): void {
  if (epoch === 0) return
  checkEpoch('consumer', member, epoch, () => owned !== null && isSubset(owned, member.assigned))
}

/** The static member goes on under its new id, with all it had. */
function replace({ group, records }: Draft, old: ConsumerMember, memberId: string): ConsumerMember {
  const { groupId } = group
  const member = { ...old, memberId, memberEpoch: 0, previousMemberEpoch: 0 }
  records.push(
    ...memberTombstones(groupId, old.memberId),
    memberRecord(groupId, member),
    targetRecord(groupId, memberId, group.targetOf(old.memberId)),
    currentRecord(groupId, member),
  )
  return member
}

/** The members as they will be: with `member`, and without whom it replaces. */
export function membersWith(group: ConsumerGroup, member: ConsumerMember): ConsumerMember[] {
  const replaced = group.staticMember(member.instanceId)
  const others = [...group.members.values()].filter(
    ({ memberId }) => memberId !== member.memberId && memberId !== replaced?.memberId,
  )
  return [...others, member]
}
