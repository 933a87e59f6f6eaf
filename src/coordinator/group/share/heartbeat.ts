/**
 * ShareGroupHeartbeat: the one request of a member. It joins with epoch 0, changes what it wants, hears
 * what to read, and leaves with epoch -1.
 *
 *   1. the member, new or changed, is recorded; if subscriptions, topics or what is set up changed, so is
 *      a new epoch of the group;
 *   2. if the target is older than the group's epoch, a new one is computed and recorded;
 *   3. the member gets its target;
 *   4. what is subscribed to and not set up with the share coordinator yet is to be set up: a heartbeat
 *      after that finds it and assigns it.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type {
  ShareGroupHeartbeatRequest,
  ShareGroupHeartbeatResponse,
} from '../../../../protocol/messages/share-group-heartbeat.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import type { Caller, GroupContext } from '../group.ts'
import {
  type Assignment,
  noPartitions,
  sameAssignment,
  topicPartitionsOf,
} from '../modern/assignment.ts'
import { checkFilled, invalid } from '../modern/invalid-heartbeat.ts'
import { isPast, leaveEpoch, mayAssign } from '../modern/modern-group.ts'
import { isSameList } from '../modern/subscriptions.ts'
import { computeTarget, type MemberSpec } from '../modern/target-assignment.ts'
import type { GroupRecord } from '../records.ts'
import { newMember, type ShareMember } from './member.ts'
import {
  currentRecord,
  groupRecord,
  memberRecord,
  stateTopicsRecord,
  targetEpochRecord,
  targetRecord,
} from './records.ts'
import { expectSession, removeMember } from './session.ts'
import { ShareGroup } from './share-group.ts'
import { simpleAssignor } from './simple-assignor.ts'
import { initializing, type StateTopic, type StateTopicsById } from './state-topics.ts'

/** What is to be set up with the share coordinator. */
export interface Initialization {
  readonly groupId: string
  readonly stateEpoch: number
  readonly topics: StateTopicsById
}

export interface Heartbeat {
  readonly response: ShareGroupHeartbeatResponse
  /** Null where everything is set up, or being set up. */
  readonly initialization: Initialization | null
}

/** How long setting up may take before it is begun again. */
const initializeRetryMs = 30_000

/** Throws KafkaError INVALID_REQUEST. */
export function checkHeartbeat(request: ShareGroupHeartbeatRequest): void {
  const { memberId, groupId, rackId, memberEpoch, subscribedTopicNames } = request
  checkFilled(memberId, 'MemberId')
  checkFilled(groupId, 'GroupId')
  checkFilled(rackId, 'RackId')
  if (memberEpoch < leaveEpoch) throw invalid('MemberEpoch is invalid.')
  if (memberEpoch === 0 && (subscribedTopicNames?.length ?? 0) === 0) {
    throw invalid('SubscribedTopicNames must be set in first request.')
  }
}

/** A heartbeat in the making. */
interface Draft {
  readonly group: ShareGroup
  readonly records: GroupRecord[]
  readonly nowMs: Milliseconds
}

export function shareHeartbeat(
  context: GroupContext,
  request: ShareGroupHeartbeatRequest,
  caller: Caller,
  nowMs: Milliseconds,
): Decision<GroupRecord, Heartbeat> {
  const { groupId, memberId, memberEpoch } = request
  if (memberEpoch === leaveEpoch) return leave(context, request)
  const group = groupFor(context, groupId, memberEpoch === 0)
  const draft: Draft = { group, records: [], nowMs }
  group.checkSize(memberId, context.config().groupShareMaxSize)
  const before = memberFor(group, memberId, memberEpoch)
  if (group.members.has(memberId)) expectSession(group, memberId)
  const said = updated(before, request, caller)
  group.checkMemory(said)
  const { groupEpoch, hasChanged, seenVersion } = noteSubscription(draft, before, said)
  const target = currentTarget(draft, said, groupEpoch)
  const after = reconciled(draft, said, target, hasChanged)
  const initialization = begunInitialization(draft, before, said, groupEpoch)
  const isTold =
    memberEpoch === 0 ||
    request.subscribedTopicNames !== null ||
    !sameAssignment(before.assigned, after.assigned)
  const response = {
    errorCode: errors.NONE.code,
    errorMessage: null,
    memberId,
    memberEpoch: after.memberEpoch,
    heartbeatIntervalMs: context.setting(groupId, 'share.heartbeat.interval.ms'),
    assignment: isTold ? { topicPartitions: topicPartitionsOf(after.assigned) } : null,
  }
  const onCommitted = () => {
    const living = context.group(groupId)
    if (living?.type !== 'share') return
    if (seenVersion !== null) living.trustMetadata(nowMs, seenVersion)
    if (living.members.has(memberId)) expectSession(living, memberId)
  }
  return { records: draft.records, reply: { response, initialization }, onCommitted }
}

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
export function shareGroupOf(context: GroupContext, groupId: string): ShareGroup {
  const group = context.group(groupId)
  if (group === null) throw notFound(`Group ${groupId} not found.`)
  if (group.type !== 'share') throw notFound(`Group ${groupId} is not a share group.`)
  return group
}

