/**
 * ConsumerGroupHeartbeat: the one request of a member. It joins with epoch 0, changes what it wants,
 * says what it owns and hears what to own; with epoch -1 it leaves, with -2 for a while (`leave.ts`).
 *
 *   1. the member, new or changed, is recorded; if subscriptions or topics changed, so is a new epoch
 *      of the group;
 *   2. if the target is older than the group's epoch, a new one is computed and recorded;
 *   3. the member is brought a step closer to the target (`reconcile.ts`).
 *
 * What regular expressions stand for is looked up afterwards (`regex-lookup.ts`); later heartbeats go by it.
 */
import { errors } from '../../../../protocol/errors.ts'
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../../protocol/messages/consumer-group-heartbeat.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import type { GroupContext, SubscribingCaller } from '../group.ts'
import { topicPartitionsOf } from '../modern/assignment.ts'
import { leaveEpoch, staticLeaveEpoch } from '../modern/modern-group.ts'
import type { GroupRecord } from '../records.ts'
import { ConsumerGroup } from './consumer-group.ts'
import { consumerGroupOrNull, type Draft, notFound } from './draft.ts'
import { leave, startDeadlines } from './leave.ts'
import type { ConsumerMember } from './member.ts'
import { findMember } from './membership.ts'
import { reconcile } from './reconcile.ts'
import { lookUpIfDue } from './regex-lookup.ts'
import { noteSubscription } from './subscription.ts'
import { currentTarget } from './target.ts'
import { upgraded } from './upgrade.ts'

export function consumerHeartbeat(
  context: GroupContext,
  request: ConsumerGroupHeartbeatRequest,
  caller: SubscribingCaller,
  nowMs: Milliseconds,
): Decision<GroupRecord, ConsumerGroupHeartbeatResponse> {
  const { memberEpoch } = request
  if (memberEpoch === leaveEpoch || memberEpoch === staticLeaveEpoch) return leave(context, request)
  const draft = draftFor(context, request, nowMs)
  const { group, records } = draft
  const memberId = request.memberId === '' ? context.shortUuid() : request.memberId
  group.checkSize(memberId, context.config().groupConsumerMaxSize)
  const before = findMember(draft, { ...request, memberId })
  if (group.members.has(memberId)) startDeadlines(group, before, false)
  const said = updated(before, request, caller)
  group.checkMemory(said)
  const subscription = noteSubscription(draft, before, said)
  const target = currentTarget(draft, before, said, subscription)
  const after = reconcile(draft, said, target, {
    hasSubscriptionChanged: subscription.hasChanged,
    owned: request.topicPartitions,
    regexes: subscription.regexes,
  })
  const classic = context.group(request.groupId)
  const isUpgrade = classic?.type === 'classic'
  if (isUpgrade) classic.answerAll(errors.REBALANCE_IN_PROGRESS)
  return {
    records,
    reply: replyTo(group, request, before, after),
    onCommitted: () => {
      if (isUpgrade) context.revive(request.groupId)
      const living = consumerGroupOrNull(context, request.groupId)
      if (living === null) return
      if (subscription.seenVersion !== null) living.trustMetadata(nowMs, subscription.seenVersion)
      startDeadlines(living, after, after !== said)
      lookUpIfDue(living, caller)
    },
    ...(isUpgrade && { onFailed: () => context.revive(request.groupId) }),
  }
}

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
function draftFor(
  context: GroupContext,
  { groupId, memberEpoch }: ConsumerGroupHeartbeatRequest,
  nowMs: Milliseconds,
): Draft {
  const existing = context.group(groupId)
  if (existing?.type === 'consumer') return { group: existing, records: [], nowMs }
  if (memberEpoch !== 0) {
    throw notFound(
      existing === null
        ? `Consumer group ${groupId} not found.`
        : `Group ${groupId} is not a consumer group.`,
    )
  }
  if (existing === null || (existing.type === 'classic' && existing.isEmpty)) {
    const group = new ConsumerGroup(groupId, context)
    return { group, records: existing?.tombstones() ?? [], nowMs }
  }
  if (existing.type !== 'classic') throw notFound(`Group ${groupId} is not a consumer group.`)
  return { ...upgraded(existing), nowMs }
}

/** Null is no change. */
function updated(
  member: ConsumerMember,
  request: ConsumerGroupHeartbeatRequest,
  caller: SubscribingCaller,
): ConsumerMember {
  const { rebalanceTimeoutMs, subscribedTopicNames } = request
  return {
    ...member,
    instanceId: request.instanceId ?? member.instanceId,
    rackId: request.rackId ?? member.rackId,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : rebalanceTimeoutMs,
    serverAssignor: request.serverAssignor ?? member.serverAssignor,
    subscribedTopicNames:
      subscribedTopicNames === null
        ? member.subscribedTopicNames
        : [...new Set(subscribedTopicNames)].sort(),
    subscribedTopicRegex: request.subscribedTopicRegex ?? member.subscribedTopicRegex,
    clientId: caller.clientId,
    clientHost: caller.clientHost,
    classic: null,
  }
}

/** The assignment is told when it changed, and to a member that said all there is to say. */
function replyTo(
  group: ConsumerGroup,
  request: ConsumerGroupHeartbeatRequest,
  before: ConsumerMember,
  after: ConsumerMember,
): ConsumerGroupHeartbeatResponse {
  const { rebalanceTimeoutMs, subscribedTopicNames, subscribedTopicRegex } = request
  const isSubscription = subscribedTopicNames !== null || subscribedTopicRegex !== null
  const isFull = rebalanceTimeoutMs !== -1 && isSubscription && request.topicPartitions !== null
  const isTold = request.memberEpoch === 0 || isFull || before.assigned !== after.assigned
  return {
    errorCode: errors.NONE.code,
    errorMessage: null,
    memberId: after.memberId,
    memberEpoch: after.memberEpoch,
    heartbeatIntervalMs: group.context.setting(group.groupId, 'consumer.heartbeat.interval.ms'),
    assignment: isTold ? { topicPartitions: topicPartitionsOf(after.assigned) } : null,
  }
}
