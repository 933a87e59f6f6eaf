/**
 * Deletes groups without members, with their offsets.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, nullable, since, string, withDefault } from '../schema.ts'

export const deleteGroupsRequest = message(
  42,
  'DeleteGroupsRequest',
  { valid: '0-3', flexible: '2+' },
  {
    groupsNames: array(string),
  },
)
export type DeleteGroupsRequest = MessageOf<typeof deleteGroupsRequest>

export const deleteGroupsResponse = message(
  42,
  'DeleteGroupsResponse',
  { valid: '0-3', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    results: array({
      groupId: string,
      errorCode: int16,
      errorMessage: since(3, nullable(string)),
    }),
  },
)
export type DeleteGroupsResponse = InputOf<typeof deleteGroupsResponse>
