/**
 * SCRAM's arithmetic (RFC 5802): from a password to what a client proves, and from that to what a broker
 * keeps. Whoever reads what the broker keeps can check a password, and cannot log in with it.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'

/** By their numbers in requests and records. */
export const scramMechanisms = { 'SCRAM-SHA-256': 1, 'SCRAM-SHA-512': 2 } as const
export type ScramMechanism = keyof typeof scramMechanisms

const hashes: Readonly<Record<ScramMechanism, { name: string; bytes: number }>> = {
  'SCRAM-SHA-256': { name: 'sha256', bytes: 32 },
  'SCRAM-SHA-512': { name: 'sha512', bytes: 64 },
}

export const scramIterations = { min: 4096, max: 16_384 } as const

export function scramMechanismOf(number: number): ScramMechanism | undefined {
  const names = Object.keys(scramMechanisms) as ScramMechanism[]
  return names.find((name) => scramMechanisms[name] === number)
}

/** What a client makes of a password; it takes a while, on purpose. */
export function saltPassword(
  mechanism: ScramMechanism,
  password: string,
  salt: Buffer,
  iterations: number,
): Buffer {
  const { name, bytes } = hashes[mechanism]
  return pbkdf2Sync(Buffer.from(password, 'utf8'), salt, iterations, bytes, name)
}

/** What a broker keeps of a salted password. */
export function scramKeys(
  mechanism: ScramMechanism,
  saltedPassword: Buffer,
): { readonly storedKey: Buffer; readonly serverKey: Buffer } {
  const { name } = hashes[mechanism]
  const sign = (what: string): Buffer => createHmac(name, saltedPassword).update(what).digest()
  const storedKey = createHash(name).update(sign('Client Key')).digest()
  return { storedKey, serverKey: sign('Server Key') }
}

/**
 * What a client sends to prove that it knows the password, and what the broker answers that knows it too.
 * `authMessage` is all that both have said before.
 */
export function scramProof(
  mechanism: ScramMechanism,
  saltedPassword: Buffer,
  authMessage: string,
): { readonly proof: Buffer; readonly signature: Buffer } {
  const { name } = hashes[mechanism]
  const sign = (key: Buffer, what: string): Buffer => createHmac(name, key).update(what).digest()
  const { storedKey, serverKey } = scramKeys(mechanism, saltedPassword)
  const clientKey = sign(saltedPassword, 'Client Key')
  const clientSignature = sign(storedKey, authMessage)
  const proof = clientKey.map((byte, at) => byte ^ (clientSignature[at] ?? 0))
  return { proof: Buffer.from(proof), signature: sign(serverKey, authMessage) }
}
