/** What a share group sets about delivery: its own values, within the broker's bounds, else the broker's. */
import type { Milliseconds } from '../../environment/environment.ts'

export interface ShareSettings {
  /** share.record.lock.duration.ms. */
  readonly recordLockDurationMs: Milliseconds
  /** share.delivery.count.limit. */
  readonly deliveryCountLimit: number
  /** share.partition.max.record.locks: records of a partition that may be in flight. */
  readonly partitionMaxRecordLocks: number
  /** share.renew.acknowledge.enable (KIP-1222). */
  readonly isRenewEnabled: boolean
  /** share.isolation.level. */
  readonly isReadCommitted: boolean
  /** share.auto.offset.reset: `earliest`, `latest`, or `by_duration:` with an ISO 8601 duration. */
  readonly autoOffsetReset: string
}
