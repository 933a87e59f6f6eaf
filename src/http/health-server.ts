/**
 * The HTTP listener: health and metrics today; the Connect REST API, the schema registry and the console
 * take their places on it.
 *
 * What lives in this folder: what a browser, an orchestrator or a scraper asks for. What must not: the
 * answers themselves, which come as functions from whoever knows them.
 *
 * `/health/live` says 200 as long as the process can answer at all; `/health/ready` says 200 once the
 * broker answers rightly for everything that it loaded and 503 before that, while it stops, and once no
 * log directory is left to write to. `/metrics` is for Prometheus and whoever reads its formats.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Endpoint } from '../environment/network.ts'

export interface Health {
  readonly ready: boolean
  /** Why not, or what is impaired; told to whoever asks. */
  readonly reason?: string
}

export interface Page {
  readonly contentType: string
  readonly pieces: readonly Buffer[]
}

export interface Answers {
  readonly health: () => Health
  /** The page for an `Accept` header; what it rejects with is told to whoever asked. */
  readonly metrics: (accept: string) => Promise<Page>
}

export interface HealthServer {
  /** The real port where 0 was asked for. */
  readonly address: Endpoint
  close(): Promise<void>
}

/** More of them than there are probes and scrapers are no good sign. */
const connectionsMax = 256
const stalledMsMax = 30_000

/** Listens at `at`. Rejects with an Error that carries `code` (EADDRINUSE, EACCES, …). */
export async function startHealthServer(at: Endpoint, answers: Answers): Promise<HealthServer> {
  const server = createServer((request, response) => answer(request, response, answers))
  // Health probes are short; whoever keeps a connection idle for longer is cut.
  server.keepAliveTimeout = 5_000
  server.requestTimeout = 10_000
  server.maxHeadersCount = 100
  server.maxConnections = connectionsMax
  // A page may be large, and its reader may stop to read.
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
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(request: IncomingMessage, response: ServerResponse, answers: Answers): void {
  const path = (request.url ?? '/').split('?')[0]
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    send(response, 405, { error: `${request.method} is not allowed here` })
  } else if (path === '/health/live') {
    send(response, 200, { status: 'live' })
  } else if (path === '/health/ready' || path === '/health') {
    const { ready, reason } = answers.health()
    const body = { status: ready ? 'ready' : 'not ready', ...(reason ? { reason } : {}) }
    send(response, ready ? 200 : 503, body)
  } else if (path === '/metrics') {
    answers.metrics(request.headers.accept ?? '').then(
      (page) => sendPage(response, page),
      (error: unknown) => send(response, 500, { error: String(error) }),
    )
  } else {
    const known = '/health/live, /health/ready or /metrics'
    send(response, 404, { error: `Nothing at ${path}; try ${known}` })
  }
}

function sendPage(response: ServerResponse, { contentType, pieces }: Page): void {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
  response.writeHead(200, { 'Content-Type': contentType, 'Content-Length': bytes })
  for (const piece of pieces) response.write(piece)
  response.end()
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}
