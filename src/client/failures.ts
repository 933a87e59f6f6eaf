/**
 * What can go wrong between a client and a cluster, besides the errors that brokers answer
 * (`KafkaError`). `isRetriable` says of each of them whether the same request may succeed later.
 */
import { KafkaError } from '../../protocol/errors.ts'

/** A connection could not be made, or was lost before the answer came. */
export class ConnectionError extends Error {
  /** The operating system's name of the cause where there is one: ECONNREFUSED, ENOTFOUND, … */
  readonly code: string | undefined
  /** `host:port` of the peer, or several with commas between them. */
  readonly address: string
  constructor(address: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ConnectionError'
    this.address = address
    this.code = codeOf(cause)
  }
}

/** The two sides do not agree in TLS, and will not the next time either. */
export class TlsError extends ConnectionError {
  constructor(address: string, message: string, cause: unknown) {
    super(address, message, cause)
    this.name = 'TlsError'
  }

  /** What OpenSSL and Node call what has nothing to do with the way between the two. */
  static isCause(cause: unknown): boolean {
    const code = codeOf(cause) ?? ''
    return /^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_(TLS|SSL|OSSL)_)/.test(code)
  }
}

/** None of the bootstrap servers could be reached within the time given; trying on is up to the caller. */
export class UnreachableError extends ConnectionError {
  constructor(addresses: readonly string[], cause: unknown) {
    const list = addresses.join(', ')
    const last = cause instanceof Error ? cause.message : String(cause)
    super(list, addresses.length === 1 ? last : `cannot connect to any of ${list}: ${last}`, cause)
    this.name = 'UnreachableError'
  }
}

/** The time that the caller gave is over. `cause` is the last failure, where there was one. */
export class TimeoutError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'TimeoutError'
  }
}

/** The broker speaks no version of the API that this client speaks too, or none that carries what was asked. */
export class UnsupportedVersionError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnsupportedVersionError'
  }
}

/** The client was closed while the call was under way. */
export class ClosedError extends Error {
  constructor(what: string) {
    super(`the ${what} is closed`)
    this.name = 'ClosedError'
  }
}

/** True where the same request may succeed later, perhaps after a look at fresh metadata. */
export function isRetriable(error: unknown): boolean {
  if (error instanceof UnreachableError || error instanceof TlsError) return false
  return error instanceof ConnectionError || (error instanceof KafkaError && error.error.retriable)
}

/** True for the broker's answer of that name, e.g. `NOT_CONTROLLER`. */
export function isAnswer(error: unknown, ...names: string[]): boolean {
  return error instanceof KafkaError && names.includes(error.error.name)
}

function codeOf(cause: unknown): string | undefined {
  if (cause instanceof ConnectionError) return cause.code
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code
  return undefined
}
