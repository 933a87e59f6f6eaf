/**
 * Members leave a classic group before their sessions time out. From version 3 an administrator
 * can remove several (KIP-345).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, nullable, since, string, until } from '../schema.ts'

const memberIdentity = {
  memberId: string,
  groupInstanceId: nullable(string), // KIP-345: static membership.
  reason: since(5, nullable(string)), // KIP-800.
}

export const leaveGroupRequest = message(
  13,
  'LeaveGroupRequest',
  { valid: '0-5', flexible: '4+' },
  {
    groupId: string,
    memberId: until(2, string),
    members: since(3, array(memberIdentity)),
  },
)
export type LeaveGroupRequest = MessageOf<typeof leaveGroupRequest>

const memberResponse = { memberId: string, groupInstanceId: nullable(string), errorCode: int16 }

export const leaveGroupResponse = message(
  13,
  'LeaveGroupResponse',
  { valid: '0-5', flexible: '4+' },
  {
    throttleTimeMs: since(1, int32),
    errorCode: int16,
    members: since(3, array(memberResponse)),
  },
)
export type LeaveGroupResponse = InputOf<typeof leaveGroupResponse>
