/**
 * A peer that knows frames and nothing of manners: it sends any bytes, reads or does not, and keeps count
 * of what came back. Over plain sockets, so that it costs little beside the broker that it bothers.
 */
import { connect, type Socket } from 'node:net'
import type { ApiRow } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import { decodeResponse, decodeResponseHeader, encodeRequest } from '../../protocol/frame.ts'
import { MalformedError, Reader } from '../../protocol/reader.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'

/** What all peers of one attack got together. */
export class Outcome {
  sent = 0
  replies = 0
  replyBytes = 0
  closed = 0
  refused = 0
  readonly errors = new Map<string, number>()

  /** The error codes anywhere in an answer, each once. */
  note(codes: Iterable<number>): void {
    for (const code of new Set(codes)) {
      const { name } = errorByCode(code)
      if (name !== 'NONE') this.errors.set(name, (this.errors.get(name) ?? 0) + 1)
    }
  }

  toString(): string {
    const parts: string[] = []
    if (this.replies > 0) parts.push(`${this.replies} replies`)
    const names = [...this.errors].sort(([, a], [, b]) => b - a).slice(0, 3)
    for (const [name, count] of names) parts.push(`${count} ${name}`)
    if (this.closed > 0) parts.push(`${this.closed} closed`)
    if (this.refused > 0) parts.push(`${this.refused} refused`)
    return parts.length === 0 ? 'nothing' : parts.join(', ')
  }
}

export class Peer {
  readonly socket: Socket
  readonly outcome: Outcome
  isClosed = false
  /** Given each answer without its length; by default it is only counted. */
  onAnswer: ((frame: Buffer) => void) | undefined
  #onEnd: (() => void) | undefined
  #rest: Buffer[] = []
  #restBytes = 0
  #needed = 4

  constructor(socket: Socket, outcome: Outcome) {
    this.socket = socket
    this.outcome = outcome
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (!this.isClosed) outcome.closed++
      this.isClosed = true
      this.#onEnd?.()
    })
  }

  /** Undefined where the broker does not take the connection. */
  static open(port: number, outcome: Outcome): Promise<Peer | undefined> {
    return new Promise((resolve) => {
      const refused = () => {
        outcome.refused++
        resolve(undefined)
      }
      const socket = connect({ port, host: '127.0.0.1' }, () => {
        socket.off('error', refused)
        resolve(new Peer(socket, outcome))
      })
      socket.once('error', refused)
    })
  }

  /** Resolves when the kernel has taken the bytes, or the connection is gone. */
  send(...chunks: readonly Buffer[]): Promise<void> {
    if (this.isClosed) return Promise.resolve()
    this.outcome.sent++
    return new Promise((resolve) => {
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
      // Called with an error where the connection ends first.
      this.socket.write(bytes, () => resolve())
    })
  }

  /** The next answer, or undefined where the connection ends or nothing comes in time. */
  answer(timeoutMs = 5000): Promise<Buffer | undefined> {
    if (this.isClosed) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const end = (frame?: Buffer) => {
        clearTimeout(timer)
        this.onAnswer = undefined
        this.#onEnd = undefined
        resolve(frame)
      }
      const timer = setTimeout(end, timeoutMs)
      this.#onEnd = end
      this.onAnswer = end
    })
  }

  async call<Api extends ApiRow>(
    api: Api,
    version: number,
    request: InputOf<Api['request']>,
  ): Promise<MessageOf<Api['response']> | undefined> {
    const answer = this.answer()
    await this.send(frameOf(api, version, request))
    const frame = await answer
    return frame === undefined ? undefined : decodeAnswer(api, version, frame)
  }

  close(): void {
    this.isClosed = true
    this.socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#rest.push(chunk)
    this.#restBytes += chunk.length
    while (this.#restBytes >= this.#needed) {
      const [first] = this.#rest
      const all = this.#rest.length === 1 ? (first as Buffer) : Buffer.concat(this.#rest)
      this.#needed = 4 + all.readInt32BE(0)
      this.#rest = [all]
      if (all.length < this.#needed) return
      const frame = all.subarray(4, this.#needed)
      this.outcome.replies++
      this.outcome.replyBytes += this.#needed
      this.#rest = [all.subarray(this.#needed)]
      this.#restBytes = all.length - this.#needed
      this.#needed = 4
      this.onAnswer?.(frame)
    }
  }
}

/** A whole request. */
export function frameOf<Api extends ApiRow>(
  api: Api,
  version: number,
  request: InputOf<Api['request']>,
  clientId = 'hostile',
): Buffer {
  const head = { correlationId: 1, clientId }
  return Buffer.concat(encodeRequest<Api['request']>(api.request, version, head, request))
}

/** A frame whose length is right and whose body is any bytes behind the header of `api`. */
export function frameWith(
  apiKey: number,
  version: number,
  body: Buffer,
  isFlexible = false,
): Buffer {
  const header = Buffer.alloc(isFlexible ? 15 : 14)
  header.writeInt32BE(header.length - 4 + body.length, 0)
  header.writeInt16BE(apiKey, 4)
  header.writeInt16BE(version, 6)
  header.writeInt32BE(1, 8)
  header.writeInt16BE(-1, 12)
  return Buffer.concat([header.subarray(0, 14), header.subarray(14), body])
}

export function decodeAnswer<Api extends ApiRow>(
  api: Api,
  version: number,
  frame: Buffer,
): MessageOf<Api['response']> | undefined {
  const reader = new Reader(frame)
  try {
    decodeResponseHeader(reader, api.response, version)
    return decodeResponse<Api['response']>(api.response, version, reader)
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}

/** Every `errorCode` in a decoded answer. */
export function* errorCodes(value: unknown): Generator<number> {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'errorCode' && typeof inner === 'number') yield inner
    else yield* errorCodes(inner)
  }
}
