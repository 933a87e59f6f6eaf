/**
 * Enters partitions into a transaction before the first write to them. From version 4 brokers use
 * it to verify or enter for their clients (KIP-890).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  int64,
  message,
  since,
  string,
  until,
  withDefault,
} from '../schema.ts'

const addPartitionsToTxnTopic = { name: string, partitions: array(int32) }

const addPartitionsToTxnTransaction = {
  transactionalId: string,
  producerId: int64,
  producerEpoch: int16,
  verifyOnly: withDefault(false, bool),
  topics: array(addPartitionsToTxnTopic),
}

export const addPartitionsToTxnRequest = message(
  24,
  'AddPartitionsToTxnRequest',
  { valid: '0-5', flexible: '3+' },
  {
    transactions: since(4, array(addPartitionsToTxnTransaction)),
    v3AndBelowTransactionalId: until(3, string),
    v3AndBelowProducerId: until(3, int64),
    v3AndBelowProducerEpoch: until(3, int16),
    v3AndBelowTopics: until(3, array(addPartitionsToTxnTopic)),
  },
)
export type AddPartitionsToTxnRequest = MessageOf<typeof addPartitionsToTxnRequest>

const addPartitionsToTxnPartitionResult = { partitionIndex: int32, partitionErrorCode: int16 }

const addPartitionsToTxnTopicResult = {
  name: string,
  resultsByPartition: array(addPartitionsToTxnPartitionResult),
}

const addPartitionsToTxnResult = {
  transactionalId: string,
  topicResults: array(addPartitionsToTxnTopicResult),
}

export const addPartitionsToTxnResponse = message(
  24,
  'AddPartitionsToTxnResponse',
  { valid: '0-5', flexible: '3+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: since(4, int16),
    resultsByTransaction: since(4, array(addPartitionsToTxnResult)),
    resultsByTopicV3AndBelow: until(3, array(addPartitionsToTxnTopicResult)),
  },
)
export type AddPartitionsToTxnResponse = InputOf<typeof addPartitionsToTxnResponse>
