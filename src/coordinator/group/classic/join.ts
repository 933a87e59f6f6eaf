/**
 * JoinGroup, for members that are not static and not new by their instance id (`static-join.ts`).
 *
 * A member without an id gets one: from version 4 on it must come back with it (KIP-394), so that a
 * client that never hears the answer leaves no member behind. A member with an id joins the
 * rebalance, starts one if what it says changed or it leads the group, and else is told the
 * generation that it is in.
 */
import { type ErrorRow, errors } from '../../../../protocol/errors.ts'
import type {
  JoinGroupRequest,
  JoinGroupResponse,
} from '../../../../protocol/messages/join-group.ts'
import type { Decision } from '../../shard.ts'
import { memberIdBytesMax } from '../config.ts'
import { nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import type { ClassicGroup } from './classic-group.ts'
import { type Join, joined, joinFailed } from './join-answer.ts'
import { type Answer, keptProtocols, type Member, protocolBytes } from './member.ts'
import { addMember, expireMember, updateMember } from './rebalance.ts'
import { joinNewStaticMember } from './static-join.ts'
import { memberError } from './validation.ts'

export const firstVersionWithKnownMemberId = 4

/** A protocol named twice counts as named once, where it came first. */
export function joinGroup(group: ClassicGroup, asked: Join): Decision<GroupRecord, void> {
  const { answer } = asked
  const { memberId } = asked.request
  const protocols = keptProtocols(asked.request.protocols)
  if (protocols === null) return reject(answer, memberId, errors.INVALID_REQUEST)
  const saidBefore = protocolBytes(group.members.get(memberId)?.protocols ?? [])
  if (!group.context.shared.members.hasRoomFor(protocolBytes(protocols) - saidBefore)) {
    return reject(answer, memberId, errors.COORDINATOR_NOT_AVAILABLE)
  }
  const request = { ...asked.request, protocols }
  const join = { ...asked, request }
  if (!hasRoomFor(group, memberId)) {
    group.remove(memberId)
    return reject(answer, '', errors.GROUP_MAX_SIZE_REACHED)
  }
  const names = protocols.map((protocol) => protocol.name)
  if (!group.supports(request.protocolType, names)) {
    return reject(answer, memberId, errors.INCONSISTENT_GROUP_PROTOCOL)
  }
  if (memberId === '') return joinNewMember(group, join)
  return joinKnownMember(group, join)
}

function reject(
  answer: Answer<JoinGroupResponse>,
  memberId: string,
  error: ErrorRow,
): Decision<GroupRecord, void> {
  answer(joinFailed(memberId, error))
  return nothing
}

/**
 * While a rebalance is open, whoever joins first has a place (the size may have been lowered below
 * the number of members); else members have theirs, and others if there is one left.
 */
function hasRoomFor(group: ClassicGroup, memberId: string): boolean {
  const sizeMax = group.context.config().groupMaxSize
  const member = group.members.get(memberId)
  switch (group.state) {
    case 'Empty':
      return true
    case 'PreparingRebalance':
      return member?.isAwaitingJoin || group.awaitingJoinCount < sizeMax
    case 'CompletingRebalance':
    case 'Stable':
      return member !== undefined || group.members.size < sizeMax
  }
}

function joinNewMember(group: ClassicGroup, join: Join): Decision<GroupRecord, void> {
  const { request, caller, answer } = join
  const { groupInstanceId, sessionTimeoutMs } = request
  const memberId = `${groupInstanceId ?? caller.clientId}-${group.context.uuid()}`
  if (Buffer.byteLength(memberId) > memberIdBytesMax) {
    return reject(answer, '', errors.INVALID_REQUEST)
  }
  if (groupInstanceId !== null) return joinNewStaticMember(group, join, groupInstanceId, memberId)
  if (caller.apiVersion < firstVersionWithKnownMemberId) {
    return addMember(group, request, caller, memberId, answer)
  }
  const deadline = group.context.deadline(group, () => expireMember(group, memberId))
  deadline.set(sessionTimeoutMs)
  group.expect(memberId, deadline)
  return reject(answer, memberId, errors.MEMBER_ID_REQUIRED)
}

function joinKnownMember(group: ClassicGroup, join: Join): Decision<GroupRecord, void> {
  const { request, caller, answer } = join
  const { memberId, groupInstanceId } = request
  if (group.pendingJoins.has(memberId)) {
    if (groupInstanceId !== null) return reject(answer, memberId, errors.INVALID_REQUEST)
    return addMember(group, request, caller, memberId, answer)
  }
  const error = memberError(group, memberId, groupInstanceId)
  if (error !== null) return reject(answer, memberId, error)
  const member = group.members.get(memberId) as Member
  if (group.state === 'Empty') return reject(answer, memberId, errors.UNKNOWN_MEMBER_ID)
  if (needsRebalance(group, member, request)) {
    return updateMember(group, member, request, caller, answer)
  }
  answer(joined(group, member))
  return nothing
}

/**
 * Joining again with nothing new to say does not disturb the group: the first answer may have been
 * lost. Except from the leader of a stable group: it joins again when what it assigns has changed.
 */
function needsRebalance(group: ClassicGroup, member: Member, request: JoinGroupRequest): boolean {
  if (group.state === 'PreparingRebalance') return true
  if (group.state === 'Stable' && group.isLeader(member.memberId)) return true
  return !member.hasProtocols(request.protocols)
}
