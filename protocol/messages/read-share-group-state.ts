/**
 * A partition's leader reads the delivery state that the share coordinator keeps (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int8, int16, int32, int64, message, nullable, string, uuid } from '../schema.ts'

export const readShareGroupStateRequest = message(
  84,
  'ReadShareGroupStateRequest',
  { valid: '0', flexible: '0+' },
  {
    groupId: string,
    topics: array({
      topicId: uuid,
      partitions: array({ partition: int32, leaderEpoch: int32 }),
    }),
  },
)
export type ReadShareGroupStateRequest = MessageOf<typeof readShareGroupStateRequest>

export const readShareGroupStateResponse = message(
  84,
  'ReadShareGroupStateResponse',
  { valid: '0', flexible: '0+' },
  {
    results: array({
      topicId: uuid,
      partitions: array({
        partition: int32,
        errorCode: int16,
        errorMessage: nullable(string),
        stateEpoch: int32,
        startOffset: int64,
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
export type ReadShareGroupStateResponse = InputOf<typeof readShareGroupStateResponse>
