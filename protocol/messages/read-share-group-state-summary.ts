/**
 * Reads where a share group's partitions start, without their delivery state (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
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

export const readShareGroupStateSummaryRequest = message(
  87,
  'ReadShareGroupStateSummaryRequest',
  { valid: '0-1', flexible: '0+' },
  {
    groupId: string,
    topics: array({
      topicId: uuid,
      partitions: array({ partition: int32, leaderEpoch: int32 }),
    }),
  },
)
export type ReadShareGroupStateSummaryRequest = MessageOf<typeof readShareGroupStateSummaryRequest>

export const readShareGroupStateSummaryResponse = message(
  87,
  'ReadShareGroupStateSummaryResponse',
  { valid: '0-1', flexible: '0+' },
  {
    results: array({
      topicId: uuid,
      partitions: array({
        partition: int32,
        errorCode: int16,
        errorMessage: nullable(string),
        stateEpoch: int32,
        leaderEpoch: int32,
        startOffset: int64,
        deliveryCompleteCount: since(1, withDefault(-1, int32)),
      }),
    }),
  },
)
export type ReadShareGroupStateSummaryResponse = InputOf<typeof readShareGroupStateSummaryResponse>
