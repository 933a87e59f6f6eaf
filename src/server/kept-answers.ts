/**
 * Answers kept as bytes, for all who ask the very same while nothing has changed: hundreds of clients that ask
 * for the metadata of a thousand topics, after each of which somebody would wait for milliseconds. A handler
 * says what its answers depend on, beside the bytes of the request and its version, and of which it holds:
 *
 *     handler(api, (request, context) => { …; context.keepAnswer(image); … },
 *             { kept: new KeptAnswers({ state: () => image, variant: (context) => … }) })
 *
 * The request is not even decoded then. All that is kept goes as soon as the state is another object. Answers
 * that depend on who asks, where some may do more than others or have quotas, are neither kept nor looked up.
 */
import { crc32c } from '../../protocol/records/crc32c.ts'
import type { RequestContext } from './request-context.ts'

/** Of requests and answers. An answer may have a quarter of it. */
const keptBytesMax = 16 * 1024 * 1024
const requestBytesMax = 256 * 1024

/** Length and correlation id: what is not the same in two answers. */
export const ownBytes = 8

interface Origin {
  /** What the answers follow from; another object whenever it has changed. */
  state(): object
  /** What else an answer depends on, of the connection by which it was asked for. */
  variant(context: Pick<RequestContext, 'listener' | 'connection'>): string
}

/** An answer, without its first bytes, and the codes in it. */
export interface KeptAnswer {
  readonly bytes: Buffer
  readonly errorCounts: readonly number[]
}

interface Entry extends KeptAnswer {
  readonly request: Buffer
}

/** What was asked: the request behind its header, in a frame. */
export interface Question {
  readonly context: Pick<RequestContext, 'apiVersion' | 'listener' | 'connection'>
  readonly frame: Buffer
  readonly start: number
}

export class KeptAnswers {
  readonly #origin: Origin
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  #state: object | null = null

  constructor(origin: Origin) {
    this.#origin = origin
  }

  get size(): number {
    return this.#entries.size
  }

  find(question: Question): KeptAnswer | undefined {
    this.#follow()
    if (this.#entries.size === 0 || !isKeepable(question)) return undefined
    const entry = this.#entries.get(this.#keyOf(question))
    if (entry === undefined) return undefined
    const { frame, start } = question
    return frame.compare(entry.request, 0, entry.request.length, start) === 0 ? entry : undefined
  }

  /** `chunks` are the whole answer, which follows from `state`. */
  keep(
    question: Question,
    state: object,
    chunks: readonly Buffer[],
    errorCounts: readonly number[],
  ): void {
    this.#follow()
    if (state !== this.#state || !isKeepable(question)) return
    const whole = Buffer.concat(chunks)
    const { frame, start } = question
    // Copies: neither keeps the memory of others.
    const request = Buffer.allocUnsafeSlow(frame.length - start)
    frame.copy(request, 0, start)
    if (entryBytes({ request, bytes: whole }) > keptBytesMax / 4) return
    const key = this.#keyOf(question)
    this.#forget(key)
    const entry = { request, bytes: whole.subarray(ownBytes), errorCounts }
    this.#entries.set(key, entry)
    this.#bytes += entryBytes(entry)
    for (const [oldest] of this.#entries) {
      if (this.#bytes <= keptBytesMax) break
      this.#forget(oldest)
    }
  }

  #follow(): void {
    const state = this.#origin.state()
    if (state === this.#state) return
    this.#state = state
    this.#entries.clear()
    this.#bytes = 0
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entryBytes(entry)
  }

  /** Two requests of one key may differ: their bytes are compared as well. */
  #keyOf({ context, frame, start }: Question): string {
    const sum = crc32c(frame, start)
    return `${context.apiVersion}/${sum}/${frame.length - start}/${this.#origin.variant(context)}`
  }
}

export function isKeepable({ frame, start }: Pick<Question, 'frame' | 'start'>): boolean {
  return frame.length - start <= requestBytesMax
}

/** Beside the bytes there is what they are found by. */
const overheadBytes = 1024

function entryBytes({ request, bytes }: Pick<Entry, 'request' | 'bytes'>): number {
  return request.length + bytes.length + overheadBytes
}
