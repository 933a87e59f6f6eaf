/**
 * Sets or removes quotas of users, client ids and addresses (KIP-546).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  float64,
  int16,
  int32,
  message,
  nullable,
  string,
  withDefault,
} from '../schema.ts'

const entityData = { entityType: string, entityName: nullable(string) }

export const alterClientQuotasRequest = message(
  49,
  'AlterClientQuotasRequest',
  { valid: '0-1', flexible: '1+' },
  {
    entries: array({
      entity: array(entityData),
      ops: array({ key: string, value: float64, remove: bool }),
    }),
    validateOnly: bool,
  },
)
export type AlterClientQuotasRequest = MessageOf<typeof alterClientQuotasRequest>

export const alterClientQuotasResponse = message(
  49,
  'AlterClientQuotasResponse',
  { valid: '0-1', flexible: '1+' },
  {
    throttleTimeMs: withDefault(0, int32),
    entries: array({
      errorCode: int16,
      errorMessage: nullable(string),
      entity: array(entityData),
    }),
  },
)
export type AlterClientQuotasResponse = InputOf<typeof alterClientQuotasResponse>
