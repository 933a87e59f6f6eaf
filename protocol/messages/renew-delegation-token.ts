/**
 * Moves the expiry of a delegation token, up to its end of life.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { bytes, int16, int32, int64, message, withDefault } from '../schema.ts'

export const renewDelegationTokenRequest = message(
  39,
  'RenewDelegationTokenRequest',
  { valid: '0-2', flexible: '2+' },
  {
    hmac: bytes,
    renewPeriodMs: int64,
  },
)
export type RenewDelegationTokenRequest = MessageOf<typeof renewDelegationTokenRequest>

export const renewDelegationTokenResponse = message(
  39,
  'RenewDelegationTokenResponse',
  { valid: '0-2', flexible: '2+' },
  {
    errorCode: int16,
    expiryTimestampMs: int64,
    throttleTimeMs: withDefault(0, int32),
  },
)
export type RenewDelegationTokenResponse = InputOf<typeof renewDelegationTokenResponse>
