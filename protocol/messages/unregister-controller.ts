/**
 * Removes the registration of a controller that is gone for good.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { int16, int32, message, nullable, string, withDefault } from '../schema.ts'

export const unregisterControllerRequest = message(
  94,
  'UnregisterControllerRequest',
  { valid: '0', flexible: '0+' },
  {
    controllerId: int32,
  },
)
export type UnregisterControllerRequest = MessageOf<typeof unregisterControllerRequest>

export const unregisterControllerResponse = message(
  94,
  'UnregisterControllerResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
  },
)
export type UnregisterControllerResponse = InputOf<typeof unregisterControllerResponse>
