/** Where connectors and the tables of topics are asked for: over HTTP, of a broker or any worker of Kafka Connect. */
import { CommandError } from './failure.ts'

const answerMsMax = 95_000

export const connect = {
  connect: {
    kind: 'text',
    short: 'c',
    value: 'URL',
    summary: 'Where the worker is (else $MILLRACE_CONNECT, else http://localhost:8083)',
  },
} as const

export interface Connection {
  readonly connect: string | undefined
}

/** It answered, and refused. */
export class AnswerError extends CommandError {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The answer's JSON; null where there is none. Throws CommandError. */
export async function askWorker(
  { connect: given }: Connection,
  method: string,
  path: string,
  body?: string,
): Promise<unknown> {
  const base = given ?? process.env['MILLRACE_CONNECT'] ?? 'http://localhost:8083'
  const answer = await fetch(base.replace(/\/$/, '') + path, {
    method,
    signal: AbortSignal.timeout(answerMsMax),
    ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
  }).catch((error: Error) => {
    const reason = error.cause instanceof Error ? error.cause.message : error.message
    throw new CommandError(
      `cannot reach ${base}: ${reason}`,
      'A broker answers at its http.listeners; --connect or MILLRACE_CONNECT names another worker.',
    )
  })
  const text = await answer.text()
  const isJson = answer.headers.get('content-type')?.includes('json') === true
  const found: unknown = text !== '' && isJson ? JSON.parse(text) : null
  if (answer.ok) return found
  const message = (found as { readonly message?: string } | null)?.message
  throw new AnswerError(answer.status, message ?? `${base} answers ${answer.status}`)
}
