/**
 * Adds access control entries.
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

export const createAclsRequest = message(
  30,
  'CreateAclsRequest',
  { valid: '0-3', flexible: '2+' },
  {
    creations: array({
      resourceType: int8,
      resourceName: string,
      resourcePatternType: since(1, withDefault(3, int8)),
      principal: string,
      host: string,
      operation: int8,
      permissionType: int8,
    }),
  },
)
export type CreateAclsRequest = MessageOf<typeof createAclsRequest>

export const createAclsResponse = message(
  30,
  'CreateAclsResponse',
  { valid: '0-3', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    results: array({ errorCode: int16, errorMessage: nullable(string) }),
  },
)
export type CreateAclsResponse = InputOf<typeof createAclsResponse>
