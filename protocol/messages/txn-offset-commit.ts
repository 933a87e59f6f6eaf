/**
 * Stores a group's offsets as a part of a transaction: they count once it commits.
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
  until,
  uuid,
  withDefault,
} from '../schema.ts'

export const txnOffsetCommitRequest = message(
  28,
  'TxnOffsetCommitRequest',
  { valid: '0-6', flexible: '3+' },
  {
    transactionalId: string,
    groupId: string,
    producerId: int64,
    producerEpoch: int16,
    generationIdOrMemberEpoch: since(3, withDefault(-1, int32)),
    memberId: since(3, string),
    groupInstanceId: since(3, nullable(string)),
    topics: array({
      name: until(5, string),
      topicId: since(6, uuid),
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: since(2, withDefault(-1, int32)),
        committedMetadata: nullable(string),
      }),
    }),
  },
)
export type TxnOffsetCommitRequest = MessageOf<typeof txnOffsetCommitRequest>

export const txnOffsetCommitResponse = message(
  28,
  'TxnOffsetCommitResponse',
  { valid: '0-6', flexible: '3+' },
  {
    throttleTimeMs: withDefault(0, int32),
    topics: array({
      name: until(5, string),
      topicId: since(6, uuid),
      partitions: array({ partitionIndex: int32, errorCode: int16 }),
    }),
  },
)
export type TxnOffsetCommitResponse = InputOf<typeof txnOffsetCommitResponse>
