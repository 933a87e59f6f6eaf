/**
 * A broker forwards a client's request to the controller with the client's principal and address
 * (KIP-590).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { bytes, int16, message, nullable } from '../schema.ts'

export const envelopeRequest = message(
  58,
  'EnvelopeRequest',
  { valid: '0', flexible: '0+' },
  {
    requestData: bytes,
    requestPrincipal: nullable(bytes),
    clientHostAddress: bytes,
  },
)
export type EnvelopeRequest = MessageOf<typeof envelopeRequest>

export const envelopeResponse = message(
  58,
  'EnvelopeResponse',
  { valid: '0', flexible: '0+' },
  {
    responseData: nullable(bytes),
    errorCode: int16,
  },
)
export type EnvelopeResponse = InputOf<typeof envelopeResponse>