/** As `shareGroupOf`, but a group that is not there is made where `mayCreate`. */
export function groupFor(context: GroupContext, groupId: string, mayCreate: boolean): ShareGroup {
  const group = context.group(groupId)
  if (group?.type === 'share') return group
  if (group !== null) throw notFound(`Group ${groupId} is not a share group.`)
  if (!mayCreate) throw notFound(`Share group ${groupId} not found.`)
  return new ShareGroup(groupId, context)
}

function notFound(message: string): KafkaError {
  return new KafkaError(errors.GROUP_ID_NOT_FOUND, message)
}

function leave(
  context: GroupContext,
  { groupId, memberId, memberEpoch }: ShareGroupHeartbeatRequest,
): Decision<GroupRecord, Heartbeat> {
  const group = shareGroupOf(context, groupId)
  group.member(memberId)
  const response = {
    errorCode: errors.NONE.code,
    errorMessage: null,
    memberId,
    memberEpoch,
    heartbeatIntervalMs: 0,
    assignment: null,
  }
  const reply = { response, initialization: null }
  return { ...removeMember(group, memberId), reply }
}

/** Throws KafkaError: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH. */
function memberFor(group: ShareGroup, memberId: string, memberEpoch: number): ShareMember {
  if (memberEpoch === 0) return group.members.get(memberId) ?? newMember(memberId)
  const member = group.member(memberId)
  const known = member.memberEpoch
  // Whoever comes with the epoch before may not have got the last answer.
  if (memberEpoch === known || memberEpoch === member.previousMemberEpoch) return member
  const isGreater = memberEpoch > known
  throw new KafkaError(
    errors.FENCED_MEMBER_EPOCH,
    `The share group member has a ${isGreater ? 'greater' : 'smaller'} member epoch ` +
      `(${memberEpoch}) than the one known by the group coordinator (${known})` +
      (isGreater
        ? ''
        : `, and it does not match the previous member epoch (${member.previousMemberEpoch})`) +
      '. The member must abandon all its partitions and rejoin.',
  )
}

/** Null is no change. */
function updated(
  member: ShareMember,
  { rackId, subscribedTopicNames }: ShareGroupHeartbeatRequest,
  { clientId, clientHost }: Caller,
): ShareMember {
  return {
    ...member,
    rackId: rackId ?? member.rackId,
    clientId,
    clientHost,
    subscribedTopicNames:
      subscribedTopicNames === null
        ? member.subscribedTopicNames
        : [...new Set(subscribedTopicNames)].sort(),
  }
}

/** Records the member if it changed, and the group's epoch if that, or the topics, ask for it. */
function noteSubscription(
  { group, records, nowMs }: Draft,
  before: ShareMember,
  said: ShareMember,
): { groupEpoch: number; hasChanged: boolean; seenVersion: number | null } {
  const { groupId, context } = group
  const hasSubscribed = !isSameList(before.subscribedTopicNames, said.subscribedTopicNames)
  const isSame =
    group.members.has(said.memberId) &&
    !hasSubscribed &&
    before.rackId === said.rackId &&
    before.clientId === said.clientId &&
    before.clientHost === said.clientHost
  if (!isSame) records.push(memberRecord(groupId, said))
  const isTargetNew = group.assignmentEpoch >= group.groupEpoch
  const mustGrow = hasSubscribed || (isTargetNew && hasUnassigned(group))
  if (!mustGrow && !group.isMetadataStale(nowMs)) {
    return { groupEpoch: group.groupEpoch, hasChanged: false, seenVersion: null }
  }
  const hash = context.hashes.of(topicsWith(group, before, said))
  const grows = mustGrow || hash !== group.metadataHash
  const groupEpoch = group.groupEpoch + (grows ? 1 : 0)
  if (grows) records.push(groupRecord(groupId, groupEpoch, hash))
  return { groupEpoch, hasChanged: grows, seenVersion: context.topics.version }
}

/** Whether something that is set up and subscribed to is with nobody, or not as it was assigned. */
function hasUnassigned(group: ShareGroup): boolean {
  if (group.isEmpty) return false
  const assigned = new Map<Uuid, Set<number>>()
  for (const memberId of group.members.keys()) {
    for (const [topicId, partitions] of group.targetOf(memberId)) {
      const ofTopic = assigned.get(topicId) ?? new Set()
      for (const partition of partitions) ofTopic.add(partition)
      assigned.set(topicId, ofTopic)
    }
  }
  for (const [topicId, { name, partitions }] of group.stateTopics.initialized) {
    if (!group.isSubscribedTo(name)) continue
    const ofTopic = assigned.get(topicId)
    if (ofTopic?.size !== partitions.size) return true
    for (const partition of partitions) if (!ofTopic.has(partition)) return true
  }
  return false
}

