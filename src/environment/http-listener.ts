/** Requests of others over HTTP, as the core sees them: each is answered whole, within limits. */
import type { Endpoint } from './network.ts'

export interface ReceivedRequest {
  readonly method: string
  /** The path as it came, not decoded, and what follows its `?`. */
  readonly target: string
  /** By its name in small letters. */
  header(name: string): string | undefined
  /**
   * The body, read whole; null where none comes. `hold` is told of so many bytes before they are kept, of
   * tiny pieces of what they cost, and throws where they are too many. Rejects with that, and where the peer
   * ends too early.
   */
  body(hold: (bytes: number) => void): Promise<Buffer | null>
}

export interface GivenAnswer {
  readonly status: number
  readonly contentType: string
  /** A text, or bytes in pieces; empty: no body. */
  readonly body: string | readonly Uint8Array[]
  readonly headers?: Readonly<Record<string, string>>
}

export interface HttpLimits {
  /** Of more, whoever has gone longest without a request is cut. */
  readonly connectionsMax: number
  readonly headersMax: number
  /** For all of a request to arrive. */
  readonly requestMsMax: number
  /** Without a byte to or from the peer, while it has a request or an answer under way. */
  readonly stalledMsMax: number
  /** From the end of a request's body to its answer. */
  readonly answeringMsMax: number
  /** From one request to the next. */
  readonly idleMsMax: number
}

export interface HttpListening {
  /** The real port where 0 was asked for. */
  readonly address: Endpoint
  /** Ends all connections, whatever is under way. */
  close(): Promise<void>
}

/**
 * Listens at `at`; `answer` never rejects. Rejects with an Error that carries `code` (EADDRINUSE,
 * EACCES, …).
 */
export type HttpListener = (
  at: Endpoint,
  limits: HttpLimits,
  answer: (request: ReceivedRequest) => Promise<GivenAnswer>,
) => Promise<HttpListening>
