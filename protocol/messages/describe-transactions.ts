/**
 * Tells the state of transactions by their transactional ids (KIP-664).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, int64, message, string, withDefault } from '../schema.ts'

export const describeTransactionsRequest = message(
  65,
  'DescribeTransactionsRequest',
  { valid: '0', flexible: '0+' },
  {
    transactionalIds: array(string),
  },
)
export type DescribeTransactionsRequest = MessageOf<typeof describeTransactionsRequest>

export const describeTransactionsResponse = message(
  65,
  'DescribeTransactionsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    transactionStates: array({
      errorCode: int16,
      transactionalId: string,
      transactionState: string,
      transactionTimeoutMs: int32,
      transactionStartTimeMs: int64,
      producerId: int64,
      producerEpoch: int16,
      topics: array({ topic: string, partitions: array(int32) }),
    }),
  },
)
export type DescribeTransactionsResponse = InputOf<typeof describeTransactionsResponse>
