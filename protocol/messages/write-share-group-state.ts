/**
 * A partition's leader stores changes of delivery state with the share coordinator (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  uuid,
  withDefault,
} from '../schema.ts'

export const writeShareGroupStateRequest = message(
  85,
  'WriteShareGroupStateRequest',
  { valid: '0-1', flexible: '0+' },
  {
    groupId: string,
    topics: array({
      topicId: uuid,
      partitions: array({
        partition: int32,
        stateEpoch: int32,
        leaderEpoch: int32,
        startOffset: int64,
        deliveryCompleteCount: since(1, withDefault(-1, int32)),
        stateBatches: array({
          firstOffset: int64,
          lastOffset: int64,
          deliveryState: int8,
          deliveryCount: int16,
        }),
      }),
    }),
  },
)
export type WriteShareGroupStateRequest = MessageOf<typeof writeShareGroupStateRequest>

export const writeShareGroupStateResponse = message(
  85,
  'WriteShareGroupStateResponse',
  { valid: '0-1', flexible: '0+' },
  {
    results: array({
      topicId: uuid,
      partitions: array({ partition: int32, errorCode: int16, errorMessage: nullable(string) }),
    }),
  },
)
export type WriteShareGroupStateResponse = InputOf<typeof writeShareGroupStateResponse>
