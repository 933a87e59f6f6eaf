/**
 * Members that are late go: who was not heard of as long as its session lasts, and who did not give up in
 * time what it lost. Whoever is late finds the group as it is then, or gone.
 */
import type { Decision } from '../../shard.ts'
import { type GroupContext, nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import { memberState } from './reconciliation.ts'
import type { ReconcilingGroup, ReconcilingMember } from './reconciling-group.ts'

/**
 * For one type of group. `find` gives the group, null once it is gone or of another type; `fence` takes a
 * member out.
 */
export function lateMembers<G extends ReconcilingGroup>(
  find: (context: GroupContext, groupId: string) => G | null,
  fence: (group: G, memberId: string) => Decision<GroupRecord, void>,
) {
  const fenceLate = (context: GroupContext, groupId: string, memberId: string, reason: string) => {
    const group = find(context, groupId)
    if (group === null || !group.members.has(memberId)) return nothing
    const fields = { groupId, memberId, reason }
    context.shared.tell(context.log, context.now(), 'a member is out', fields)
    return fence(group, memberId)
  }

  /** The time in which it was to give up something ran out, if it still is in `epoch`. */
  const expireRebalance = (
    context: GroupContext,
    groupId: string,
    { memberId, memberEpoch }: ReconcilingMember,
  ) =>
    find(context, groupId)?.members.get(memberId)?.memberEpoch === memberEpoch
      ? fenceLate(context, groupId, memberId, 'it kept what it was to give up')
      : nothing

  /**
   * After a sign of life, which counts when it comes, however long what it leads to takes to be written, or
   * when the group was loaded. `hasMoved`: the member was told something else than before, and has its whole
   * time for it.
   */
  const startDeadlines = (group: G, member: ReconcilingMember, hasMoved: boolean) => {
    const { deadlines, groupId, context } = group
    const { memberId, state, rebalanceTimeoutMs } = member
    deadlines.set('session', memberId, group.sessionMs(member), () =>
      fenceLate(context, groupId, memberId, 'its session expired'),
    )
    // One of the classic protocol has to join again in time instead (`classic-members.ts`).
    if (state !== memberState.unrevoked || group.isClassic(member)) {
      deadlines.clear('rebalance', memberId)
    } else if (hasMoved || !deadlines.isSet('rebalance', memberId)) {
      const expire = () => expireRebalance(context, groupId, member)
      deadlines.set('rebalance', memberId, rebalanceTimeoutMs, expire)
    }
  }
  return { fenceLate, startDeadlines }
}
