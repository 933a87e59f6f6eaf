/**
 * A candidate of the metadata quorum asks for a vote; with preVote only whether it would get it
 * (KIP-595, KIP-996).
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
  tagged,
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

export const voteRequest = message(
  52,
  'VoteRequest',
  { valid: '0-2', flexible: '0+' },
  {
    clusterId: nullable(string),
    voterId: since(1, withDefault(-1, int32)),
    topics: array({
      topicName: string,
      partitions: array({
        partitionIndex: int32,
        replicaEpoch: int32,
        replicaId: int32,
        replicaDirectoryId: since(1, uuid),
        voterDirectoryId: since(1, uuid),
        lastOffsetEpoch: int32,
        lastOffset: int64,
        preVote: since(2, bool),
      }),
    }),
  },
)
export type VoteRequest = MessageOf<typeof voteRequest>

export const voteResponse = message(
  52,
  'VoteResponse',
  { valid: '0-2', flexible: '0+' },
  {
    errorCode: int16,
    topics: array({
      topicName: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        leaderId: int32,
        leaderEpoch: int32,
        voteGranted: bool,
      }),
    }),
    nodeEndpoints: since(1, tagged(0, array({ nodeId: int32, host: string, port: uint16 }))),
  },
)
export type VoteResponse = InputOf<typeof voteResponse>
