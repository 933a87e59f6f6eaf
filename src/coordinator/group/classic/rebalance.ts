/**
 * The join phase of a rebalance: opening it, waiting for the members, closing it with a new
 * generation.
 *
 * Every function here changes who is in the group and returns what must be recorded: an emptied
 * generation at once, any other when its leader has assigned it (`sync.ts`).
 */
import { errors } from '../../../../protocol/errors.ts'
import type {
  JoinGroupRequest,
  JoinGroupResponse,
} from '../../../../protocol/messages/join-group.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import { newMemberJoinTimeoutMs } from '../config.ts'
import { type Caller, nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import { answerSyncs } from './assignment.ts'
import type { ClassicGroup } from './classic-group.ts'
import { generationRecord } from './generation-record.ts'
import { HandOut } from './hand-out.ts'
import { joined, noJoin } from './join-answer.ts'
import { type Answer, Member, type Membership } from './member.ts'

export function membershipOf(
  request: JoinGroupRequest,
  caller: Caller,
  memberId: string,
): Membership {
  // Version 0 knows only one timeout.
  const { sessionTimeoutMs, rebalanceTimeoutMs } = request
  return {
    memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: caller.clientId,
    clientHost: caller.clientHost,
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    sessionTimeoutMs,
    // Copies: the originals are slices of the request's frame, which they would keep in memory.
    protocols: request.protocols.map(({ name, metadata }) => ({
      name,
      metadata: Buffer.from(metadata),
    })),
  }
}

export function addMember(
  group: ClassicGroup,
  request: JoinGroupRequest,
  caller: Caller,
  memberId: string,
  answer: Answer<JoinGroupResponse>,
): Decision<GroupRecord, void> {
  const session = group.context.deadline(group, () => expireMember(group, memberId))
  const member = new Member(membershipOf(request, caller, memberId), session)
  member.isNew = true
  member.joinAnswer = answer
  if (isFirstRebalance(group)) group.newMemberAdded = true
  if (group.members.size === 0) group.protocolType = request.protocolType
  group.add(member)
  member.session.set(newMemberJoinTimeoutMs)
  return rebalance(group, `new member ${memberId}: ${reasonOf(request)}`)
}

export function updateMember(
  group: ClassicGroup,
  member: Member,
  request: JoinGroupRequest,
  caller: Caller,
  answer: Answer<JoinGroupResponse>,
): Decision<GroupRecord, void> {
  group.update(member, membershipOf(request, caller, member.memberId))
  group.parkJoin(member, answer)
  return rebalance(group, `member ${member.memberId} joined again: ${reasonOf(request)}`)
}

/** Reasons are logged, and a client may say what it likes. */
const reasonLengthMax = 255

export function reasonOf(request: JoinGroupRequest): string {
  return request.reason?.slice(0, reasonLengthMax) ?? 'not provided'
}

function tell({ context }: ClassicGroup, message: string, fields: { groupId: string }): void {
  context.shared.tell(context.log, context.now(), message, fields)
}

/**
 * Takes a member out as dead. A JoinGroup it left parked is answered, in case its client still
 * waits.
 */
function removeMember(
  group: ClassicGroup,
  member: Member,
  reason: string,
): Decision<GroupRecord, void> {
  dropMember(group, member)
  if (group.state === 'Stable' || group.state === 'CompletingRebalance') {
    return rebalance(group, reason)
  }
  return completeIfAllJoined(group)
}

/** As `removeMember`, leaving it to the caller to see what that means for the group. */
export function dropMember(group: ClassicGroup, member: Member): void {
  group.answerJoin(member, { memberId: '', errorCode: errors.UNKNOWN_MEMBER_ID.code, ...noJoin })
  group.remove(member.memberId)
}

/**
 * The session of `memberId` ran out, or the time in which it was to join with the id it was given.
 */
export function expireMember(group: ClassicGroup, memberId: string): Decision<GroupRecord, void> {
  if (group.pendingJoins.has(memberId)) {
    group.remove(memberId)
    return completeIfAllJoined(group)
  }
  const member = group.members.get(memberId)
  if (member === undefined || member.hasSatisfiedHeartbeat) return nothing
  group.context.log.debug('member expired', { groupId: group.groupId, memberId })
  return removeMember(group, member, `session of ${memberId} expired`)
}

/** Opens a rebalance, or, if one is open, closes it if nobody is missing any more. */
export function rebalance(group: ClassicGroup, reason: string): Decision<GroupRecord, void> {
  return group.state === 'PreparingRebalance'
    ? completeUnlessFirst(group)
    : prepareRebalance(group, reason)
}

/**
 * The first rebalance of an empty group ends by its delay alone; any other when all have joined.
 */
export function completeUnlessFirst(group: ClassicGroup): Decision<GroupRecord, void> {
  return isFirstRebalance(group) ? nothing : completeIfAllJoined(group)
}

function completeIfAllJoined(group: ClassicGroup): Decision<GroupRecord, void> {
  const isComplete = group.state === 'PreparingRebalance' && group.hasAllMembersJoined
  return isComplete ? completeJoin(group) : nothing
}

function isFirstRebalance(group: ClassicGroup): boolean {
  return group.state === 'PreparingRebalance' && group.previousState === 'Empty'
}

export function prepareRebalance(group: ClassicGroup, reason: string): Decision<GroupRecord, void> {
  if (group.state === 'CompletingRebalance') answerSyncs(group, errors.REBALANCE_IN_PROGRESS)
  group.pendingSyncs.clear()
  group.clearSyncDeadline()
  const { groupId, generationId, state } = group
  const fields = { groupId, generationId, state, reason: reason.slice(0, reasonLengthMax * 2) }
  tell(group, 'group rebalances', fields)
  const isFirst = state === 'Empty'
  group.moveTo('PreparingRebalance')
  if (isFirst) {
    const delayMs = group.context.config().groupInitialRebalanceDelayMs
    awaitMoreMembers(group, delayMs, Math.max(group.rebalanceTimeoutMs - delayMs, 0))
    return nothing
  }
  if (group.hasAllMembersJoined) return completeJoin(group)
  group.scheduleJoin(group.rebalanceTimeoutMs, () => completeJoin(group))
  return nothing
}

/**
 * Waits `delayMs` for more members before the first generation, and again each time somebody came
 * in the meantime, `remainingMs` longer at the most (KIP-134).
 */
function awaitMoreMembers(
  group: ClassicGroup,
  delayMs: Milliseconds,
  remainingMs: Milliseconds,
): void {
  group.scheduleJoin(delayMs, () => {
    if (!group.newMemberAdded || remainingMs === 0) return completeJoin(group)
    group.newMemberAdded = false
    const initialDelayMs = group.context.config().groupInitialRebalanceDelayMs
    const nextDelayMs = Math.min(initialDelayMs, remainingMs)
    awaitMoreMembers(group, nextDelayMs, Math.max(remainingMs - delayMs, 0))
    return nothing
  })
}

/**
 * Closes the join phase with whoever joined. Dynamic members that did not are out; static members
 * stay for as long as their session lasts. If nobody joined but static members are left, waits once
 * more.
 */
function completeJoin(group: ClassicGroup): Decision<GroupRecord, void> {
  group.clearJoinDeadline()
  for (const member of [...group.members.values()]) {
    const isMissing = !member.isAwaitingJoin && member.groupInstanceId === null
    if (isMissing) group.remove(member.memberId)
  }
  if (group.members.size > 0 && !electLeader(group)) {
    group.scheduleJoin(group.rebalanceTimeoutMs, () => completeJoin(group))
    return nothing
  }
  group.newMemberAdded = false
  group.nextGeneration()
  const { groupId, generationId } = group
  const fields = {
    groupId,
    generationId,
    members: group.members.size,
    protocol: group.protocolName,
  }
  tell(group, 'group has a generation', fields)
  if (group.state === 'Empty') return { records: [generationRecord(group)], reply: undefined }
  const handOut = new HandOut()
  for (const member of group.members.values()) {
    const answer = group.takeJoin(member)
    if (answer === null) member.touch()
    else handOut.add(answer, joined(group, member), () => group.touch(member))
    member.isNew = false
    group.pendingSyncs.add(member.memberId)
  }
  handOut.begin(group.context)
  group.scheduleSync(group.rebalanceTimeoutMs, () => expirePendingSyncs(group, generationId))
  return nothing
}

/** A leader that did not join makes place for a member that did. False if nobody did. */
function electLeader(group: ClassicGroup): boolean {
  const leader = group.leaderId === null ? undefined : group.members.get(group.leaderId)
  if (leader?.isAwaitingJoin) return true
  for (const member of group.members.values()) {
    if (!member.isAwaitingJoin) continue
    group.leaderId = member.memberId
    return true
  }
  return false
}

/**
 * Members that joined a generation and did not ask for their part of it in time are out (KIP-266).
 */
function expirePendingSyncs(
  group: ClassicGroup,
  generationId: number,
): Decision<GroupRecord, void> {
  const isOver = group.state === 'Empty' || group.state === 'PreparingRebalance'
  if (isOver || group.generationId !== generationId || group.pendingSyncs.size === 0) return nothing
  const late = [...group.pendingSyncs]
  for (const memberId of late) group.remove(memberId)
  return prepareRebalance(group, `no SyncGroup came from ${late.join(', ')}`)
}
