/**
 * A new leader of the metadata quorum tells the voters of its epoch.
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
  uuid,
  withDefault,
} from '../schema.ts'

export const beginQuorumEpochRequest = message(
  53,
  'BeginQuorumEpochRequest',
  { valid: '0-1', flexible: '1+' },
  {
    clusterId: nullable(string),
    voterId: since(1, withDefault(-1, int32)),
    topics: array({
      topicName: string,
      partitions: array({
        partitionIndex: int32,
        voterDirectoryId: since(1, uuid),
        leaderId: int32,
        leaderEpoch: int32,
      }),
    }),
    leaderEndpoints: since(1, array({ name: string, host: string, port: uint16 })),
  },
)
export type BeginQuorumEpochRequest = MessageOf<typeof beginQuorumEpochRequest>

const nodeEndpoint = { nodeId: int32, host: string, port: uint16 }

export const beginQuorumEpochResponse = message(
  53,
  'BeginQuorumEpochResponse',
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
export type BeginQuorumEpochResponse = InputOf<typeof beginQuorumEpochResponse>
