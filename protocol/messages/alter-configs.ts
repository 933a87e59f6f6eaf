/**
 * Replaces the whole configuration of resources; what is left out goes back to its default.
 * Incremental changes have an API of their own.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  message,
  nullable,
  string,
  withDefault,
} from '../schema.ts'

export const alterConfigsRequest = message(
  33,
  'AlterConfigsRequest',
  { valid: '0-2', flexible: '2+' },
  {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configs: array({ name: string, value: nullable(string) }),
    }),
    validateOnly: bool,
  },
)
export type AlterConfigsRequest = MessageOf<typeof alterConfigsRequest>

export const alterConfigsResponse = message(
  33,
  'AlterConfigsResponse',
  { valid: '0-2', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    responses: array({
      errorCode: int16,
      errorMessage: nullable(string),
      resourceType: int8,
      resourceName: string,
    }),
  },
)
export type AlterConfigsResponse = InputOf<typeof alterConfigsResponse>
