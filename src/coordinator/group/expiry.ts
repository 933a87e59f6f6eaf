/**
 * Offsets that nobody will ask for again (KIP-211), and groups that have nothing left.
 *
 * Offsets expire offsets.retention.minutes after
 *   - the group became empty, if it had members;
 *   - the commit, if the group never had any, or if it is a stable group of consumers none of which
 *     subscribes to the topic any more.
 * In a group of another kind, or in a rebalance, nothing expires, nor does what a transaction that is
 * open is about to replace. An offset committed with a
 * retention of its own keeps to that.
 */
import type { Milliseconds } from '../../environment/environment.ts'
import type { ClassicGroup } from './classic/classic-group.ts'
import { isSubscribedTo } from './classic/subscription.ts'
import { offsetTombstone } from './offset-delete.ts'
import type { CommittedOffset, Offsets } from './offsets.ts'
import type { GroupRecord } from './records.ts'

/** The tombstones of what has expired in `group`, its own included once nothing is left of it. */
export function expireGroup(
  group: ClassicGroup,
  offsets: Offsets,
  retentionMs: Milliseconds,
  nowMs: Milliseconds,
): GroupRecord[] {
  const { groupId } = group
  const records: GroupRecord[] = []
  let isAnyLeft = offsets.isPending(groupId)
  for (const [topic, partitions] of offsets.of(groupId) ?? []) {
    const isInUse = isSubscribedTo(group, topic)
    for (const [partition, offset] of partitions) {
      const isKept = isInUse || offsets.isPending(groupId, topic, partition)
      if (!isKept && isExpired(group, offset, retentionMs, nowMs)) {
        records.push(offsetTombstone(groupId, topic, partition))
      } else {
        isAnyLeft = true
      }
    }
  }
  const isOver = !isAnyLeft && group.state === 'Empty' && group.pendingJoins.size === 0
  if (isOver) records.push({ kind: 'group', groupId, value: null })
  return records
}

function isExpired(
  group: ClassicGroup,
  offset: CommittedOffset,
  retentionMs: Milliseconds,
  nowMs: Milliseconds,
): boolean {
  const sinceMs = retentionStartMs(group, offset)
  if (sinceMs === null) return false
  if (offset.expireTimestampMs !== -1) return nowMs >= offset.expireTimestampMs
  return nowMs - sinceMs >= retentionMs
}

/** When the retention of `offset` began; null while it does not run. */
function retentionStartMs(group: ClassicGroup, offset: CommittedOffset): Milliseconds | null {
  if (group.protocolType === null) return offset.commitTimestampMs
  if (group.state === 'Empty') {
    return group.stateSinceMs === -1 ? offset.commitTimestampMs : group.stateSinceMs
  }
  const isKnown = group.isConsumerGroup && group.topics !== null && group.state === 'Stable'
  return isKnown ? offset.commitTimestampMs : null
}
