/**
 * Tells topics and partitions page by page, with the eligible leader replicas (KIP-966).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  message,
  nullable,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

const cursor = { topicName: string, partitionIndex: int32 }

export const describeTopicPartitionsRequest = message(
  75,
  'DescribeTopicPartitionsRequest',
  { valid: '0', flexible: '0+' },
  {
    topics: array({ name: string }),
    responsePartitionLimit: withDefault(2000, int32),
    cursor: nullable(struct(cursor)), // Where the page starts.
  },
)
export type DescribeTopicPartitionsRequest = MessageOf<typeof describeTopicPartitionsRequest>

export const describeTopicPartitionsResponse = message(
  75,
  'DescribeTopicPartitionsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    topics: array({
      errorCode: int16,
      name: nullable(string),
      topicId: uuid,
      isInternal: withDefault(false, bool),
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: withDefault(-1, int32),
        replicaNodes: array(int32),
        isrNodes: array(int32),
        eligibleLeaderReplicas: nullable(array(int32)),
        lastKnownElr: nullable(array(int32)),
        offlineReplicas: array(int32),
      }),
      topicAuthorizedOperations: withDefault(-0x8000_0000, int32),
    }),
    nextCursor: nullable(struct(cursor)),
  },
)
export type DescribeTopicPartitionsResponse = InputOf<typeof describeTopicPartitionsResponse>
