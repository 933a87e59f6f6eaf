/**
 * LeaveGroup: members go of their own will, or an operator takes them out, static ones by their
 * group.instance.id alone. What became of each is told one by one; the group rebalances once.
 */
import { type ErrorRow, errors } from '../../../../protocol/errors.ts'
import type { Decision } from '../../shard.ts'
import { nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { Member } from './member.ts'
import { completeUnlessFirst, dropMember, rebalance } from './rebalance.ts'
import { memberError } from './validation.ts'

export interface Leaving {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly reason: string | null
}

export type Left = Omit<Leaving, 'reason'> & { readonly errorCode: number }

export function leaveGroup(
  group: ClassicGroup | null,
  leaving: readonly Leaving[],
): Decision<GroupRecord, Left[]> {
  const reply: Left[] = []
  const reasons: string[] = []
  for (const member of leaving) {
    const { memberId, groupInstanceId, reason } = member
    const { code: errorCode } = group === null ? errors.UNKNOWN_MEMBER_ID : leave(group, member)
    reply.push({ memberId, groupInstanceId, errorCode })
    if (errorCode === 0) reasons.push(`${memberId} left: ${reason ?? 'not provided'}`)
  }
  if (group === null || reasons.length === 0) return { records: [], reply }
  return { ...afterLeaving(group, reasons.join(', ')), reply }
}

function leave(group: ClassicGroup, { memberId, groupInstanceId }: Leaving): ErrorRow {
  if (memberId === '') {
    const holder = groupInstanceId === null ? undefined : group.staticMemberId(groupInstanceId)
    if (holder === undefined) return errors.UNKNOWN_MEMBER_ID
    dropMember(group, group.members.get(holder) as Member)
    return errors.NONE
  }
  if (group.pendingJoins.has(memberId)) {
    group.remove(memberId)
    return errors.NONE
  }
  const error = memberError(group, memberId, groupInstanceId)
  if (error !== null) return error
  dropMember(group, group.members.get(memberId) as Member)
  return errors.NONE
}

function afterLeaving(group: ClassicGroup, reason: string): Decision<GroupRecord, void> {
  switch (group.state) {
    case 'Stable':
    case 'CompletingRebalance':
      return rebalance(group, reason)
    case 'PreparingRebalance':
      return completeUnlessFirst(group)
    case 'Empty':
      return nothing
  }
}
