/** A listener by `node:http`. Who goes beyond a limit is cut. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { GivenAnswer, HttpLimits, HttpListener } from '../http-listener.ts'

export const listenHttp: HttpListener = async (at, limits, answer) => {
  const server = createServer(async (request, response) => {
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
  server.requestTimeout = limits.requestMsMax
  server.maxHeadersCount = limits.headersMax
  server.maxConnections = limits.connectionsMax
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

async function bodyOf(
  request: IncomingMessage,
  hold: (bytes: number) => void,
): Promise<Buffer | null> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return null
  const chunks: Buffer[] = []
  // By events: leaving a loop over the request would end its connection before the answer.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      try {
        hold(chunk.length)
        chunks.push(chunk)
      } catch (error) {
        request.pause()
        reject(error)
      }
    })
    request.on('end', resolve)
    request.on('close', () => reject(new Error('The body of the request is cut off')))
  })
  return Buffer.concat(chunks)
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
