/** Where a share group begins to read a partition of which it has read nothing (KIP-932, KIP-1106). */
import { errors, KafkaError } from '../../../protocol/errors.ts'
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

const iso8601 = /^p(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:[.,]\d{0,9})?)s)?)?$/

/** Milliseconds of an ISO 8601 duration in days, hours, minutes and seconds; null where it is none. */
export function parseDuration(text: string): number | null {
  const match = iso8601.exec(text.toLowerCase())
  if (match === null || /[pt]$/.test(text.toLowerCase())) return null
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => {
    return Number((part ?? '0').replace(',', '.'))
  }) as [number, number, number, number]
  return Math.round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
}
