/** Streams over TCP by `node:net`: no delay, keep-alive on, one `writev` per write. */
import net from 'node:net'
import type { Endpoint, Listening, Network, Stream } from '../network.ts'

/**
 * Bytes that may wait in the process for a socket before `write` answers false. At least the socket's own
 * high water mark: above that it is sure to say when it has drained.
 */
const waitingBytesMax = 64 * 1024

export class NodeNetwork implements Network {
  listen(at: Endpoint, onStream: (stream: Stream) => void): Promise<Listening> {
    return new Promise((resolve, reject) => {
      const server = net.createServer({ noDelay: true, keepAlive: true }, (socket) => {
        // Gone before it could be looked at: it has no addresses any more.
        if (socket.remoteAddress === undefined) socket.destroy()
        else onStream(new NodeStream(socket))
      })
      server.on('error', reject)
      server.listen({ port: at.port, ...(at.host === '' ? {} : { host: at.host }) }, () => {
        const bound = server.address() as net.AddressInfo
        resolve({
          address: { host: plainHost(bound.address), port: bound.port },
          close: () => {
            // Without waiting for its callback, which comes only when the last open stream has ended.
            server.close()
            return Promise.resolve()
          },
        })
      })
    })
  }

  connect(to: Endpoint, options?: { timeoutMs?: number }): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: to.host, port: to.port, noDelay: true, keepAlive: true })
      socket.setTimeout(options?.timeoutMs ?? 0)
      socket.once('error', reject)
      socket.once('timeout', () => {
        const message = `no connection to ${to.host}:${to.port} within ${options?.timeoutMs} ms`
        socket.destroy(Object.assign(new Error(message), { code: 'ETIMEDOUT' }))
      })
      socket.once('connect', () => {
        socket.setTimeout(0)
        socket.off('error', reject)
        resolve(new NodeStream(socket))
      })
    })
  }
}

class NodeStream implements Stream {
  readonly local: Endpoint
  readonly remote: Endpoint
  onData: (chunk: Buffer) => void = unset
  onClose: (error?: Error) => void = unset
  onDrain: () => void = unset
  readonly #socket: net.Socket
  #error: Error | undefined

  constructor(socket: net.Socket) {
    this.#socket = socket
    this.local = { host: plainHost(socket.localAddress ?? ''), port: socket.localPort ?? 0 }
    this.remote = { host: plainHost(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
    socket.on('data', (chunk) => this.onData(chunk))
    socket.on('drain', () => this.onDrain())
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => {
      if (this.#error === undefined) this.onClose()
      else this.onClose(this.#error)
    })
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (chunks.length === 1) {
      socket.write(chunks[0] as Uint8Array)
    } else {
      socket.cork()
      for (let i = 0; i < chunks.length; i++) socket.write(chunks[i] as Uint8Array)
      socket.uncork()
    }
    // Not what socket.write returned: that counts bytes which the kernel has taken by now.
    return socket.writableLength <= waitingBytesMax
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

function unset(): void {
  throw new Error('a stream was taken without setting onData, onDrain and onClose')
}

/** An IPv4 address that came through a dual-stack socket, in its usual form. */
function plainHost(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
