/**
 * Tells what lies in a broker's log directories and how much room they have.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const describeLogDirsRequest = message(
  35,
  'DescribeLogDirsRequest',
  { valid: '0-5', flexible: '2+' },
  {
    topics: nullable(array({ topic: string, partitions: array(int32) })), // Null is all partitions.
  },
)
export type DescribeLogDirsRequest = MessageOf<typeof describeLogDirsRequest>

export const describeLogDirsResponse = message(
  35,
  'DescribeLogDirsResponse',
  { valid: '0-5', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: since(3, int16),
    results: array({
      errorCode: int16,
      logDir: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          partitionSize: int64,
          offsetLag: int64,
          isFutureKey: bool,
        }),
      }),
      totalBytes: since(4, withDefault(-1, int64)), // KIP-827.
      usableBytes: since(4, withDefault(-1, int64)),
      isCordoned: since(5, bool),
    }),
  },
)
export type DescribeLogDirsResponse = InputOf<typeof describeLogDirsResponse>
