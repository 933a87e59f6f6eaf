/**
 * Requests by `node:http` and `node:https`, which verifies certificates. Connections are kept for what follows, and who
 * asks for more at once than there may be waits for one.
 */
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { type ClientAnswer, type ClientRequest, type HttpClient, shownUrl } from '../http-client.ts'

const answerMsDefault = 30_000
const answerBytesDefault = 8 * 1024 * 1024
/** To one address; in all; and how long one is kept that nobody uses. */
const limits = { maxSockets: 16, maxFreeSockets: 16, maxTotalSockets: 128, timeout: 20_000 }

/** Made at the first request: few brokers make any, and TLS takes milliseconds to load. */
const agents: { plain?: http.Agent; secure?: https.Agent } = {}

export const nodeHttpClient: HttpClient = async (url, request) => {
  const { answerMsMax = answerMsDefault, answerBytesMax = answerBytesDefault } = request
  const controller = new AbortController()
  const { signal } = controller
  const timeout = setTimeout(() => controller.abort(), answerMsMax)
  try {
    const response = await answerTo(new URL(url), request, signal)
    const { statusCode: status = 0, headers } = response
    const body = await bodyOf(response, answerBytesMax)
    return { status, headers: singly(headers), body }
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    const said = signal.aborted ? `no answer within ${answerMsMax} ms` : message
    const told = new Error(`${shownUrl(url)}: ${said}`, { cause: error })
    throw Object.assign(told, signal.aborted ? { code: 'ETIMEDOUT' } : code && { code })
  } finally {
    clearTimeout(timeout)
  }
}

function answerTo(
  url: URL,
  { method, headers, body }: ClientRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const given = { method, headers, signal }
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === 'https:'
        ? https.request(url, { ...given, agent: secureAgent() }, resolve)
        : http.request(url, { ...given, agent: plainAgent() }, resolve)
    request.on('error', reject).end(body)
  })
}

function plainAgent(): http.Agent {
  agents.plain ??= new http.Agent({ keepAlive: true, ...limits })
  return agents.plain
}

function secureAgent(): https.Agent {
  agents.secure ??= new https.Agent({ keepAlive: true, ...limits })
  return agents.secure
}

async function bodyOf(response: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop ends the connection: what somebody goes on to send is not kept.
    if (bytes > bytesMax) {
      const error = new Error(`an answer of more than ${bytesMax} bytes`)
      throw Object.assign(error, { code: 'EMSGSIZE' })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function singly(headers: IncomingHttpHeaders): ClientAnswer['headers'] {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]),
  )
}
