/**
 * Says who a client is, once per connection, before anything else is asked (KIP-43, KIP-84, KIP-152):
 *
 *     SaslHandshake (mechanism) --> SaslAuthenticate --> … --> the broker knows, or ends the connection
 *
 * With PLAIN the password is sent; with SCRAM (RFC 5802) both sides prove that they know of it, and a broker
 * that does not is left.
 */
import { timingSafeEqual } from 'node:crypto'
import { errors, KafkaError } from '../../protocol/errors.ts'
import {
  type ScramMechanism,
  saltPassword,
  scramIterations,
  scramMechanisms,
  scramProof,
} from '../../protocol/scram.ts'
import type { Random } from '../environment/environment.ts'

export const saslMechanisms = [
  'PLAIN',
  ...(Object.keys(scramMechanisms) as ScramMechanism[]),
] as const
export type SaslMechanism = (typeof saslMechanisms)[number]

export interface Sasl {
  readonly mechanism: SaslMechanism
  readonly username: string
  readonly password: string
  /** They are those of a delegation token (KIP-48). */
  readonly isToken: boolean
}

export function isSaslMechanism(name: string): name is SaslMechanism {
  return (saslMechanisms as readonly string[]).includes(name)
}

/** A step of the exchange: takes what the client says, and resolves with what the broker answers. */
export type SaslStep = (bytes: Buffer) => Promise<Buffer>

/** A broker that asks for more makes this process busy: a proof of so many takes some 50 ms. */
const iterationsMax = 100_000

/** Resolves when the broker is satisfied, and this side with it. Rejects with KafkaError. */
export async function authenticate(sasl: Sasl, step: SaslStep, random: Random): Promise<void> {
  const { mechanism, username, password } = sasl
  if (mechanism === 'PLAIN') {
    await step(Buffer.from(`\0${username}\0${password}`))
    return
  }
  await scram(sasl, mechanism, step, random)
}

async function scram(
  { username, password, isToken }: Sasl,
  mechanism: ScramMechanism,
  step: SaslStep,
  random: Random,
): Promise<void> {
  const nonce = random.bytes(24).toString('base64url')
  const saslName = username.replaceAll('=', '=3D').replaceAll(',', '=2C')
  const clientFirst = `n=${saslName},r=${nonce}${isToken ? ',tokenauth=true' : ''}`
  const serverFirst = (await step(Buffer.from(`n,,${clientFirst}`))).toString()
  const [, joined, salt, count] =
    /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+=*),i=(\d{1,9})(?:,|$)/.exec(serverFirst) ??
    refuse('The answer of the broker is none of SCRAM')
  if (!joined?.startsWith(nonce) || joined.length === nonce.length)
    throw refusal('The broker answered another exchange of SCRAM')
  const iterations = Number(count)
  if (iterations < scramIterations.min || iterations > iterationsMax)
    throw refusal(
      `The broker asks for ${iterations} iterations, not ${scramIterations.min} to ${iterationsMax}`,
    )
  const salted = saltPassword(mechanism, password, Buffer.from(salt ?? '', 'base64'), iterations)
  // `biws` is `n,,` in base64: the channel is not bound.
  const withoutProof = `c=biws,r=${joined}`
  const { proof, signature } = scramProof(
    mechanism,
    salted,
    `${clientFirst},${serverFirst},${withoutProof}`,
  )
  const serverFinal = await step(Buffer.from(`${withoutProof},p=${proof.toString('base64')}`))
  const [, verifier = ''] = /^v=([A-Za-z0-9+/]+=*)(?:,|$)/.exec(serverFinal.toString()) ?? []
  const shown = Buffer.from(verifier, 'base64')
  if (shown.length !== signature.length || !timingSafeEqual(shown, signature))
    throw refusal('The broker does not know the password either: it may be another one')
}

function refusal(message: string): KafkaError {
  return new KafkaError(errors.SASL_AUTHENTICATION_FAILED, message)
}

function refuse(message: string): never {
  throw refusal(message)
}
