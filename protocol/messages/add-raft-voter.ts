/**
 * Adds a voter to the metadata quorum (KIP-853).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

export const addRaftVoterRequest = message(
  80,
  'AddRaftVoterRequest',
  { valid: '0-1', flexible: '0+' },
  {
    clusterId: nullable(string),
    timeoutMs: int32,
    voterId: int32,
    voterDirectoryId: uuid,
    listeners: array({ name: string, host: string, port: uint16 }),
    ackWhenCommitted: since(1, withDefault(true, bool)),
  },
)
export type AddRaftVoterRequest = MessageOf<typeof addRaftVoterRequest>

export const addRaftVoterResponse = message(
  80,
  'AddRaftVoterResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
  },
)
export type AddRaftVoterResponse = InputOf<typeof addRaftVoterResponse>
