/**
 * Tells the leader, voters and observers of the metadata quorum and how far each has got (KIP-595,
 * KIP-836).
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
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

export const describeQuorumRequest = message(
  55,
  'DescribeQuorumRequest',
  { valid: '0-2', flexible: '0+' },
  {
    topics: array({ topicName: string, partitions: array({ partitionIndex: int32 }) }),
  },
)
export type DescribeQuorumRequest = MessageOf<typeof describeQuorumRequest>

const replicaState = {
  replicaId: int32,
  replicaDirectoryId: since(2, uuid),
  logEndOffset: int64,
  lastFetchTimestamp: since(1, withDefault(-1, int64)),
  lastCaughtUpTimestamp: since(1, withDefault(-1, int64)),
}

const node = { nodeId: int32, listeners: array({ name: string, host: string, port: uint16 }) }

export const describeQuorumResponse = message(
  55,
  'DescribeQuorumResponse',
  { valid: '0-2', flexible: '0+' },
  {
    errorCode: int16,
    errorMessage: since(2, withDefault('', nullable(string))),
    topics: array({
      topicName: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: since(2, withDefault('', nullable(string))),
        leaderId: int32,
        leaderEpoch: int32,
        highWatermark: int64,
        currentVoters: array(replicaState),
        observers: array(replicaState),
      }),
    }),
    nodes: since(2, array(node)),
  },
)
export type DescribeQuorumResponse = InputOf<typeof describeQuorumResponse>
