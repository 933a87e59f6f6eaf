/**
 * A client chooses a SASL mechanism. In version 0 raw tokens follow, without frames of ours.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, message, string } from '../schema.ts'

export const saslHandshakeRequest = message(
  17,
  'SaslHandshakeRequest',
  { valid: '0-1', flexible: 'none' },
  {
    mechanism: string,
  },
)
export type SaslHandshakeRequest = MessageOf<typeof saslHandshakeRequest>

export const saslHandshakeResponse = message(
  17,
  'SaslHandshakeResponse',
  { valid: '0-1', flexible: 'none' },
  {
    errorCode: int16,
    mechanisms: array(string),
  },
)
export type SaslHandshakeResponse = InputOf<typeof saslHandshakeResponse>
