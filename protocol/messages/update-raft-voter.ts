/**
 * A voter tells the leader of the metadata quorum its endpoints and the versions it supports
 * (KIP-853).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  message,
  nullable,
  string,
  struct,
  tagged,
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

export const updateRaftVoterRequest = message(
  82,
  'UpdateRaftVoterRequest',
  { valid: '0', flexible: '0+' },
  {
    clusterId: nullable(string),
    currentLeaderEpoch: int32,
    voterId: int32,
    voterDirectoryId: uuid,
    listeners: array({ name: string, host: string, port: uint16 }),
    kRaftVersionFeature: struct({ minSupportedVersion: int16, maxSupportedVersion: int16 }),
  },
)
export type UpdateRaftVoterRequest = MessageOf<typeof updateRaftVoterRequest>

const currentLeader = {
  leaderId: withDefault(-1, int32),
  leaderEpoch: withDefault(-1, int32),
  host: string,
  port: int32,
}

export const updateRaftVoterResponse = message(
  82,
  'UpdateRaftVoterResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    currentLeader: tagged(0, struct(currentLeader)),
  },
)
export type UpdateRaftVoterResponse = InputOf<typeof updateRaftVoterResponse>
