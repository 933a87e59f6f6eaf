/** The network, as the core sees it: listeners, and byte streams with back-pressure. */

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** How a client speaks TLS. Texts are PEM. */
export interface ClientTls {
  /** Certificates of those who may vouch for the other side; null: whom the runtime trusts. */
  readonly authorities: string | null
  /** What this side shows when it is asked who it is; null: nothing. */
  readonly identity: { readonly chain: string; readonly key: string } | null
  readonly keyPassword: string | null
  /** Whether the certificate of the other side must be one for the host that was asked for. */
  readonly checksHost: boolean
  readonly versionMin: TlsVersion
  readonly versionMax: TlsVersion
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

export interface ConnectOptions {
  readonly timeoutMs?: number
  /** Null or absent: bytes travel as they are. */
  readonly tls?: ClientTls | null
}

export interface Network {
  /** How many streams may be open at once; undefined where nothing is known to limit them. */
  readonly streamsMax?: number | undefined
  /** Listens; port 0 takes any free one. Rejects with an Error that carries `code` (EADDRINUSE, …). */
  listen(at: Endpoint, onStream: (stream: Stream) => void): Promise<Listening>
  /**
   * Connects. Rejects with an Error that carries `code` (ECONNREFUSED, ETIMEDOUT, …, and what OpenSSL calls
   * it where the two sides cannot agree in TLS).
   */
  connect(to: Endpoint, options?: ConnectOptions): Promise<Stream>
}

export interface Listening {
  /** The address in use: the real port where 0 was asked for. */
  readonly address: Endpoint
  /** Stops accepting; streams already open go on. */
  close(): Promise<void>
}

/** One end of a connection. Set `onData` and `onClose` in the turn in which the stream is handed over. */
export interface Stream {
  readonly local: Endpoint
  readonly remote: Endpoint
  /**
   * Bytes arrived. The chunk is valid during the call only: its memory takes the next bytes, of any
   * stream. Whoever keeps bytes copies them.
   */
  onData: (chunk: Buffer) => void
  /** How much to read at once, about: whoever reads on for others too takes small bites. */
  readBytesMax: number
  /** Runs exactly once, after which nothing else runs. `error` where it did not end in good order. */
  onClose: (error?: Error) => void
  /** The bytes given to `write` have left after it had returned false. */
  onDrain: () => void
  /**
   * Sends the chunks in order, with one system call where possible. False: wait for `onDrain` before
   * sending more. The chunks stay unchanged until they have left: then `onSent` runs, possibly before
   * `write` returns; it does not run where the stream closes first.
   */
  write(chunks: readonly Uint8Array[], onSent?: () => void): boolean
  /** Stops `onData` (a few chunks already read may still arrive); the peer feels it as back-pressure. */
  pause(): void
  resume(): void
  /** Sends what was written, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}
