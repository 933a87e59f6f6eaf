/** The deadlines of a member of a consumer group: when it must show up, and give up what it lost. */
import { memberState } from '../modern/reconciliation.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { expireRebalance, expireSession } from './leave.ts'
import type { ConsumerMember } from './member.ts'

/**
 * After a sign of life, which counts when it comes, however long what it leads to takes to be written, or
 * when the group was loaded. `hasMoved`: the member was told something else
 * than before, and has its whole time for it.
 */
export function startDeadlines(
  { deadlines, groupId, context }: ConsumerGroup,
  { memberId, memberEpoch, state, rebalanceTimeoutMs, classic }: ConsumerMember,
  hasMoved: boolean,
): void {
  const sessionMs =
    classic?.sessionTimeoutMs ?? context.setting(groupId, 'consumer.session.timeout.ms')
  deadlines.set('session', memberId, sessionMs, () => expireSession(context, groupId, memberId))
  // One of the classic protocol has to join again in time instead (`classic-members.ts`).
  if (state !== memberState.unrevoked || classic !== null) {
    deadlines.clear('rebalance', memberId)
  } else if (hasMoved || !deadlines.isSet('rebalance', memberId)) {
    const expire = () => expireRebalance(context, groupId, memberId, memberEpoch)
    deadlines.set('rebalance', memberId, rebalanceTimeoutMs, expire)
  }
}
