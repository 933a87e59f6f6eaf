/**
 * Lists the groups that this broker coordinates, by state (KIP-518) and type (KIP-848) if asked.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, since, string } from '../schema.ts'

export const listGroupsRequest = message(
  16,
  'ListGroupsRequest',
  { valid: '0-5', flexible: '3+' },
  {
    statesFilter: since(4, array(string)), // KIP-518: empty is all states.
    typesFilter: since(5, array(string)), // KIP-848: empty is all types.
  },
)
export type ListGroupsRequest = MessageOf<typeof listGroupsRequest>

export const listGroupsResponse = message(
  16,
  'ListGroupsResponse',
  { valid: '0-5', flexible: '3+' },
  {
    throttleTimeMs: since(1, int32),
    errorCode: int16,
    groups: array({
      groupId: string,
      protocolType: string,
      groupState: since(4, string),
      groupType: since(5, string),
    }),
  },
)
export type ListGroupsResponse = InputOf<typeof listGroupsResponse>
