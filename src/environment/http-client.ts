/** Requests over HTTP to whoever has an address, as the core makes them: small ones, with small answers. */

export interface ClientRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface ClientAnswer {
  readonly status: number
  readonly body: string
}

/** Sends a request. Rejects where no answer comes in time, and where it is too long. */
export type HttpClient = (url: string, request: ClientRequest) => Promise<ClientAnswer>
