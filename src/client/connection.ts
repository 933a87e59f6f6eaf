/**
 * One TCP connection to one broker. Requests leave in the order of `call`, any number may be under
 * way, and the broker answers in the same order (Kafka promises that), so the waiting calls are a
 * queue. A request that is not answered in time ends the connection: what follows it could not be
 * answered either. Which versions both sides speak is asked first (KIP-35); after that every call takes
 * the highest version of its table that the broker has.
 *
 * What lives in this folder: the one Kafka client that everything inside Millrace uses. `connection.ts`
 * is the wire, `cluster.ts` finds brokers, leaders and coordinators and repeats what may be repeated,
 * `producer.ts` and `consumer.ts` stand on it, `admin/` holds one function per administrative request.
 * What must not: anything that knows it is talking to Millrace. It works against any Kafka.
 */
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { decodeResponse, decodeResponseHeader, encodeRequest } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import type { Environment, Timer } from '../environment/environment.ts'
import type { Endpoint, Stream } from '../environment/network.ts'
import { ConnectionError, TlsError, UnsupportedVersionError } from './failures.ts'
import { authenticate, type Sasl } from './sasl.ts'
import { plaintext, type Security } from './security.ts'

/** A response longer than this is taken for a peer that speaks something else. */
const responseBytesMax = 1024 * 1024 * 1024

export interface ConnectionOptions {
  readonly clientId: string
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  /** Neither encrypted nor authenticated, unless it says so. */
  readonly security?: Security | undefined
}

/** Of the time for which a broker takes somebody for whom it knows (KIP-368), this much is used. */
const sessionShare = 0.85

export interface CallOptions {
  /** Milliseconds until the call, and with it the connection, is given up. */
  readonly timeoutMs?: number | undefined
  /** The lowest version that carries what is asked. */
  readonly versionMin?: number | undefined
  /** The highest version to use. */
  readonly versionMax?: number | undefined
}

export interface VersionRange {
  readonly min: number
  readonly max: number
}

/** What the broker said of itself when the connection was made. */
export type ApiVersions = MessageOf<typeof apis.apiVersions.response>

/** What asks, and what answers. */
export type Asked<Api extends ApiRow> = InputOf<Api['request']>
export type Answered<Api extends ApiRow> = MessageOf<Api['response']>

interface Waiting {
  readonly correlationId: number
  readonly resolve: (body: Buffer) => void
  readonly reject: (error: Error) => void
  readonly timer: Timer
}

export class Connection {
  readonly endpoint: Endpoint
  /** Where this end of the connection is. */
  readonly local: Endpoint
  readonly #stream: Stream
  readonly #environment: Environment
  readonly #options: ConnectionOptions
  readonly #waiting: Waiting[] = []
  #nextCorrelationId = 0
  readonly #length = Buffer.alloc(4)
  #lengthFilled = 0
  /** The response that is arriving. */
  #frame: Buffer | null = null
  #frameFilled = 0
  #closed: Error | null = null
  /** More was written than the peer has taken; `tell` waits for it. */
  #isClogged = false
  readonly #unclogged: (() => void)[] = []
  #apiVersions: ApiVersions | null = null
  #ranges: ReadonlyMap<number, VersionRange> = new Map()
  /** Runs until the broker wants to know again who this is. */
  #session: Timer | null = null
  /** Ends once nothing is under way. */
  #isExpiring = false

  /**
   * Connects, asks for versions and says who it is. Rejects with ConnectionError, KafkaError or
   * UnsupportedVersionError.
   */
  static async open(
    environment: Environment,
    endpoint: Endpoint,
    options: ConnectionOptions,
  ): Promise<Connection> {
    const { tls, sasl } = options.security ?? plaintext
    const connection = new Connection(environment, endpoint, options, await dial())
    try {
      await connection.#negotiate()
      if (sasl !== null) await connection.#authenticate(sasl)
    } catch (error) {
      connection.close()
      throw error
    }
    return connection

    async function dial(): Promise<Stream> {
      try {
        return await environment.network.connect(endpoint, {
          timeoutMs: options.connectTimeoutMs,
          tls,
        })
      } catch (error) {
        const address = addressOf(endpoint)
        throw failure(address, `cannot connect to ${address}: ${words(error)}`, error)
      }
    }
  }

  private constructor(
    environment: Environment,
    endpoint: Endpoint,
    options: ConnectionOptions,
    stream: Stream,
  ) {
    this.endpoint = endpoint
    this.local = stream.local
    this.#environment = environment
    this.#options = options
    this.#stream = stream
    stream.onData = (chunk) => this.#receive(chunk)
    stream.onClose = (error) => this.#lost(error)
    stream.onDrain = () => this.#drained()
  }

