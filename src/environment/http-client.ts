/** Requests over HTTP to whoever has an address, as the core makes them, with answers that fit into memory. */

export interface ClientRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** From now to the last byte of the answer, 30 seconds unless given. */
  readonly answerMsMax?: number
  /** Of the answer's body, 8 MiB unless given. */
  readonly answerBytesMax?: number
}

export interface ClientAnswer {
  readonly status: number
  /** By their names in small letters. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/**
 * Sends a request. Rejects where no whole answer comes in time, and where it is too long; whether the other side has done
 * what was asked is then unknown. The Error carries `code` where there is one (ECONNREFUSED, CERT_HAS_EXPIRED, …).
 * Redirections are answers like others: who asks knows whom.
 */
export type HttpClient = (url: string, request: ClientRequest) => Promise<ClientAnswer>

/** An address as it may be told: users, passwords and keys are in the parts that are left out. */
export function shownUrl(url: string): string {
  return url.replace(/^(https?:\/\/)[^/?#]*@/i, '$1[hidden]@').replace(/[?#].*$/s, '?[hidden]')
}
