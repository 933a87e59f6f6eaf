/**
 * What a service answers, as a table: a method, the shape of a path, and a handler.
 *
 *     route('GET', '/subjects/{subject}/versions', ({ parameters }) => json(200, …))
 *
 * `routeTable` makes one function of the rows. A path that no row has is 404, a method that no row of the
 * path has 405 with those it has, HEAD is asked as GET, and a body of another type than the service reads
 * is 415: a page in a browser can send only the types of forms without asking first. A handler fails by
 * throwing HttpError; errors are told as `{"error_code": 404, "message": "…"}`, as Kafka Connect and the
 * schema registry do. Requests and answers are plain data, which can be handed to a thread.
 */

export interface HttpRequest {
  readonly method: string
  /** As it came: not decoded. */
  readonly path: string
  /** What followed the `?`. */
  readonly query: string
  readonly accept: string
  readonly contentType: string
  /** Null: none came. */
  readonly body: Buffer | null
  /** Those that the service asked for, by their names in small letters. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  /** A text, or bytes in pieces; empty: no body. */
  readonly body: string | readonly Uint8Array[]
  readonly headers?: Readonly<Record<string, string>>
}

/** A request that was understood as far as its path. */
export interface RoutedRequest {
  /** What the path has in place of `{name}`, decoded. */
  readonly parameters: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly accept: string
  readonly body: Buffer | null
  readonly headers: Readonly<Record<string, string>>
  /** The body as `JSON.parse` reads it; undefined where none came. Throws HttpError 400. */
  readonly json: () => unknown
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly handle: (request: RoutedRequest) => HttpAnswer | Promise<HttpAnswer>
}

export interface RouteTableOptions {
  /** Types of bodies that are read; `application/json` unless said otherwise. */
  readonly accepts?: readonly string[]
  /** What a handler's other errors mean; undefined: a bug, answered as 500. */
  readonly explain?: (error: unknown) => HttpError | undefined
  /** Who else answers a request that a handler failed so; null: nobody. */
  readonly elsewhere?: (error: unknown, request: HttpRequest) => Promise<HttpAnswer> | null
  /** Of JSON; `application/json` unless said otherwise. */
  readonly contentType?: string
}

/** Told to whoever asked. */
export class HttpError extends Error {
  readonly status: number
  /** The status, or a longer code that begins with it. */
  readonly code: number
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    message: string,
    options: ErrorOptions & { code?: number; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, options)
    this.name = 'HttpError'
    this.status = status
    this.code = options.code ?? status
    this.headers = options.headers ?? {}
  }
}

const jsonType = 'application/json'
/** More is no answer to a question. */
const answerCharactersMax = 32 * 1024 * 1024

/** Throws HttpError 500 where the answer is beyond every measure. */
export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return jsonText(status, JSON.stringify(body), headers)
}

/** JSON that is written already. */
export function jsonText(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  if (text.length > answerCharactersMax)
    throw new HttpError(500, `The answer has more than ${answerCharactersMax} characters`)
  return { status, contentType: jsonType, body: text, headers }
}

export function empty(status: number, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { status, contentType: jsonType, body: '', headers }
}

/** The answer to a request that failed. */
export function failed(error: unknown): HttpAnswer {
  const known = error instanceof HttpError ? error : null
  const message = error instanceof Error ? error.message : String(error)
  const body = { error_code: known?.code ?? 500, message }
  return json(known?.status ?? 500, body, known?.headers)
}

export function route(method: Route['method'], path: string, handle: Route['handle']): Route {
  return { method, path, handle }
}

interface Row {
  readonly segments: readonly string[]
  readonly route: Route
}

export function routeTable(
  routes: readonly Route[],
  options: RouteTableOptions = {},
): (request: HttpRequest) => Promise<HttpAnswer> {
  const { accepts = [jsonType], explain, elsewhere, contentType = jsonType } = options
  const told = (error: unknown) =>
    failed(error instanceof HttpError ? error : (explain?.(error) ?? error))
  const rows = routes.map((each): Row => ({ segments: segmentsOf(each.path), route: each }))
  return async (request) => {
    const answer = await answerOf(request, rows, accepts)
      .catch((error: unknown) => {
        const answered = elsewhere?.(error, request) ?? null
        if (answered === null) throw error
        return answered
      })
      .catch(told)
    return answer.contentType === jsonType ? { ...answer, contentType } : answer
  }
}

async function answerOf(
  request: HttpRequest,
  rows: readonly Row[],
  accepts: readonly string[],
): Promise<HttpAnswer> {
  const segments = segmentsOf(request.path)
  const matching = rows.filter((row) => matches(row.segments, segments))
  if (matching.length === 0)
    throw new HttpError(404, `HTTP 404 Not Found: nothing is at ${request.path}`)
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const found = matching.find((row) => row.route.method === method)
  if (found === undefined) {
    const allowed = new Set(matching.map(({ route: { method: known } }) => known as string))
    if (allowed.has('GET')) allowed.add('HEAD')
    throw new HttpError(405, `HTTP 405 Method Not Allowed: ${request.method} ${request.path}`, {
      headers: { Allow: [...allowed].join(', ') },
    })
  }
  const { body } = request
  const type = request.contentType.split(';')[0]!.trim().toLowerCase()
  if (body !== null && body.length > 0 && !accepts.includes(type))
    throw new HttpError(
      415,
      `HTTP 415 Unsupported Media Type: send the body with Content-Type: ${accepts[0]}`,
    )
  return found.route.handle({
    parameters: parametersOf(found.segments, segments),
    query: new URLSearchParams(request.query),
    accept: request.accept,
    body,
    headers: request.headers ?? {},
    json: () => (body === null || body.length === 0 ? undefined : parsed(body)),
  })
}

/** Without empty ones at the end: `/connectors/` is `/connectors`. */
function segmentsOf(path: string): string[] {
  const segments = path.split('/').slice(1)
  if (segments.at(-1) === '') segments.pop()
  return segments
}

const isParameter = (segment: string) => segment.startsWith('{')

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false
  return pattern.every((name, at) => isParameter(name) || name === segments[at])
}

function parametersOf(
  pattern: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> {
  const found: [string, string][] = []
  for (const [at, name] of pattern.entries())
    if (isParameter(name)) found.push([name.slice(1, -1), decoded(segments[at]!)])
  return Object.fromEntries(found)
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new HttpError(400, `Malformed path: ${segment}`, { cause })
  }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new HttpError(400, `Malformed JSON: ${(cause as Error).message}`, { cause })
  }
}
