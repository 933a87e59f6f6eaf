/**
 * Removes the registration of a broker that is gone for good.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { int16, int32, message, nullable, string, withDefault } from '../schema.ts'

export const unregisterBrokerRequest = message(
  64,
  'UnregisterBrokerRequest',
  { valid: '0', flexible: '0+' },
  {
    brokerId: int32,
  },
)
export type UnregisterBrokerRequest = MessageOf<typeof unregisterBrokerRequest>

export const unregisterBrokerResponse = message(
  64,
  'UnregisterBrokerResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
  },
)
export type UnregisterBrokerResponse = InputOf<typeof unregisterBrokerResponse>
