/** A plain socket to a broker, over which prebuilt frames cost the driver next to nothing. */
import { connect, type Socket } from 'node:net'
import type { ApiRow } from '../../protocol/apis.ts'
import { decodeResponse, decodeResponseHeader, encodeRequest } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'

/** A connection that sends frames and hands each response frame to whoever is next in line. */
export class Peer {
  readonly #socket: Socket
  readonly #waiting: ((frame: Buffer) => void)[] = []
  #chunks: Buffer[] = []
  #bytes = 0
  #needed = 4

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  static open(port: number): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => resolve(new Peer(socket)))
      socket.once('error', reject)
    })
  }

  exchange(frame: readonly Buffer[], received: (frame: Buffer) => void): void {
    this.#waiting.push(received)
    this.#socket.cork()
    for (const chunk of frame) this.#socket.write(chunk)
    this.#socket.uncork()
  }

  async call<Api extends ApiRow>(
    api: Api,
    version: number,
    request: InputOf<Api['request']>,
  ): Promise<MessageOf<Api['response']>> {
    const head = { correlationId: 1, clientId: 'bench' }
    const frame = await new Promise<Buffer>((resolve) => {
      this.exchange(encodeRequest<Api['request']>(api.request, version, head, request), resolve)
    })
    return decode(api, version, frame)
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    while (this.#bytes >= this.#needed) {
      const all =
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
      this.#chunks = [all]
      const length = all.readInt32BE(0)
      this.#needed = 4 + length
      if (all.length < this.#needed) return
      const rest = all.subarray(this.#needed)
      this.#chunks = rest.length > 0 ? [rest] : []
      this.#bytes = rest.length
      this.#needed = 4
      this.#waiting.shift()?.(all.subarray(4, 4 + length))
    }
  }
}

export function decode<Api extends ApiRow>(
  api: Api,
  version: number,
  frame: Buffer,
): MessageOf<Api['response']> {
  const reader = new Reader(frame)
  decodeResponseHeader(reader, api.response, version)
  return decodeResponse<Api['response']>(api.response, version, reader)
}
