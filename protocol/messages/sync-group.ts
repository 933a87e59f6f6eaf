/**
 * The leader of a generation hands in all assignments, and every member is given its own.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, bytes, int16, int32, message, nullable, since, string } from '../schema.ts'

export const syncGroupRequest = message(
  14,
  'SyncGroupRequest',
  { valid: '0-5', flexible: '4+' },
  {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: since(3, nullable(string)), // KIP-345: static membership.
    protocolType: since(5, nullable(string)), // KIP-559.
    protocolName: since(5, nullable(string)),
    assignments: array({ memberId: string, assignment: bytes }),
  },
)
export type SyncGroupRequest = MessageOf<typeof syncGroupRequest>

export const syncGroupResponse = message(
  14,
  'SyncGroupResponse',
  { valid: '0-5', flexible: '4+' },
  {
    throttleTimeMs: since(1, int32),
    errorCode: int16,
    protocolType: since(5, nullable(string)),
    protocolName: since(5, nullable(string)),
    assignment: bytes,
  },
)
export type SyncGroupResponse = InputOf<typeof syncGroupResponse>
