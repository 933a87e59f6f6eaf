/**
 * A transaction coordinator has markers written at the end of a transaction's partitions.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, bool, int8, int16, int32, int64, message, since, string } from '../schema.ts'

export const writeTxnMarkersRequest = message(
  27,
  'WriteTxnMarkersRequest',
  { valid: '0-2', flexible: '1+' },
  {
    markers: array({
      producerId: int64,
      producerEpoch: int16,
      transactionResult: bool,
      topics: array({ name: string, partitionIndexes: array(int32) }),
      coordinatorEpoch: int32,
      transactionVersion: since(2, int8),
    }),
  },
)
export type WriteTxnMarkersRequest = MessageOf<typeof writeTxnMarkersRequest>

export const writeTxnMarkersResponse = message(
  27,
  'WriteTxnMarkersResponse',
  { valid: '0-2', flexible: '1+' },
  {
    markers: array({
      producerId: int64,
      topics: array({
        name: string,
        partitions: array({ partitionIndex: int32, errorCode: int16 }),
      }),
    }),
  },
)
export type WriteTxnMarkersResponse = InputOf<typeof writeTxnMarkersResponse>
