/** Where a share group begins to read a partition of which it has read nothing (KIP-932, KIP-1106). */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { parseDuration } from '../../config/duration.ts'
import { lookUpOffset, offsetSpec } from '../offset-lookup.ts'
import type { Partition } from '../partition.ts'
import type { ShareSettings } from './settings.ts'

/** Rejects with KafkaError where the leader is elsewhere or its log cannot be read. */
export async function initialOffset(
  partition: Partition,
  { autoOffsetReset }: ShareSettings,
  nowMs: number,
): Promise<number> {
  const error = partition.leaderError()
  if (error !== null) throw new KafkaError(error)
  const end = partition.highWatermark
  const reset = autoOffsetReset.toLowerCase()
  if (reset === 'latest') return end
  if (reset === 'earliest') return partition.logStartOffset
  const durationMs = parseDuration(reset.slice('by_duration:'.length))
  if (durationMs === null) throw new KafkaError(errors.INVALID_CONFIG)
  const since = Math.max(offsetSpec.latest + 1, nowMs - durationMs)
  return (await lookUpOffset(partition, since, end))?.offset ?? end
}
