/**
 * A static member (KIP-345) that joins without a member id: a process that started, or started
 * again.
 *
 * If its group.instance.id is taken, it takes the place of the member that held it, and that one is
 * fenced. In a stable group whose protocol stays the same nobody else notices: the new member gets
 * the old one's part, as soon as that is recorded.
 */
import { type ErrorRow, errors } from '../../../../protocol/errors.ts'
import type { Decision } from '../../shard.ts'
import type { GroupRecord } from '../records.ts'
import type { ClassicGroup } from './classic-group.ts'
import { generationRecord } from './generation-record.ts'
import { type Join, joined, joinFailed, membersOf, noJoin } from './join-answer.ts'
import { Member, noBytes } from './member.ts'
import {
  addMember,
  completeUnlessFirst,
  expireMember,
  membershipOf,
  prepareRebalance,
  reasonOf,
  rebalance,
} from './rebalance.ts'

/** From here on the leader may be told to keep the assignment (KIP-814). */
const firstVersionWithSkipAssignment = 9

export function joinNewStaticMember(
  group: ClassicGroup,
  join: Join,
  groupInstanceId: string,
  memberId: string,
): Decision<GroupRecord, void> {
  const oldMemberId = group.staticMemberId(groupInstanceId)
  const old = oldMemberId === undefined ? undefined : group.members.get(oldMemberId)
  if (old === undefined) return addMember(group, join.request, join.caller, memberId, join.answer)

  const leaderBefore = group.leaderId
  const member = takeOver(group, old, join, memberId)
  const reason = `static member ${groupInstanceId} came back: ${reasonOf(join.request)}`
  switch (group.state) {
    case 'Stable':
      if (group.selectProtocol() !== group.protocolName) return rebalance(group, reason)
      return recordTakeover(group, old, member, join, leaderBefore)
    case 'CompletingRebalance':
      // The leader assigns to the old member's id at this moment: it has to do so again.
      return prepareRebalance(group, reason)
    default:
      return completeUnlessFirst(group)
  }
}

function takeOver(group: ClassicGroup, old: Member, join: Join, memberId: string): Member {
  const { request, caller, answer } = join
  fence(group, old)
  const session = group.context.deadline(group, () => expireMember(group, memberId))
  const membership = membershipOf(request, caller, memberId)
  const { clientId, clientHost } = old
  const member = new Member({ ...membership, clientId, clientHost }, session)
  member.assignment = old.assignment
  member.joinAnswer = answer
  group.replaceStatic(old, member)
  member.touch()
  return member
}

function fence(group: ClassicGroup, old: Member): void {
  const errorCode = errors.FENCED_INSTANCE_ID.code
  group.answerJoin(old, { errorCode, memberId: old.memberId, ...noJoin })
  old.answerSync({ errorCode, assignment: noBytes })
}

function recordTakeover(
  group: ClassicGroup,
  old: Member,
  member: Member,
  join: Join,
  leaderBefore: string | null,
): Decision<GroupRecord, void> {
  return {
    records: [generationRecord(group)],
    reply: undefined,
    onCommitted: () => {
      const canSkip = join.caller.apiVersion >= firstVersionWithSkipAssignment
      const isLeader = group.isLeader(member.memberId)
      const response = joined(group, member)
      group.answerJoin(
        member,
        canSkip
          ? { ...response, members: isLeader ? membersOf(group) : [], skipAssignment: isLeader }
          : // An older leader would assign anew if it knew that it leads.
            { ...response, members: [], leader: leaderBefore ?? '' },
      )
    },
    onFailed: (error: ErrorRow) => {
      group.answerJoin(member, joinFailed('', error))
      if (group.members.get(member.memberId) !== member) return
      group.replaceStatic(member, old)
      old.touch()
    },
  }
}
