/**
 * Requests of one worker to another, signed with a key that the leader makes and keeps in the config topic
 * (KIP-507): who cannot read that topic cannot configure tasks.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { HttpError } from '../../../http/routes.ts'
import type { SessionKey } from '../../storage/config-state.ts'

export const signatureHeader = 'x-connect-authorization'
export const algorithmHeader = 'x-connect-request-signature-algorithm'

/** As Java names it. */
export const signatureAlgorithm = 'HmacSHA256'

export function signed(body: string, key: SessionKey): Record<string, string> {
  return {
    [signatureHeader]: signatureOf(Buffer.from(body), key).toString('base64'),
    [algorithmHeader]: signatureAlgorithm,
  }
}

/** Throws HttpError 400, 403, 503, as Kafka Connect does. */
export function checkSignature(
  body: Buffer,
  headers: Readonly<Record<string, string>>,
  key: SessionKey | null,
): void {
  const signature = headers[signatureHeader]
  const algorithm = headers[algorithmHeader]
  if (signature === undefined || algorithm === undefined)
    throw new HttpError(400, 'Internal request missing required signature')
  if (algorithm !== signatureAlgorithm)
    throw new HttpError(
      400,
      `This worker does not support the '${algorithm}' key signing algorithm used by other workers.`,
    )
  if (key === null)
    throw new HttpError(
      503,
      'This worker is still starting up and has not been able to read a session key from the config topic yet',
    )
  const given = Buffer.from(signature, 'base64')
  const expected = signatureOf(body, key)
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new HttpError(403, 'Internal request contained invalid signature.')
}

function signatureOf(body: Buffer, { key }: SessionKey): Buffer {
  return createHmac('sha256', key).update(body).digest()
}
