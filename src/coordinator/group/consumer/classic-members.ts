/**
 * Members of the classic protocol in a consumer group, while an application moves from one protocol to
 * the other. They join, sync and send heartbeats as ever; what they are given comes from the target,
 * not from a leader among them. Where members of the new protocol hear what to do with the next
 * heartbeat, these are told REBALANCE_IN_PROGRESS, and join again: giving up what they lost, as they do
 * between two generations, and saying in the request what they own.
 */
import { type ErrorRow, errors, KafkaError } from '../../../../protocol/errors.ts'
import type {
  HeartbeatRequest,
  HeartbeatResponse,
} from '../../../../protocol/messages/heartbeat.ts'
import type {
  SyncGroupRequest,
  SyncGroupResponse,
} from '../../../../protocol/messages/sync-group.ts'
import type { ConsumerProtocolSubscription } from '../../../../protocol/state/consumer-protocol.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import { readSubscription, writeAssignment } from '../classic/consumer-protocol.ts'
import { firstVersionWithKnownMemberId } from '../classic/join.ts'
import { type Join, joinFailed } from '../classic/join-answer.ts'
import type { Leaving, Left } from '../classic/leave.ts'
import { type Answer, keptProtocols, type Protocol } from '../classic/member.ts'
import { nothing } from '../group.ts'
import type { TopicPartitions } from '../modern/assignment.ts'
import { memberState } from '../modern/reconciliation.ts'
import type { GroupRecord } from '../records.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { canDowngrade, named } from './downgrade.ts'
import { consumerGroupOrNull, type Draft } from './draft.ts'
import { downgradeTo, fence, fenceLate, startDeadlines } from './leave.ts'
import type { ConsumerMember } from './member.ts'
import { findClassicMember, heldBy, membersWith } from './membership.ts'
import { reconcile } from './reconcile.ts'
import { noteSubscription } from './subscription.ts'
import { currentTarget } from './target.ts'

/** Throws KafkaError. */
export function joinConsumerGroup(
  group: ConsumerGroup,
  { request, caller, answer }: Join,
  nowMs: Milliseconds,
): Decision<GroupRecord, void> {
  const { context } = group
  const { groupInstanceId: instanceId, sessionTimeoutMs } = request
  if (context.config().groupConsumerMigrationPolicy === 'disabled') {
    throw new KafkaError(errors.INCONSISTENT_GROUP_PROTOCOL)
  }
  const isNew = request.memberId === ''
  const memberId = isNew ? context.shortUuid() : request.memberId
  group.checkSize(memberId, context.config().groupConsumerMaxSize)
  const protocols = accepted(group, request.protocolType, request.protocols)
  const needsId = isNew && instanceId === null
  if (needsId && caller.apiVersion >= firstVersionWithKnownMemberId) {
    answer(joinFailed(memberId, errors.MEMBER_ID_REQUIRED))
    return nothing
  }
  const draft: Draft = { group, records: [], nowMs }
  const holder = group.staticMember(instanceId)
  const before = findClassicMember(draft, memberId, instanceId, isNew)
  const subscription = subscriptionIn(protocols)
  const rebalanceTimeoutMs =
    request.rebalanceTimeoutMs < 0 ? sessionTimeoutMs : request.rebalanceTimeoutMs
  const said: ConsumerMember = {
    ...before,
    instanceId: instanceId ?? before.instanceId,
    rackId: subscription.rackId || before.rackId,
    rebalanceTimeoutMs,
    subscribedTopicNames: [...new Set(subscription.topics)].sort(),
    subscribedTopicRegex: '',
    clientId: caller.clientId,
    clientHost: caller.clientHost,
    classic: { sessionTimeoutMs, supportedProtocols: protocols },
  }
  group.checkMemory(said)
  const noted = noteSubscription(draft, before, said)
  const members = membersWith(group, said)
  if (holder !== undefined && holder.classic === null && canDowngrade(group, members)) {
    return joinLastOfNew(group, holder, said, members, answer)
  }
  const target = currentTarget(draft, before, said, noted)
  const after = reconcile(draft, said, target, {
    hasSubscriptionChanged: noted.hasChanged,
    owned: ownedOf(group, subscription),
    regexes: noted.regexes,
  })
  return {
    records: draft.records,
    reply: undefined,
    onCommitted: () => {
      const living = consumerGroupOrNull(context, group.groupId)
      if (living !== null) {
        if (noted.seenVersion !== null) living.trustMetadata(nowMs, noted.seenVersion)
        awaitSync(living, after)
      }
      answer({
        errorCode: errors.NONE.code,
        generationId: after.memberEpoch,
        protocolType: 'consumer',
        protocolName: protocols[0]?.name ?? null,
        leader: '',
        memberId,
        members: [],
      })
    },
  }
}

