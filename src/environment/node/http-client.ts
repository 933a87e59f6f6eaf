/** Requests by Node's own `fetch`. Redirections are refused: who asks knows whom. */
import type { HttpClient } from '../http-client.ts'

const answerMsMax = 30_000
const answerBytesMax = 8 * 1024 * 1024

export const nodeHttpClient: HttpClient = async (url, request) => {
  const signal = AbortSignal.timeout(answerMsMax)
  const { status, body } = await fetch(url, { ...request, signal, redirect: 'error' })
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    // Leaving the loop ends the connection: what somebody goes on to send is not kept.
    if (bytes > answerBytesMax)
      throw new Error(`${url} answers with more than ${answerBytesMax} bytes`)
    chunks.push(chunk)
  }
  return { status, body: Buffer.concat(chunks).toString() }
}