  get isOpen(): boolean {
    return this.#closed === null
  }

  /** Requests whose answers have not come. */
  get inFlight(): number {
    return this.#waiting.length
  }

  get apiVersions(): ApiVersions {
    return this.#apiVersions!
  }

  /** The versions of an API that the broker speaks, or undefined where it lacks the API. */
  rangeOf(apiKey: number): VersionRange | undefined {
    return this.#ranges.get(apiKey)
  }

  /** The version that a call would use; undefined where there is none in common. */
  versionOf({ key, request, isLatestUnstable }: ApiRow, options: CallOptions = {}) {
    const range = this.#ranges.get(key)
    if (range === undefined) return undefined
    const ours = request.valid.max - (isLatestUnstable ? 1 : 0)
    const max = Math.min(range.max, ours, options.versionMax ?? ours)
    const min = Math.max(range.min, request.valid.min, options.versionMin ?? 0)
    return max >= min ? max : undefined
  }

  /** Sends a request and gives its answer. Rejects with ConnectionError or UnsupportedVersionError. */
  async call<Api extends ApiRow>(
    api: Api,
    request: Asked<Api>,
    options: CallOptions = {},
  ): Promise<Answered<Api>> {
    const version = this.#requireVersion(api, options)
    const timeoutMs = options.timeoutMs ?? this.#options.requestTimeoutMs
    const reader = new Reader(await this.#exchange(api, version, request, timeoutMs))
    decodeResponseHeader(reader, api.response, version)
    return decodeResponse<Api['response']>(api.response, version, reader)
  }

  /** Sends a request that the broker does not answer (Produce with acks=0); resolves when more may be sent. */
  async tell<Api extends ApiRow>(
    api: Api,
    request: Asked<Api>,
    options: CallOptions = {},
  ): Promise<void> {
    this.#send(api, this.#requireVersion(api, options), request)
    if (!this.#isClogged) return
    await new Promise<void>((resolve) => this.#unclogged.push(resolve))
  }

  /** Ends the connection after what was sent; calls under way are rejected. */
  close(): void {
    if (this.#closed !== null) return
    this.#reject(new ConnectionError(addressOf(this.endpoint), 'the connection was closed'))
    this.#stream.end()
  }

  async #negotiate(): Promise<void> {
    // Version 3 hides features that begin at 0; later ones say nothing more that a client needs.
    let version = 4
    for (;;) {
      const body = await this.#exchange(
        apis.apiVersions,
        version,
        { clientSoftwareName: 'millrace', clientSoftwareVersion: '0.1.0' },
        this.#options.requestTimeoutMs,
      )
      const reader = new Reader(body)
      decodeResponseHeader(reader, apis.apiVersions.response, version)
      // Who does not know the version answers in version 0 (KIP-35).
      const isRefused =
        version > 0 && body.readInt16BE(reader.position) === errors.UNSUPPORTED_VERSION.code
      const answer = decodeResponse(apis.apiVersions.response, isRefused ? 0 : version, reader)
      this.#ranges = new Map(
        answer.apiKeys.map((row) => [row.apiKey, { min: row.minVersion, max: row.maxVersion }]),
      )
      if (!isRefused) {
        if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
        this.#apiVersions = answer
        return
      }
      version = Math.min(version - 1, this.#ranges.get(apis.apiVersions.key)?.max ?? 0)
    }
  }

  /**
   * When the time is nearly over for which the broker believes it, the connection ends as soon as nothing is
   * under way, and whoever needs one makes another.
   */
  async #authenticate(sasl: Sasl): Promise<void> {
    const { mechanism } = sasl
    const { errorCode, mechanisms } = await this.call(
      apis.saslHandshake,
      { mechanism },
      // In version 0 what follows has no frames.
      { versionMin: 1 },
    )
    if (errorCode !== 0) {
      const offered = mechanisms.length === 0 ? 'no SASL' : mechanisms.join(', ')
      const message = `${addressOf(this.endpoint)} offers ${offered} there, and not ${mechanism}`
      throw new KafkaError(errorByCode(errorCode), message)
    }
    let lifetimeMs = 0
    const step = async (authBytes: Buffer): Promise<Buffer> => {
      const answer = await this.call(apis.saslAuthenticate, { authBytes })
      if (answer.errorCode !== 0)
        throw new KafkaError(errorByCode(answer.errorCode), answer.errorMessage ?? undefined)
      lifetimeMs = answer.sessionLifetimeMs
      return answer.authBytes
    }
    await authenticate(sasl, step, this.#environment.random)
    if (lifetimeMs <= 0) return
    this.#session = this.#environment.timers.after(lifetimeMs * sessionShare, () => {
      this.#isExpiring = true
      if (this.#waiting.length === 0) this.close()
    })
  }

  #requireVersion(api: ApiRow, options: CallOptions): number {
    const version = this.versionOf(api, options)
    if (version !== undefined) return version
    const range = this.#ranges.get(api.key)
    const theirs = range === undefined ? 'does not have it' : `has v${range.min} to v${range.max}`
    const needed = Math.max(api.request.valid.min, options.versionMin ?? 0)
    throw new UnsupportedVersionError(
      `${api.name} v${needed} or later is needed, but the broker at ${addressOf(this.endpoint)} ${theirs}`,
    )
  }