/** A static member comes back with the classic protocol, and nobody is left with the new one. */
function joinLastOfNew(
  group: ConsumerGroup,
  holder: ConsumerMember,
  said: ConsumerMember,
  members: readonly ConsumerMember[],
  answer: Join['answer'],
): Decision<GroupRecord, void> {
  const targetOf = ({ memberId }: ConsumerMember) =>
    group.targetOf(memberId === said.memberId ? holder.memberId : memberId)
  const decision = downgradeTo(group, members, targetOf)
  return {
    ...decision,
    onCommitted: () => {
      // It joins again, as all the others do, in the rebalance that follows.
      answer(joinFailed(said.memberId, errors.REBALANCE_IN_PROGRESS))
      decision.onCommitted?.()
    },
  }
}

/** Throws KafkaError if what the member can do does not fit in with the other classic members. */
function accepted(
  group: ConsumerGroup,
  protocolType: string,
  named: readonly Protocol[],
): readonly Protocol[] {
  const protocols = keptProtocols(named)
  if (protocols === null) throw new KafkaError(errors.INVALID_REQUEST)
  const { classicProtocolCounts, classicMemberCount } = group
  const isShared = ({ name }: Protocol) =>
    (classicProtocolCounts.get(name) ?? 0) === classicMemberCount
  if (protocolType !== 'consumer' || !protocols.some(isShared)) {
    throw new KafkaError(errors.INCONSISTENT_GROUP_PROTOCOL)
  }
  return protocols
}

/** As the first protocol says it. Throws KafkaError if that cannot be read. */
function subscriptionIn([first]: readonly Protocol[]): ConsumerProtocolSubscription {
  const subscription = first === undefined ? null : readSubscription(first.metadata)
  if (subscription === null) throw new KafkaError(errors.INCONSISTENT_GROUP_PROTOCOL)
  return subscription
}

function ownedOf(
  { context }: ConsumerGroup,
  { ownedPartitions }: ConsumerProtocolSubscription,
): TopicPartitions[] {
  return ownedPartitions.flatMap(({ topic, partitions }) => {
    const topicId = context.topics.topicIdOf(topic)
    return topicId === undefined ? [] : [{ topicId, partitions }]
  })
}

function awaitSync(group: ConsumerGroup, member: ConsumerMember): void {
  const { groupId, context, deadlines } = group
  const { memberId, rebalanceTimeoutMs } = member
  deadlines.clear('join', memberId)
  startDeadlines(group, member, false)
  const expire = () => fenceLate(context, groupId, memberId, 'it did not sync in time')
  deadlines.set('sync', memberId, rebalanceTimeoutMs, expire)
}

/** It was told to join again; if it was before, its time runs already. */
function awaitJoin(group: ConsumerGroup, { memberId, rebalanceTimeoutMs }: ConsumerMember): void {
  const { groupId, context, deadlines } = group
  if (deadlines.isSet('join', memberId)) return
  const expire = () => fenceLate(context, groupId, memberId, 'it did not join in time')
  deadlines.set('join', memberId, rebalanceTimeoutMs, expire)
}

