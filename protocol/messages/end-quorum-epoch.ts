/**
 * A leader of the metadata quorum resigns and names who should follow it.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  tagged,
  uint16,
  until,
  uuid,
} from '../schema.ts'

const replicaInfo = { candidateId: int32, candidateDirectoryId: uuid }

export const endQuorumEpochRequest = message(
  54,
  'EndQuorumEpochRequest',
  { valid: '0-1', flexible: '1+' },
  {
    clusterId: nullable(string),
    topics: array({
      topicName: string,
      partitions: array({
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: int32,
        preferredSuccessors: until(0, array(int32)),
        preferredCandidates: since(1, array(replicaInfo)),
      }),
    }),
    leaderEndpoints: since(1, array({ name: string, host: string, port: uint16 })),
  },
)
export type EndQuorumEpochRequest = MessageOf<typeof endQuorumEpochRequest>

const nodeEndpoint = { nodeId: int32, host: string, port: uint16 }

export const endQuorumEpochResponse = message(
  54,
  'EndQuorumEpochResponse',
  { valid: '0-1', flexible: '1+' },
  {
    errorCode: int16,
    topics: array({
      topicName: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        leaderId: int32,
        leaderEpoch: int32,
      }),
    }),
    nodeEndpoints: since(1, tagged(0, array(nodeEndpoint))),
  },
)
export type EndQuorumEpochResponse = InputOf<typeof endQuorumEpochResponse>
