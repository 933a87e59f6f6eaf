/** The answers to JoinGroup: the generation that a member is in now, or why it is in none. */
import type { ErrorRow } from '../../../../protocol/errors.ts'
import type {
  JoinGroupRequest,
  JoinGroupResponse,
} from '../../../../protocol/messages/join-group.ts'
import type { Caller } from '../group.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { Answer, Member } from './member.ts'

/** A JoinGroup request, who sent it, and whom to answer, perhaps much later. */
export interface Join {
  readonly request: JoinGroupRequest
  readonly caller: Caller
  readonly answer: Answer<JoinGroupResponse>
}

/** Fields without a default that a JoinGroup answer without members still needs. */
export const noJoin = { protocolName: null, leader: '', members: [] }

/** The current generation, told to `member`; only its leader hears of the others. */
export function joined(group: ClassicGroup, member: Member): JoinGroupResponse {
  return {
    errorCode: 0,
    generationId: group.generationId,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leaderId ?? '',
    memberId: member.memberId,
    members: group.isLeader(member.memberId) ? membersOf(group) : [],
  }
}

export function membersOf(group: ClassicGroup): JoinGroupResponse['members'] {
  return [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    metadata: member.metadataOf(group.protocolName),
  }))
}

/** `memberId`: as the answer repeats it. */
export function joinFailed(memberId: string, error: ErrorRow): JoinGroupResponse {
  return { errorCode: error.code, memberId, ...noJoin }
}
