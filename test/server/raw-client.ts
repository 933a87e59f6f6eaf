/** A client that knows frames and nothing else, over any network: what a test sends is what arrives. */
import type { Environment } from '../../src/environment/environment.ts'
import type { Endpoint, Stream } from '../../src/environment/network.ts'
import { BufferPool } from '../../src/environment/node/buffer-pool.ts'
import { FrameCutter } from '../../src/server/frames.ts'

export class RawClient {
  readonly stream: Stream
  receivedBytes = 0
  /** Resolves when the connection has closed. */
  readonly closed: Promise<void>
  readonly #frames = new FrameCutter(4, 2 ** 31 - 1, new BufferPool())
  readonly #arrived: Buffer[] = []
  readonly #waiting: { resolve: (frame: Buffer) => void; reject: (error: Error) => void }[] = []
  isClosed = false

  static async connect({ network }: Environment, to: Endpoint): Promise<RawClient> {
    return new RawClient(await network.connect(to))
  }

  private constructor(stream: Stream) {
    this.stream = stream
    stream.onData = (chunk) => this.#receive(chunk)
    stream.onDrain = () => undefined
    this.closed = new Promise((resolve) => {
      stream.onClose = () => {
        this.isClosed = true
        for (const { reject } of this.#waiting.splice(0)) reject(new Error('connection closed'))
        resolve()
      }
    })
  }

  send(...chunks: Buffer[]): void {
    this.stream.write(chunks)
  }

  /** The next response, its length taken off. Rejects if the connection closes instead. */
  response(): Promise<Buffer> {
    const frame = this.#arrived.shift()
    if (frame !== undefined) return Promise.resolve(frame)
    if (this.isClosed) return Promise.reject(new Error('connection closed'))
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async correlationId(): Promise<number> {
    return (await this.response()).readInt32BE(0)
  }

  #receive(chunk: Buffer): void {
    this.receivedBytes += chunk.length
    this.#frames.push(chunk)
    while (this.#frames.hasUnread) {
      const frame = this.#frames.next()
      if (frame === undefined) continue
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#arrived.push(frame)
      else waiting.resolve(frame)
    }
    this.#frames.keep()
  }
}
