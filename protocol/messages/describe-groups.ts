/**
 * Tells an administrator the state and members of classic groups.
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
  since,
  string,
  withDefault,
} from '../schema.ts'

export const describeGroupsRequest = message(
  15,
  'DescribeGroupsRequest',
  { valid: '0-6', flexible: '5+' },
  {
    groups: array(string),
    includeAuthorizedOperations: since(3, bool),
  },
)
export type DescribeGroupsRequest = MessageOf<typeof describeGroupsRequest>

export const describeGroupsResponse = message(
  15,
  'DescribeGroupsResponse',
  { valid: '0-6', flexible: '5+' },
  {
    throttleTimeMs: since(1, int32),
    groups: array({
      errorCode: int16,
      errorMessage: since(6, nullable(string)),
      groupId: string,
      groupState: string,
      protocolType: string,
      protocolData: string,
      members: array({
        memberId: string,
        groupInstanceId: since(4, nullable(string)), // KIP-345: static membership.
        clientId: string,
        clientHost: string,
        memberMetadata: bytes,
        memberAssignment: bytes,
      }),
      authorizedOperations: since(3, withDefault(-0x8000_0000, int32)),
    }),
  },
)
export type DescribeGroupsResponse = InputOf<typeof describeGroupsResponse>
