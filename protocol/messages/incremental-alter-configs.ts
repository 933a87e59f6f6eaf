/**
 * Changes single settings: sets, deletes, appends to or removes from lists (KIP-339).
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

export const incrementalAlterConfigsRequest = message(
  44,
  'IncrementalAlterConfigsRequest',
  { valid: '0-1', flexible: '1+' },
  {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        configOperation: int8, // 0 set, 1 delete, 2 append, 3 subtract.
        value: nullable(string),
      }),
    }),
    validateOnly: bool,
  },
)
export type IncrementalAlterConfigsRequest = MessageOf<typeof incrementalAlterConfigsRequest>

export const incrementalAlterConfigsResponse = message(
  44,
  'IncrementalAlterConfigsResponse',
  { valid: '0-1', flexible: '1+' },
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
export type IncrementalAlterConfigsResponse = InputOf<typeof incrementalAlterConfigsResponse>
