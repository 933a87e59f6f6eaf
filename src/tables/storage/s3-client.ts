/**
 * Requests to an object store, signed, and tried again where that is worth it: where no answer came, and where the store
 * says that it is not its day. Between tries it waits longer and longer, and by chance, so that many who were refused
 * together do not come back together. What was asked may then have been done by a try whose answer was lost: the
 * outcome says so (`mayBeDone`).
 */
import { DiskError } from '../../environment/disk.ts'
import type { Environment } from '../../environment/environment.ts'
import type { ClientAnswer, HttpClient } from '../../environment/http-client.ts'
import { timestampText } from '../columns/json-text.ts'
import { errorOf, isPassing, refusalOf, type S3Refusal } from './s3-errors.ts'
import type { S3Settings } from './s3-settings.ts'
import { authorizationOf, escapedText, queryText, type SignedRequest, sha256 } from './signature.ts'

export interface ObjectWorld extends Pick<Environment, 'clock' | 'random' | 'timers'> {
  readonly http: HttpClient
}

export interface S3Request {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** The object's whole name; empty for the bucket. */
  readonly key: string
  readonly query?: SignedRequest['query']
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Of a body that is expected: so many bytes, and no more. */
  readonly answerBytesMax?: number
}

/** `refused`: an answer that another try would not change. */
export type Outcome =
  | { readonly kind: 'done'; readonly answer: ClientAnswer }
  | { readonly kind: 'refused'; readonly refusal: S3Refusal; readonly mayBeDone: boolean }
  | { readonly kind: 'failed'; readonly error: DiskError; readonly mayBeDone: boolean }

const triesMax = 8
/** From the first try on, after which there is no other. */
const triesMsMax = 90_000
const backoffMs = { first: 100, max: 5000 }
/** For an answer that is on its way; and for what is sent and what is to come, at 50 KB a second. */
const answerMs = 30_000
const bytesPerMs = 50
/** An answer that tells of a failure may be longer than what was asked for. */
const errorBytesMax = 64 * 1024
const awaitedBytesMax = 16 * 1024 * 1024

/** Failures that stay: of TLS, of what is no header, of answers that are too long. */
const lasting =
  /^(?:CERT_|ERR_TLS|ERR_SSL|ERR_INVALID|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|EPROTO|EMSGSIZE)/
/** Nobody was reached. */
const unreached = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/

export class S3Client {
  readonly settings: S3Settings
  readonly world: ObjectWorld
  readonly #origin: string
  readonly #host: string
  /** Before the key, escaped, with a slash at its end. */
  readonly #path: string

  constructor(settings: S3Settings, world: ObjectWorld) {
    this.settings = settings
    this.world = world
    const { endpoint, bucket, isPathStyle } = settings
    const url = new URL(endpoint)
    if (!isPathStyle) url.hostname = `${bucket}.${url.hostname}`
    this.#origin = url.origin
    this.#host = url.host
    this.#path = `${url.pathname.replace(/\/$/, '')}/${isPathStyle ? `${bucket}/` : ''}`
  }

  /** As people know the object. */
  nameOf(key: string): string {
    return `s3://${this.settings.bucket}/${key}`
  }

  /** The answer of what was done. Rejects with DiskError, whose code is S3's own; ENOENT where there is no object. */
  async ask(request: S3Request): Promise<ClientAnswer> {
    const outcome = await this.attempt(request)
    if (outcome.kind === 'done') return outcome.answer
    throw this.errorOf(outcome, request.key)
  }

  errorOf(outcome: Exclude<Outcome, { kind: 'done' }>, key: string): DiskError {
    if (outcome.kind === 'failed') return outcome.error
    return errorOf(outcome.refusal, this.nameOf(key), this.settings)
  }

  /** Tries until there is an answer that counts, or it was too much. */
  async attempt(request: S3Request): Promise<Outcome> {
    const { clock, random } = this.world
    const began = clock.monotonic()
    let mayBeDone = false
    for (let tries = 1; ; tries++) {
      const outcome = await this.#try(request)
      if (outcome.kind === 'done') return outcome
      if (outcome.kind === 'refused') return { ...outcome, mayBeDone }
      mayBeDone ||= outcome.mayBeDone
      const isOver = tries === triesMax || clock.monotonic() - began > triesMsMax
      if (isOver || !outcome.isPassing) return { kind: 'failed', error: outcome.error, mayBeDone }
      const longest = Math.min(backoffMs.first * 2 ** tries, backoffMs.max)
      await this.#pause(longest / 2 + (random.float() * longest) / 2)
    }
  }

  async #try(request: S3Request) {
    let answer: ClientAnswer
    try {
      answer = await this.#send(request)
    } catch (cause) {
      const { code = 'EIO', message } = cause as NodeJS.ErrnoException
      const error = new DiskError(code, this.nameOf(request.key), { message, cause })
      const isPassing = !lasting.test(code)
      const mayBeDone = code === 'EMSGSIZE' || (isPassing && !unreached.test(code))
      return { kind: 'failed', error, mayBeDone, isPassing } as const
    }
    const refusal = refusalOf(answer, request.method === 'POST')
    if (refusal === null) return { kind: 'done', answer } as const
    if (!isPassing(answer, refusal)) return { kind: 'refused', refusal } as const
    const error = errorOf(refusal, this.nameOf(request.key), this.settings)
    const mayBeDone = answer.status >= 500 || answer.status === 200
    return { kind: 'failed', error, mayBeDone, isPassing: true } as const
  }

  async #send(request: S3Request): Promise<ClientAnswer> {
    const { method, key, query = [], body, answerBytesMax } = request
    const { credentials, region } = this.settings
    const path = this.#path + escapedKey(key)
    const bodyHash = sha256(body ?? '')
    const time = `${timestampText(BigInt(this.world.clock.now()), 'millis').replace(/\..*|[-:]/g, '')}Z`
    const headers: Record<string, string> = {
      host: this.#host,
      ...request.headers,
      'x-amz-content-sha256': bodyHash,
      'x-amz-date': time,
    }
    if (credentials.sessionToken !== null)
      headers['x-amz-security-token'] = credentials.sessionToken
    const signed = { method, path, query, headers, bodyHash }
    headers['authorization'] = authorizationOf(signed, credentials, { region, service: 's3', time })
    const question = query.length === 0 ? '' : `?${queryText(query)}`
    const bytes = Math.min(answerBytesMax ?? 0, awaitedBytesMax) + (body?.length ?? 0)
    return this.world.http(`${this.#origin}${path}${question}`, {
      ...{ method, headers, answerMsMax: answerMs + Math.ceil(bytes / bytesPerMs) },
      ...(body === undefined ? {} : { body }),
      ...(answerBytesMax === undefined ? {} : { answerBytesMax: answerBytesMax + errorBytesMax }),
    })
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.world.timers.after(ms, resolve))
  }
}

function escapedKey(key: string): string {
  return key.split('/').map(escapedText).join('/')
}
