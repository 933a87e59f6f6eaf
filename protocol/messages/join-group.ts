/**
 * A member enters a classic group or a new generation of it; the answer comes when the generation
 * is complete, and tells the leader who else is in it.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  bytes,
  int16,
  int32,
  message,
  nullable,
  nullableSince,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const joinGroupRequest = message(
  11,
  'JoinGroupRequest',
  { valid: '0-9', flexible: '6+' },
  {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: since(1, withDefault(-1, int32)), // In version 0 the session timeout.
    memberId: string, // Empty at first; KIP-394 gives out an id.
    groupInstanceId: since(5, nullable(string)), // KIP-345: static membership.
    protocolType: string,
    protocols: array({ name: string, metadata: bytes }),
    reason: since(8, nullable(string)), // KIP-800.
  },
)
export type JoinGroupRequest = MessageOf<typeof joinGroupRequest>

export const joinGroupResponse = message(
  11,
  'JoinGroupResponse',
  { valid: '0-9', flexible: '6+' },
  {
    throttleTimeMs: since(2, int32),
    errorCode: int16,
    generationId: withDefault(-1, int32),
    protocolType: since(7, nullable(string)),
    protocolName: nullableSince(7, string),
    leader: string,
    skipAssignment: since(9, bool), // KIP-814: the leader came back, nothing to assign.
    memberId: string,
    members: array({
      memberId: string,
      groupInstanceId: since(5, nullable(string)),
      metadata: bytes,
    }),
  },
)
export type JoinGroupResponse = InputOf<typeof joinGroupResponse>
