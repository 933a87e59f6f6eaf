/**
 * The file in which a member of the metadata quorum keeps its epoch and its vote. Kafka writes it
 * as JSON, with these fields and the version beside them.
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
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

/** The newest epoch, its leader if known, and for whom this node voted in it. */
export const quorumStateData = message(
  null,
  'QuorumStateData',
  { valid: '0-1', flexible: '0+' },
  {
    clusterId: until(0, string),
    leaderId: withDefault(-1, int32),
    leaderEpoch: withDefault(-1, int32),
    votedId: withDefault(-1, int32),
    votedDirectoryId: since(1, uuid), // KIP-853.
    appliedOffset: until(0, int64),
    currentVoters: until(0, withDefault([], nullable(array({ voterId: int32 })))),
  },
)
export type QuorumStateData = MessageOf<typeof quorumStateData>
