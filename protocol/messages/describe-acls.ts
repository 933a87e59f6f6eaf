/**
 * Lists the access control entries that match a filter.
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

export const describeAclsRequest = message(
  29,
  'DescribeAclsRequest',
  { valid: '0-3', flexible: '2+' },
  {
    resourceTypeFilter: int8,
    resourceNameFilter: nullable(string),
    patternTypeFilter: since(1, withDefault(3, int8)),
    principalFilter: nullable(string),
    hostFilter: nullable(string),
    operation: int8,
    permissionType: int8,
  },
)
export type DescribeAclsRequest = MessageOf<typeof describeAclsRequest>

export const describeAclsResponse = message(
  29,
  'DescribeAclsResponse',
  { valid: '0-3', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    resources: array({
      resourceType: int8,
      resourceName: string,
      patternType: since(1, withDefault(3, int8)),
      acls: array({
        principal: string,
        host: string,
        operation: int8,
        permissionType: int8,
      }),
    }),
  },
)
export type DescribeAclsResponse = InputOf<typeof describeAclsResponse>
