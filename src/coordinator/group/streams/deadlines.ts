/** The deadlines of a member of a streams group: when it must show up, and give up what it lost. */
import { memberState } from '../modern/reconciliation.ts'
import { expireRebalance, expireSession } from './leave.ts'
import type { StreamsMember } from './member.ts'
import type { StreamsGroup } from './streams-group.ts'

/**
 * After a sign of life, which counts when it comes, however long what it leads to takes to be written, or
 * when the group was loaded. `hasMoved`: the member was told something else
 * than before, and has its whole time for it.
 */
export function startDeadlines(
  { deadlines, groupId, context }: StreamsGroup,
  { memberId, memberEpoch, state, rebalanceTimeoutMs }: StreamsMember,
  hasMoved: boolean,
): void {
  const sessionMs = context.setting(groupId, 'streams.session.timeout.ms')
  deadlines.set('session', memberId, sessionMs, () => expireSession(context, groupId, memberId))
  if (state !== memberState.unrevoked) deadlines.clear('rebalance', memberId)
  else if (hasMoved || !deadlines.isSet('rebalance', memberId)) {
    const expire = () => expireRebalance(context, groupId, memberId, memberEpoch)
    deadlines.set('rebalance', memberId, rebalanceTimeoutMs, expire)
  }
}