/** Throws KafkaError unless it is a member of the classic protocol, and in this epoch. */
function classicMemberOf(
  group: ConsumerGroup,
  said: Pick<HeartbeatRequest, 'memberId' | 'groupInstanceId' | 'generationId'>,
): ConsumerMember {
  const { memberId, groupInstanceId, generationId } = said
  const member =
    groupInstanceId === null
      ? group.member(memberId)
      : heldBy(group.staticMember(groupInstanceId), memberId, groupInstanceId)
  if (member.classic === null) throw new KafkaError(errors.UNKNOWN_MEMBER_ID)
  if (member.memberEpoch !== generationId) throw new KafkaError(errors.ILLEGAL_GENERATION)
  return member
}

/** Throws KafkaError. */
export function syncClassicMember(
  group: ConsumerGroup,
  request: SyncGroupRequest,
  answer: Answer<SyncGroupResponse>,
): Decision<GroupRecord, void> {
  if (group.isEmpty) throw new KafkaError(errors.UNKNOWN_MEMBER_ID)
  const member = classicMemberOf(group, request)
  const { protocolType, protocolName } = request
  const [protocol] = member.classic?.supportedProtocols ?? []
  if (
    (protocolType ?? 'consumer') !== 'consumer' ||
    (protocolName ?? protocol?.name) !== protocol?.name
  ) {
    throw new KafkaError(errors.INCONSISTENT_GROUP_PROTOCOL)
  }
  // One that has to give up partitions has joined for that already.
  if (group.assignmentEpoch > member.memberEpoch && member.state !== memberState.unrevoked) {
    awaitJoin(group, member)
    throw new KafkaError(errors.REBALANCE_IN_PROGRESS)
  }
  const metadata = protocol?.metadata ?? Buffer.alloc(0)
  const assignment = writeAssignment(metadata, named(member.assigned, group.context))
  return {
    records: [],
    reply: undefined,
    onCommitted: () => {
      group.deadlines.clear('sync', member.memberId)
      startDeadlines(group, member, false)
      answer({ errorCode: errors.NONE.code, protocolType, protocolName, assignment })
    },
  }
}

/** Throws KafkaError. */
export function beatOfClassicMember(
  group: ConsumerGroup,
  request: HeartbeatRequest,
): Decision<GroupRecord, HeartbeatResponse> {
  const member = classicMemberOf(group, request)
  startDeadlines(group, member, false)
  const isBehind =
    member.memberEpoch < group.assignmentEpoch ||
    member.state === memberState.unrevoked ||
    (member.state === memberState.unreleased && !awaitsOthers(group, member))
  if (isBehind) awaitJoin(group, member)
  const error = isBehind ? errors.REBALANCE_IN_PROGRESS : errors.NONE
  return { records: [], reply: { errorCode: error.code } }
}

/** Whether somebody else holds some of what the member shall have. */
function awaitsOthers(group: ConsumerGroup, { memberId, assigned }: ConsumerMember): boolean {
  for (const [topicId, partitions] of group.targetOf(memberId)) {
    for (const partition of partitions) {
      const isMine = assigned.get(topicId)?.has(partition) ?? false
      if (!isMine && group.holderOf(topicId, partition) !== undefined) return true
    }
  }
  return false
}

/** LeaveGroup, also of members of the new protocol: an operator may take them out. */
export function leaveConsumerGroup(
  group: ConsumerGroup,
  leaving: readonly Leaving[],
): Decision<GroupRecord, Left[]> {
  const members = new Set<ConsumerMember>()
  const reply = leaving.map(({ memberId, groupInstanceId }) => {
    const found = leavingMember(group, memberId, groupInstanceId)
    if ('member' in found) members.add(found.member)
    const { code } = 'member' in found ? errors.NONE : found.error
    return { memberId, groupInstanceId, errorCode: code }
  })
  if (members.size === 0) return { records: [], reply }
  return { ...fence(group, [...members]), reply }
}

function leavingMember(
  group: ConsumerGroup,
  memberId: string,
  instanceId: string | null,
): { member: ConsumerMember } | { error: ErrorRow } {
  try {
    if (instanceId === null) return { member: group.member(memberId) }
    const holder = group.staticMember(instanceId)
    const isNamed = memberId === '' && holder !== undefined
    return { member: isNamed ? holder : heldBy(holder, memberId, instanceId) }
  } catch (failure) {
    if (failure instanceof KafkaError) return { error: failure.error }
    throw failure
  }
}
