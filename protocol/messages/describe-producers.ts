/**
 * Tells which producers have state in partitions, and which have a transaction open there
 * (KIP-664).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, int64, message, nullable, string, withDefault } from '../schema.ts'

export const describeProducersRequest = message(
  61,
  'DescribeProducersRequest',
  { valid: '0', flexible: '0+' },
  {
    topics: array({ name: string, partitionIndexes: array(int32) }),
  },
)
export type DescribeProducersRequest = MessageOf<typeof describeProducersRequest>

export const describeProducersResponse = message(
  61,
  'DescribeProducersResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: nullable(string),
        activeProducers: array({
          producerId: int64,
          producerEpoch: int32,
          lastSequence: withDefault(-1, int32),
          lastTimestamp: withDefault(-1, int64),
          coordinatorEpoch: int32,
          currentTxnStartOffset: withDefault(-1, int64),
        }),
      }),
    }),
  },
)
export type DescribeProducersResponse = InputOf<typeof describeProducersResponse>
