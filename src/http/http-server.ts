/**
 * The HTTP listener: one port for health, metrics and every service that is asked over HTTP.
 *
 * What lives in this folder: connections, requests and their limits (here), the table of what a service
 * answers (`routes.ts`), and what a browser, an orchestrator or a scraper asks for (`health.ts`,
 * `metrics-page.ts`). What must not: any service's own answers. A service is named by the first segments
 * of its paths and loaded with the first request for one of them; until then it costs nothing.
 *
 * A request is read whole before it is answered, within limits: of one body, of all bodies under way, and
 * of the time that a peer may take. Whoever goes beyond them is told so, and cut.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Endpoint } from '../environment/network.ts'
import { failed, type HttpAnswer, HttpError, type HttpRequest } from './routes.ts'

export interface Service {
  /** The first segments of the paths that are its own; an empty one is the root, `/`. */
  readonly segments: readonly string[]
  /** Headers that it is told of, in small letters. */
  readonly headers?: readonly string[]
  /** Bytes of a body; 1 MiB unless said otherwise. */
  readonly bodyBytesMax?: number
  /** Loads what it takes to answer; called again with the next request where it rejects. */
  load(): Promise<Answering>
  /** Lets go what `load` took; it may come more than once, and without a `load` before. */
  close?(): Promise<void>
}

/** What it rejects with is told to whoever asked, as 500 unless it is an HttpError. */
export type Answering = (request: HttpRequest) => Promise<HttpAnswer>

export interface HttpServer {
  /** The real port where 0 was asked for. */
  readonly address: Endpoint
  close(): Promise<void>
}

/** More of them than there are probes, scrapers and operators are no good sign. */
const connectionsMax = 256
const stalledMsMax = 30_000
/** A service may wait for others; Kafka Connect's own limit is 90 s. */
const answeringMsMax = 120_000
const bodyBytesMaxDefault = 1024 * 1024
/** Of all bodies that are being read or answered. */
const heldBytesMax = 16 * 1024 * 1024

/** Listens at `at`. Rejects with an Error that carries `code` (EADDRINUSE, EACCES, …). */
export async function startHttpServer(
  at: Endpoint,
  services: readonly Service[],
): Promise<HttpServer> {
  const site = new Site(services)
  const server = createServer((request, response) => void site.answer(request, response))
  // Health probes are short; whoever keeps a connection idle for longer is cut.
  server.keepAliveTimeout = 5_000
  server.requestTimeout = 10_000
  server.maxHeadersCount = 100
  server.maxConnections = connectionsMax
  // An answer may be large, and its reader may stop to read.
  server.setTimeout(stalledMsMax)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(at.port, at.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { address, port } = server.address() as AddressInfo
  return {
    address: { host: address, port },
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      await Promise.all(services.map((service) => service.close?.()))
    },
  }
}

/** A service, once it is or was asked for. */
interface Served {
  readonly service: Service
  answering: Promise<Answering> | null
}

class Site {
  readonly #served = new Map<string, Served>()
  readonly #known: readonly string[]
  #heldBytes = 0

  constructor(services: readonly Service[]) {
    for (const service of services) {
      const served: Served = { service, answering: null }
      for (const segment of service.segments) this.#served.set(segment, served)
    }
    this.#known = [...this.#served.keys()].map((segment) => `/${segment}`)
  }

  /** Never rejects: whatever goes wrong is answered, or ends the connection. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Who leaves early is no reason to fail.
    request.on('error', () => request.destroy())
    response.on('error', () => request.destroy())
    const [path = '/', ...rest] = (request.url ?? '/').split('?')
    const served = this.#served.get(path.split('/')[1] ?? '')
    let held = 0
    try {
      if (served === undefined)
        throw new HttpError(404, `Nothing at ${path}; try ${this.#known.join(', ')}`)
      const bytesMax = served.service.bodyBytesMax ?? bodyBytesMaxDefault
      const body = await readBody(request, bytesMax, (bytes) => {
        if (this.#heldBytes + bytes > heldBytesMax)
          throw new HttpError(503, 'Too many bodies of requests are under way; try again')
        this.#heldBytes += bytes
        held += bytes
      })
      response.socket?.setTimeout(answeringMsMax)
      const answering = await this.#load(served)
      const answer = await answering({
        method: request.method ?? 'GET',
        path,
        query: rest.join('?'),
        accept: request.headers.accept ?? '',
        contentType: request.headers['content-type'] ?? '',
        body,
        headers: headersOf(request, served.service.headers ?? []),
      })
      send(request, response, answer)
    } catch (error) {
      send(request, response, failed(error))
    } finally {
      this.#heldBytes -= held
    }
  }

  #load(served: Served): Promise<Answering> {
    served.answering ??= served.service.load().catch((error: unknown) => {
      served.answering = null
      throw error
    })
    return served.answering
  }
}

function headersOf({ headers }: IncomingMessage, names: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of names) {
    const value = headers[name]
    if (typeof value === 'string') found[name] = value
  }
  return found
}

/** `hold` is told the bytes before they are kept, and throws where they are too many for everybody. */
async function readBody(
  request: IncomingMessage,
  bytesMax: number,
  hold: (bytes: number) => void,
): Promise<Buffer | null> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return null
  const tooLong = () =>
    new HttpError(413, `The body of a request has at most ${bytesMax} bytes here`)
  if (Number(length ?? 0) > bytesMax) throw tooLong()
  const chunks: Buffer[] = []
  let bytes = 0
  // By events: leaving a loop over the request would end its connection before the answer.
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => {
      request.pause()
      reject(error)
    }
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > bytesMax) return fail(tooLong())
      try {
        hold(chunk.length)
      } catch (error) {
        return fail(error as Error)
      }
      chunks.push(chunk)
    })
    request.on('end', resolve)
    request.on('close', () => reject(new HttpError(400, 'The body of the request is cut off')))
  })
  return Buffer.concat(chunks)
}

function send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void {
  if (response.destroyed || response.socket === null) return
  response.socket.setTimeout(stalledMsMax)
  const pieces = typeof answer.body === 'string' ? [Buffer.from(answer.body)] : answer.body
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
  const hasBody = answer.status !== 204 && answer.status !== 304
  // What was not read of a body would be taken for the next request.
  const isCut = !request.complete
  response.writeHead(answer.status, {
    ...(hasBody ? { 'Content-Length': bytes } : {}),
    ...(bytes > 0 ? { 'Content-Type': answer.contentType } : {}),
    ...(isCut ? { Connection: 'close' } : {}),
    ...answer.headers,
  })
  for (const piece of pieces) response.write(piece)
  response.end()
}