/** Names of the topics that the group uses once the member is what it says. */
function topicsWith(group: ShareGroup, before: ShareMember, said: ShareMember): string[] {
  const counts = group.subscriptions.copy()
  if (group.members.has(before.memberId)) counts.countNames(before.subscribedTopicNames, -1)
  counts.countNames(said.subscribedTopicNames, 1)
  return [...counts.topics()]
}

interface Target {
  readonly epoch: number
  readonly assignment: Assignment
}

/** What the member shall read; records a new target if one is due. */
function currentTarget(
  { group, records, nowMs }: Draft,
  said: ShareMember,
  groupEpoch: number,
): Target {
  const { groupId, context } = group
  const last = { epoch: group.assignmentEpoch, assignment: group.targetOf(said.memberId) }
  if (last.epoch >= groupEpoch) return last
  const intervalMs = context.setting(groupId, 'share.assignment.interval.ms')
  if (!mayAssign(group.assignedAtMs, intervalMs, nowMs)) return last
  const { initialized } = group.stateTopics
  const assignor = simpleAssignor((topicId, partition) => {
    return initialized.get(topicId)?.partitions.has(partition) === true
  })
  const target = computeTarget(assignor, specOf(group, said), group.targets)
  for (const [memberId, assignment] of target.changed) {
    records.push(targetRecord(groupId, memberId, assignment))
  }
  records.push(targetEpochRecord(groupId, groupEpoch, nowMs))
  context.shared.tell(context.log, nowMs, 'share group has a target', { groupId })
  const assignment = target.assignments.get(said.memberId) ?? noPartitions
  return { epoch: groupEpoch, assignment }
}

function specOf(group: ShareGroup, said: ShareMember) {
  const { topics } = group.context
  const members = new Map<string, MemberSpec>()
  for (const member of new Map(group.members).set(said.memberId, said).values()) {
    const { memberId, rackId, subscribedTopicNames } = member
    const topicIds = new Set(subscribedTopicNames.flatMap((name) => topics.topicIdOf(name) ?? []))
    members.set(memberId, {
      instanceId: null,
      rackId,
      topicIds,
      assignment: group.targetOf(memberId),
    })
  }
  const wishes = new Set([...members.values()].map(({ topicIds }) => [...topicIds].join(' ')))
  const partitionCount = (topicId: Uuid) => {
    const name = topics.topicNameOf(topicId)
    return name === undefined ? undefined : topics.partitionCountOf(name)
  }
  return { members, isHomogeneous: wishes.size === 1, partitionCount }
}

/** Brings the member to the target; topics that it has just unsubscribed from it loses at once. */
function reconciled(
  { group, records }: Draft,
  said: ShareMember,
  { epoch, assignment }: Target,
  hasChanged: boolean,
): ShareMember {
  if (epoch === said.memberEpoch && !hasChanged) return said
  const { topics } = group.context
  const ids = new Set(said.subscribedTopicNames.flatMap((name) => topics.topicIdOf(name) ?? []))
  const assigned = new Map([...assignment].filter(([topicId]) => ids.has(topicId)))
  const isNewEpoch = epoch !== said.memberEpoch
  if (!isNewEpoch && sameAssignment(said.assigned, assigned)) return said
  const after = {
    ...said,
    memberEpoch: epoch,
    previousMemberEpoch: isNewEpoch ? said.memberEpoch : said.previousMemberEpoch,
    assigned,
  }
  records.push(currentRecord(group.groupId, after))
  return after
}

/** Records what is to be set up from now on, so that it is not begun twice. */
function begunInitialization(
  { group, records, nowMs }: Draft,
  before: ShareMember,
  said: ShareMember,
  stateEpoch: number,
): Initialization | null {
  const { topics } = group.context
  const { stateTopics, groupId } = group
  const begun = new Map<Uuid, StateTopic>()
  for (const name of topicsWith(group, before, said)) {
    const topicId = topics.topicIdOf(name)
    if (topicId === undefined) continue
    const done = stateTopics.initialized.get(topicId)?.partitions
    const doing = stateTopics.initializing.get(topicId)
    const isFresh = doing !== undefined && !isPast(doing.sinceMs, initializeRetryMs, nowMs)
    const partitions = new Set<number>()
    for (let index = 0; index < (topics.partitionCountOf(name) ?? 0); index++) {
      const isUnderWay = isFresh && doing.partitions.has(index)
      if (done?.has(index) !== true && !isUnderWay) partitions.add(index)
    }
    if (partitions.size > 0) begun.set(topicId, { name, partitions, sinceMs: nowMs })
  }
  if (begun.size === 0) return null
  records.push(stateTopicsRecord(groupId, initializing(stateTopics, begun)))
  return { groupId, stateEpoch, topics: begun }
}
