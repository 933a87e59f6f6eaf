/**
 * A member of a classic group says that it is alive; the answer tells it whether the group is
 * rebalancing.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { int16, int32, message, nullable, since, string } from '../schema.ts'

export const heartbeatRequest = message(
  12,
  'HeartbeatRequest',
  { valid: '0-4', flexible: '4+' },
  {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: since(3, nullable(string)), // KIP-345: static membership.
  },
)
export type HeartbeatRequest = MessageOf<typeof heartbeatRequest>

export const heartbeatResponse = message(
  12,
  'HeartbeatResponse',
  { valid: '0-4', flexible: '4+' },
  {
    throttleTimeMs: since(1, int32),
    errorCode: int16,
  },
)
export type HeartbeatResponse = InputOf<typeof heartbeatResponse>
