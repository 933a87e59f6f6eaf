/**
 * Tells from where share groups read partitions (KIP-932).
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

export const describeShareGroupOffsetsRequest = message(
  90,
  'DescribeShareGroupOffsetsRequest',
  { valid: '0-1', flexible: '0+' },
  {
    groups: array({
      groupId: string,
      topics: nullable(array({ topicName: string, partitions: array(int32) })),
    }),
  },
)
export type DescribeShareGroupOffsetsRequest = MessageOf<typeof describeShareGroupOffsetsRequest>

export const describeShareGroupOffsetsResponse = message(
  90,
  'DescribeShareGroupOffsetsResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    groups: array({
      groupId: string,
      topics: array({
        topicName: string,
        topicId: uuid,
        partitions: array({
          partitionIndex: int32,
          startOffset: int64,
          leaderEpoch: int32,
          lag: since(1, withDefault(-1, int64)),
          errorCode: int16,
          errorMessage: nullable(string),
        }),
      }),
      errorCode: int16,
      errorMessage: nullable(string),
    }),
  },
)
export type DescribeShareGroupOffsetsResponse = InputOf<typeof describeShareGroupOffsetsResponse>
