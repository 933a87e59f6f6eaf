/**
 * Requests by `node:http` and `node:https`, which verifies certificates. Connections are kept for what follows, and who
 * asks for more at once than there may be waits for one. Both are loaded for the first request: most brokers
 * make none, and each start would take 4 ms longer.
 */
import type { Agent, IncomingHttpHeaders, IncomingMessage, request } from 'node:http'
import { type ClientAnswer, type ClientRequest, type HttpClient, shownUrl } from '../http-client.ts'

const answerMsDefault = 30_000
const answerBytesDefault = 8 * 1024 * 1024
/** To one address; in all; and how long one is kept that nobody uses. */
const limits = { maxSockets: 16, maxFreeSockets: 16, maxTotalSockets: 128, timeout: 20_000 }

/** What asks by one protocol, and its connections. */
interface Asking {
  readonly request: typeof request
  readonly agent: Agent
}

const asking = new Map<string, Promise<Asking>>()

function askingBy(protocol: string): Promise<Asking> {
  const loaded = asking.get(protocol) ?? loadAsking(protocol)
  asking.set(protocol, loaded)
  return loaded
}

async function loadAsking(protocol: string): Promise<Asking> {
  const { request, Agent } = await (protocol === 'https:'
    ? import('node:https')
    : import('node:http'))
  return { request, agent: new Agent({ keepAlive: true, ...limits }) }
}

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

async function answerTo(
  url: URL,
  { method, headers, body }: ClientRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { request, agent } = await askingBy(url.protocol)
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, signal, agent }, resolve)
    sent.on('error', reject).end(body)
  })
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
