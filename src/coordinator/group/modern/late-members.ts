/**
 * Members that are late go: who was not heard of as long as its session lasts, and who did not give up in
 * time what it lost. Whoever is late finds the group as it is then, or gone.
 */
import type { Decision } from '../../shard.ts'
import { type GroupContext, nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import type { ModernGroup } from './modern-group.ts'

/**
 * For one type of group. `find` gives the group, null once it is gone or of another type; `fence` takes a
 * member out.
 */
export function lateMembers<G extends ModernGroup>(
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
  return {
    fenceLate,
    /** The session of the member ran out. */
    expireSession: (context: GroupContext, groupId: string, memberId: string) =>
      fenceLate(context, groupId, memberId, 'its session expired'),
    /** The time in which it was to give up something ran out, if it still is in `epoch`. */
    expireRebalance: (context: GroupContext, groupId: string, memberId: string, epoch: number) =>
      find(context, groupId)?.members.get(memberId)?.memberEpoch === epoch
        ? fenceLate(context, groupId, memberId, 'it kept what it was to give up')
        : nothing,
  }
}
