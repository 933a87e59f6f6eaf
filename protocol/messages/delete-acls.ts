/**
 * Deletes the access control entries that match any of the filters, and tells which these were.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const deleteAclsRequest = message(
  31,
  'DeleteAclsRequest',
  { valid: '0-3', flexible: '2+' },
  {
    filters: array({
      resourceTypeFilter: int8,
      resourceNameFilter: nullable(string),
      patternTypeFilter: since(1, withDefault(3, int8)),
      principalFilter: nullable(string),
      hostFilter: nullable(string),
      operation: int8,
      permissionType: int8,
    }),
  },
)
export type DeleteAclsRequest = MessageOf<typeof deleteAclsRequest>

export const deleteAclsResponse = message(
  31,
  'DeleteAclsResponse',
  { valid: '0-3', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    filterResults: array({
      errorCode: int16,
      errorMessage: nullable(string),
      matchingAcls: array({
        errorCode: int16,
        errorMessage: nullable(string),
        resourceType: int8,
        resourceName: string,
        patternType: since(1, withDefault(3, int8)),
        principal: string,
        host: string,
        operation: int8,
        permissionType: int8,
      }),
    }),
  },
)
export type DeleteAclsResponse = InputOf<typeof deleteAclsResponse>
