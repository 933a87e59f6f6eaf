/** The session of a member: who is not heard of for so long has left. */
import type { Decision } from '../../shard.ts'
import { nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import { groupRecord, memberTombstones } from './records.ts'
import type { ShareGroup } from './share-group.ts'

/** (Re)starts the session. */
export function expectSession(group: ShareGroup, memberId: string): void {
  const { context, groupId } = group
  const timeoutMs = context.setting(groupId, 'share.session.timeout.ms')
  group.deadlines.set('session', memberId, timeoutMs, () => {
    if (!group.members.has(memberId)) return nothing
    const message = 'a member of a share group was not heard of'
    context.shared.tell(context.log, context.now(), message, { groupId })
    return removeMember(group, memberId)
  })
}

/** The member goes; what it was to read is others' to have. Its session is to be cleared at the commit. */
export function removeMember(group: ShareGroup, memberId: string): Decision<GroupRecord, void> {
  const { groupId, context } = group
  const counts = group.subscriptions.copy()
  counts.countNames(group.member(memberId).subscribedTopicNames, -1)
  const hash = context.hashes.of(counts.topics())
  return {
    records: [
      ...memberTombstones(groupId, memberId),
      groupRecord(groupId, group.groupEpoch + 1, hash),
    ],
    reply: undefined,
    onCommitted: () => group.deadlines.clearAll(memberId),
  }
}
