/**
 * Asks where an epoch of the partition's leader ended, so that a reader finds out whether the log
 * was truncated under it (KIP-101, KIP-320).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, int64, message, since, string, withDefault } from '../schema.ts'

export const offsetForLeaderEpochRequest = message(
  23,
  'OffsetForLeaderEpochRequest',
  { valid: '0-4', flexible: '4+' },
  {
    replicaId: since(3, withDefault(-2, int32)), // -1 for a consumer, -2 for one that sees all.
    topics: array({
      topic: string,
      partitions: array({
        partition: int32,
        currentLeaderEpoch: since(2, withDefault(-1, int32)), // KIP-320: checked unless -1.
        leaderEpoch: int32,
      }),
    }),
  },
)
export type OffsetForLeaderEpochRequest = MessageOf<typeof offsetForLeaderEpochRequest>

export const offsetForLeaderEpochResponse = message(
  23,
  'OffsetForLeaderEpochResponse',
  { valid: '0-4', flexible: '4+' },
  {
    throttleTimeMs: since(2, int32),
    topics: array({
      topic: string,
      partitions: array({
        errorCode: int16,
        partition: int32,
        leaderEpoch: since(1, withDefault(-1, int32)),
        endOffset: withDefault(-1, int64),
      }),
    }),
  },
)
export type OffsetForLeaderEpochResponse = InputOf<typeof offsetForLeaderEpochResponse>
