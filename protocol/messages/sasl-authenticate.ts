/**
 * Carries one step of a SASL exchange (KIP-152).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { bytes, int16, int64, message, nullable, since, string } from '../schema.ts'

export const saslAuthenticateRequest = message(
  36,
  'SaslAuthenticateRequest',
  { valid: '0-2', flexible: '2+' },
  {
    authBytes: bytes,
  },
)
export type SaslAuthenticateRequest = MessageOf<typeof saslAuthenticateRequest>

export const saslAuthenticateResponse = message(
  36,
  'SaslAuthenticateResponse',
  { valid: '0-2', flexible: '2+' },
  {
    errorCode: int16,
    errorMessage: nullable(string),
    authBytes: bytes,
    sessionLifetimeMs: since(1, int64),
  },
)
export type SaslAuthenticateResponse = InputOf<typeof saslAuthenticateResponse>
