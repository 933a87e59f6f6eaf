/**
 * Removes a voter from the metadata quorum (KIP-853).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { int16, int32, message, nullable, string, uuid, withDefault } from '../schema.ts'

export const removeRaftVoterRequest = message(
  81,
  'RemoveRaftVoterRequest',
  { valid: '0', flexible: '0+' },
  {
    clusterId: nullable(string),
    voterId: int32,
    voterDirectoryId: uuid,
  },
)
export type RemoveRaftVoterRequest = MessageOf<typeof removeRaftVoterRequest>

export const removeRaftVoterResponse = message(
  81,
  'RemoveRaftVoterResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
  },
)
export type RemoveRaftVoterResponse = InputOf<typeof removeRaftVoterResponse>