  #send<Api extends ApiRow>(api: Api, version: number, request: Asked<Api>): number {
    if (this.#closed !== null) throw this.#closed
    const correlationId = this.#nextCorrelationId++ & 0x7fffffff
    const { clientId } = this.#options
    const frame = encodeRequest<Api['request']>(
      api.request,
      version,
      { correlationId, clientId },
      request,
    )
    this.#isClogged = !this.#stream.write(frame)
    return correlationId
  }

  #exchange<Api extends ApiRow>(
    api: Api,
    version: number,
    request: Asked<Api>,
    timeoutMs: number,
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const correlationId = this.#send(api, version, request)
      const timer = this.#environment.timers.after(timeoutMs, () => this.#expire(api, timeoutMs))
      this.#waiting.push({ correlationId, resolve, reject, timer })
    })
  }

  #expire(api: ApiRow, timeoutMs: number): void {
    const address = addressOf(this.endpoint)
    const message = `${address} did not answer ${api.name} within ${timeoutMs} ms`
    this.#fail(new ConnectionError(address, message))
  }

  #drained(): void {
    this.#isClogged = false
    for (const resolve of this.#unclogged.splice(0)) resolve()
  }

  /** Copies what arrived into frames of their own: the chunk's memory is only lent. */
  #receive(chunk: Buffer): void {
    let at = 0
    while (this.#closed === null && at < chunk.length) {
      if (this.#frame === null) {
        const taken = chunk.copy(this.#length, this.#lengthFilled, at, at + 4 - this.#lengthFilled)
        at += taken
        this.#lengthFilled += taken
        if (this.#lengthFilled === 4) this.#beginFrame(this.#length.readInt32BE(0))
      } else {
        const taken = chunk.copy(this.#frame, this.#frameFilled, at)
        at += taken
        this.#frameFilled += taken
        if (this.#frameFilled === this.#frame.length) this.#endFrame(this.#frame)
      }
    }
  }

  #beginFrame(size: number): void {
    if (size >= 4 && size <= responseBytesMax) {
      this.#frame = Buffer.allocUnsafe(size)
      this.#frameFilled = 0
      return
    }
    const address = addressOf(this.endpoint)
    this.#fail(new ConnectionError(address, `${address} does not speak Kafka's protocol`))
  }

  #endFrame(frame: Buffer): void {
    this.#frame = null
    this.#lengthFilled = 0
    this.#answer(frame)
  }

  #answer(body: Buffer): void {
    const next = this.#waiting.shift()
    if (next === undefined || body.readInt32BE(0) !== next.correlationId) {
      if (next !== undefined) this.#waiting.unshift(next)
      const address = addressOf(this.endpoint)
      this.#fail(new ConnectionError(address, `${address} answered a question that was not asked`))
      return
    }
    next.timer.cancel()
    next.resolve(body)
    if (this.#isExpiring && this.#waiting.length === 0) this.close()
  }

  #lost(error?: Error): void {
    const address = addressOf(this.endpoint)
    const cause = error === undefined ? 'closed by the broker' : words(error)
    this.#fail(failure(address, `connection to ${address} lost: ${cause}`, error))
  }

  #fail(error: Error): void {
    if (this.#closed !== null) return
    this.#reject(error)
    this.#stream.destroy()
  }

  #reject(error: Error): void {
    this.#closed = error
    this.#session?.cancel()
    this.#frame = null
    this.#drained()
    for (const { timer, reject } of this.#waiting.splice(0)) {
      timer.cancel()
      reject(error)
    }
  }
}

function failure(address: string, message: string, cause: unknown): ConnectionError {
  const Kind = TlsError.isCause(cause) ? TlsError : ConnectionError
  return new Kind(address, message, cause)
}

/** `host:port`, with brackets around an IPv6 address. */
export function addressOf({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

const causes: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host name cannot be looked up',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
}

/** What happened, in words where the system's code is a known one. */
function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (causes[code] !== undefined) return causes[code]
  // Its message is made of places in the source of OpenSSL.
  if (/^ERR_(SSL|OSSL)_/.test(code) && 'reason' in error) return String(error.reason)
  return error.message === '' ? code : error.message
}
