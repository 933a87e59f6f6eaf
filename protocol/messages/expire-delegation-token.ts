/**
 * Ends a delegation token earlier, or at once when the period is negative.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { bytes, int16, int32, int64, message, withDefault } from '../schema.ts'

export const expireDelegationTokenRequest = message(
  40,
  'ExpireDelegationTokenRequest',
  { valid: '0-2', flexible: '2+' },
  {
    hmac: bytes,
    expiryTimePeriodMs: int64,
  },
)
export type ExpireDelegationTokenRequest = MessageOf<typeof expireDelegationTokenRequest>

export const expireDelegationTokenResponse = message(
  40,
  'ExpireDelegationTokenResponse',
  { valid: '0-2', flexible: '2+' },
  {
    errorCode: int16,
    expiryTimestampMs: int64,
    throttleTimeMs: withDefault(0, int32),
  },
)
export type ExpireDelegationTokenResponse = InputOf<typeof expireDelegationTokenResponse>
