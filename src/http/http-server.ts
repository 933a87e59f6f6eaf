/**
 * The HTTP listener: one port for health, metrics and every service that is asked over HTTP.
 *
 * What lives in this folder: requests and their limits (here), the table of what a service answers
 * (`routes.ts`), and what a browser, an orchestrator or a scraper asks for (`health.ts`, `metrics-page.ts`).
 * What must not: connections (`environment/node`), and any service's own answers. A service is named by the first segments
 * of its paths and loaded with the first request for one of them; until then it costs nothing.
 *
 * A request is read whole before it is answered, within limits: of one body, of all bodies under way, and
 * of the time that a peer may take. Whoever goes beyond them is told so, and cut.
 */
import type {
  HttpLimits,
  HttpListener,
  HttpListening,
  ReceivedRequest,
} from '../environment/http-listener.ts'
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

export type HttpServer = HttpListening

const limits: HttpLimits = {
  // More of them than there are probes, scrapers and operators are no good sign.
  connectionsMax: 256,
  headersMax: 100,
  requestMsMax: 10_000,
  // An answer may be large, and its reader may stop to read.
  stalledMsMax: 30_000,
  // A service may wait for others; Kafka Connect's own limit is 90 s.
  answeringMsMax: 120_000,
  // Health probes are short; whoever keeps a connection idle for longer is cut.
  idleMsMax: 5_000,
}
const bodyBytesMaxDefault = 1024 * 1024
/** Of all bodies that are being read or answered. */
const heldBytesMax = 16 * 1024 * 1024

/** Of `http://host:port`; without a host it is every address. Null for anything else. */
export function parseListener(text: string): Endpoint | null {
  const match = /^http:\/\/(\[[^\]]+\]|[^:/]*):(\d{1,5})\/?$/i.exec(text)
  if (match === null || Number(match[2]) > 65535) return null
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
  return { host: host || '0.0.0.0', port: Number(match[2]) }
}

/** Listens at `at`. Rejects as `listen` does. */
export async function startHttpServer(
  listen: HttpListener,
  at: Endpoint,
  services: readonly Service[],
): Promise<HttpServer> {
  const site = new Site(services)
  const { address, close } = await listen(at, limits, (request) => site.answer(request))
  return {
    address,
    close: async () => {
      await close()
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

  /** Never rejects: whatever goes wrong is answered. */
  async answer(request: ReceivedRequest): Promise<HttpAnswer> {
    const [path = '/', ...rest] = request.target.split('?')
    const served = this.#served.get(path.split('/')[1] ?? '')
    let held = 0
    try {
      if (served === undefined)
        throw new HttpError(404, `Nothing at ${path}; try ${this.#known.join(', ')}`)
      const bytesMax = served.service.bodyBytesMax ?? bodyBytesMaxDefault
      const refuseAbove = (bytes: number) => {
        if (bytes > bytesMax)
          throw new HttpError(413, `The body of a request has at most ${bytesMax} bytes here`)
      }
      refuseAbove(Number(request.header('content-length') ?? 0))
      const body = await request.body((bytes) => {
        refuseAbove(held + bytes)
        if (this.#heldBytes + bytes > heldBytesMax)
          throw new HttpError(503, 'Too many bodies of requests are under way; try again')
        this.#heldBytes += bytes
        held += bytes
      })
      const answering = await this.#load(served)
      return await answering({
        method: request.method,
        path,
        query: rest.join('?'),
        accept: request.header('accept') ?? '',
        contentType: request.header('content-type') ?? '',
        body,
        headers: headersOf(request, served.service.headers ?? []),
      })
    } catch (error) {
      return failed(error)
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

function headersOf(request: ReceivedRequest, names: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of names) {
    const value = request.header(name)
    if (value !== undefined) found[name] = value
  }
  return found
}
