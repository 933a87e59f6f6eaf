/**
 * Offsets that nobody will ask for again (KIP-211), and groups that have nothing left.
 *
 * Offsets of topics to which nobody is subscribed expire offsets.retention.minutes after the moment
 * from which the group counts (`retentionStartMs`): the commit, or when its last member went. What a
 * transaction that is open is about to replace stays. An offset committed with a retention of its own
 * keeps to that.
 */
import type { Milliseconds } from '../../environment/environment.ts'
import type { Group } from './group.ts'
import { offsetTombstone } from './offset-delete.ts'
import type { Offsets } from './offsets.ts'
import type { CommittedOffset } from './partition-offsets.ts'
import type { GroupRecord } from './records.ts'

/** The tombstones of what has expired in `group`, its own included once nothing is left of it. */
export function expireGroup(
  group: Group,
  offsets: Offsets,
  retentionMs: Milliseconds,
  nowMs: Milliseconds,
): GroupRecord[] {
  const { groupId } = group
  if (!group.expires) return []
  const records: GroupRecord[] = []
  let isAnyLeft = offsets.isPending(groupId)
  for (const [topic, partitions] of offsets.of(groupId) ?? []) {
    const isInUse = group.isSubscribedTo(topic)
    for (const [partition, offset] of partitions) {
      const isKept = isInUse || offsets.isPending(groupId, topic, partition)
      if (!isKept && isExpired(group, offset, retentionMs, nowMs)) {
        records.push(offsetTombstone(groupId, topic, partition))
      } else {
        isAnyLeft = true
      }
    }
  }
  if (!isAnyLeft && group.isOver) records.push(...group.tombstones())
  return records
}

function isExpired(
  group: Group,
  offset: CommittedOffset,
  retentionMs: Milliseconds,
  nowMs: Milliseconds,
): boolean {
  const sinceMs = group.retentionStartMs(offset)
  if (sinceMs === null) return false
  if (offset.expireTimestampMs !== -1) return nowMs >= offset.expireTimestampMs
  return nowMs - sinceMs >= retentionMs
}
