/** A listener by `node:http`. Who goes beyond a limit is cut. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { GivenAnswer, HttpLimits, HttpListener } from '../http-listener.ts'

/** How often those who take too long are looked for. */
const lookEveryMs = 1000
/** What a piece of a body counts at least: a byte that comes alone costs more than a byte. */
const pieceBytesMin = 16
const bodyBytesStart = 4096

export const listenHttp: HttpListener = async (at, limits, answer) => {
  const { requestMsMax } = limits
  const places = new Places(limits.connectionsMax)
  const timeouts = { requestTimeout: requestMsMax, headersTimeout: requestMsMax }
  const options = { ...timeouts, connectionsCheckingInterval: lookEveryMs }
  const server = createServer(options, async (request, response) => {
    const { socket } = request
    places.busy(socket)
    response.on('close', () => places.idle(socket))
    // Who leaves early is no reason to fail.
    request.on('error', () => request.destroy())
    response.on('error', () => request.destroy())
    const given = await answer({
      method: request.method ?? 'GET',
      target: request.url ?? '/',
      header: (name) => {
        const value = request.headers[name]
        return typeof value === 'string' ? value : undefined
      },
      body: async (hold) => {
        const body = await bodyOf(request, hold)
        response.socket?.setTimeout(limits.answeringMsMax)
        return body
      },
    })
    try {
      send(request, response, given, limits)
    } catch (error) {
      // A header that cannot be one; nothing has been sent.
      const body = `The answer cannot be sent: ${(error as Error).message}`
      send(request, response, { status: 500, contentType: 'text/plain', body }, limits)
    }
  })
  server.keepAliveTimeout = limits.idleMsMax
  server.maxHeadersCount = limits.headersMax
  server.on('connection', (socket) => places.take(socket))
  server.setTimeout(limits.stalledMsMax)
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
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/**
 * Connections, as many as there may be. Where there is no more place, whoever has gone longest without a
 * request makes room: a probe that asks at once is heard, however many hold a connection and say nothing.
 */
class Places {
  readonly #max: number
  readonly #all = new Set<Socket>()
  /** In the order in which they had their last request, or came. */
  readonly #idle = new Set<Socket>()

  constructor(max: number) {
    this.#max = max
  }

  take(socket: Socket): void {
    if (this.#all.size >= this.#max) {
      const [longest = socket] = this.#idle
      longest.destroy()
      this.#leave(longest)
      if (longest === socket) return
    }
    this.#all.add(socket)
    this.#idle.add(socket)
    socket.once('close', () => this.#leave(socket))
  }

  /** A request of it is being answered. */
  busy(socket: Socket): void {
    this.#idle.delete(socket)
  }

  idle(socket: Socket): void {
    if (this.#all.has(socket)) this.#idle.add(socket)
  }

  #leave(socket: Socket): void {
    this.#all.delete(socket)
    this.#idle.delete(socket)
  }
}

async function bodyOf(
  request: IncomingMessage,
  hold: (bytes: number) => void,
): Promise<Buffer | null> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return null
  const body = new GrowingBody()
  // By events: leaving a loop over the request would end its connection before the answer.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (piece: Buffer) => {
      try {
        hold(Math.max(piece.length, pieceBytesMin))
        body.add(piece)
      } catch (error) {
        request.removeAllListeners('data')
        request.pause()
        reject(error)
      }
    })
    request.on('end', resolve)
    request.on('close', () => reject(new Error('The body of the request is cut off')))
  })
  return body.bytes
}

/** Pieces in one: as objects of their own, small ones would take many times what they hold. */
class GrowingBody {
  #memory = Buffer.allocUnsafe(bodyBytesStart)
  #length = 0

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  add(piece: Buffer): void {
    const length = this.#length + piece.length
    if (length > this.#memory.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#memory.length))
      larger.set(this.bytes)
      this.#memory = larger
    }
    this.#memory.set(piece, this.#length)
    this.#length = length
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: GivenAnswer,
  { stalledMsMax }: HttpLimits,
): void {
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
