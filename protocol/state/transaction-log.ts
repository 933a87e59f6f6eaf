/**
 * What a transaction coordinator stores in __transaction_state: the newest state of each
 * transactional id.
 */

import type { MessageOf } from '../schema.ts'
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
  tagged,
  withDefault,
} from '../schema.ts'

/** Names a transactional id. */
export const transactionLogKey = message(
  0,
  'TransactionLogKey',
  { valid: '0', flexible: 'none' },
  {
    transactionalId: string,
  },
)
export type TransactionLogKey = MessageOf<typeof transactionLogKey>

const partitionsSchema = { topic: string, partitionIds: array(int32) }

/** A transactional id's producer, the state of its transaction and the partitions in it. */
export const transactionLogValue = message(
  0,
  'TransactionLogValue',
  { valid: '0-1', flexible: '1+' },
  {
    producerId: int64,
    previousProducerId: since(1, tagged(0, withDefault(-1, int64))), // KIP-890.
    nextProducerId: since(1, tagged(1, withDefault(-1, int64))),
    producerEpoch: int16,
    nextProducerEpoch: since(1, tagged(3, withDefault(-1, int16))),
    transactionTimeoutMs: int32,
    transactionStatus: int8,
    transactionPartitions: nullable(array(partitionsSchema)),
    transactionLastUpdateTimestampMs: int64,
    transactionStartTimestampMs: int64,
    clientTransactionVersion: since(1, tagged(2, int16)), // KIP-890.
  },
)
export type TransactionLogValue = MessageOf<typeof transactionLogValue>

/** The one kind of record in __transaction_state: the key's table, and the value's. */
export const transactionLogRecords = {
  TransactionLog: { key: transactionLogKey, value: transactionLogValue },
}
