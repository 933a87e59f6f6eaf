/**
 * Streams over TCP by `node:net`: no delay, keep-alive on, one `writev` per write.
 *
 * All sockets read into one buffer: a read and the call with what was read follow each other at once,
 * and the receiver copies what it keeps. An allocation for each read would cost more than the copy, by
 * the garbage collections that it causes.
 */
import net from 'node:net'
import type { ConnectOptions, Endpoint, Listening, Network, Stream } from '../network.ts'
import { type Closing, ClosingLine } from './closing-line.ts'
import { mostOpenFiles } from './open-files.ts'
import { connectTls } from './tls.ts'

/**
 * Bytes that may wait in the process for a socket before `write` answers false. At least the socket's own
 * high water mark: above that it is sure to say when it has drained.
 */
const waitingBytesMax = 64 * 1024

/** Bytes of one read at most. */
const readBytesMax = 256 * 1024

/** Bytes of the first read of an accepted stream, and of the smallest ones. */
const firstReadBytes = 1024

/** On Windows a read is given its memory long before there is anything to read. */
const sharesReads = process.platform !== 'win32'

let sharedBuffer: Buffer | undefined

/** The first so many bytes of the shared buffer. */
const bites = new Map<number, Buffer>()

function biteOf(bytes: number): Buffer {
  let bite = bites.get(bytes)
  if (bite === undefined) {
    sharedBuffer ??= Buffer.allocUnsafeSlow(readBytesMax)
    bite = sharedBuffer.subarray(0, bytes)
    bites.set(bytes, bite)
  }
  return bite
}

/** Until a stream is made for the socket nothing is read. */
type Received = { stream: NodeStream | undefined }

/** What makes `net` read into the shared buffer, so many bytes at first. */
function sharedReads(received: Received, firstBytes: number): { onread: net.OnReadOpts } {
  let bite = biteOf(firstBytes)
  let isSet = false
  /** Asked for before the first read and after each: what to read into next, if it is another. */
  const buffer = (): Buffer => {
    const bytes = received.stream?.readBytesMax ?? firstBytes
    if (isSet && bite.length === bytes) return unchanged
    isSet = true
    bite = biteOf(bytes)
    return bite
  }
  const callback = (bytes: number): boolean => {
    received.stream?.onData(bite.subarray(0, bytes))
    return true
  }
  return { onread: { buffer, callback } }
}

/** `net` goes on with the buffer that it has where it is given none; its types do not say so. */
const unchanged = undefined as unknown as Buffer

/**
 * Each stream is an open file. A quarter of what the process may open is left to logs: when they can open none
 * the broker is done, and a flood of connections must not get it there.
 */
const streamsShare = 3 / 4

/** All accepted streams close by it. */
const closingLine = new ClosingLine()

function streamsMaxOf(mostFiles: number | undefined): number | undefined {
  return mostFiles === undefined ? undefined : Math.floor(mostFiles * streamsShare)
}

export class NodeNetwork implements Network {
  readonly streamsMax: number | undefined = streamsMaxOf(mostOpenFiles())

  listen(at: Endpoint, onStream: (stream: Stream) => void): Promise<Listening> {
    return new Promise((resolve, reject) => {
      const options = {
        noDelay: true,
        keepAlive: true,
        pauseOnConnect: true,
        allowHalfOpen: true,
      }
      const server = net.createServer(options, (socket) => {
        if (isGone(socket)) return
        onStream(new AcceptedStream(socket, false, firstReadBytes))
        socket.resume()
      })
      server.on('error', reject)
      server.listen({ port: at.port, ...(at.host === '' ? {} : { host: at.host }) }, () => {
        acceptShared(server, onStream)
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

  connect(to: Endpoint, { timeoutMs = 0, tls = null }: ConnectOptions = {}): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const received: Received = { stream: undefined }
      // TLS has bytes of its own to read, and memory of its own for what it makes of them.
      const isShared = sharesReads && tls === null
      const { host, port } = to
      const reads = isShared ? sharedReads(received, readBytesMax) : {}
      const socket =
        tls === null
          ? net.connect({ host, port, noDelay: true, keepAlive: true, ...reads })
          : connectTls({ host, port }, tls)
      socket.setTimeout(timeoutMs)
      socket.once('error', reject)
      socket.once('timeout', () => {
        const message = `no connection to ${to.host}:${to.port} within ${timeoutMs} ms`
        socket.destroy(Object.assign(new Error(message), { code: 'ETIMEDOUT' }))
      })
      // Who ends it within the handshake says nothing of why.
      if (tls !== null) socket.once('close', () => reject(new Error('closed in the TLS handshake')))
      socket.once(tls === null ? 'connect' : 'secureConnect', () => {
        socket.setTimeout(0)
        socket.off('error', reject)
        received.stream = new NodeStream(socket, isShared, readBytesMax)
        resolve(received.stream)
      })
    })
  }
}

/** What an accepted socket stands on. */
type Handle = { readonly useUserBuffer?: unknown }

/** The part of a server below what Node promises: what it stands on calls this for each connection. */
interface Accepting {
  readonly _handle: {
    onconnection?: (this: unknown, error: number | undefined, accepted: Handle | undefined) => void
  } | null
}

/**
 * `net` reads into a given buffer only where that is said when the socket is made, and it makes the accepted
 * ones itself, without: so they are made here. That it has no second object for each connection is worth as
 * much: a storm of them has the collector of garbage carry all of them about. Where Node does not have it in
 * this form the server goes on by itself, and its sockets read into new memory.
 */
function acceptShared(server: net.Server, onStream: (stream: Stream) => void): void {
  const handle = (server as unknown as Accepting)._handle
  const byNode = handle?.onconnection
  if (!sharesReads || handle === null || byNode === undefined) return
  handle.onconnection = function (error, accepted) {
    if (error || typeof accepted?.useUserBuffer !== 'function') {
      byNode.call(this, error, accepted)
      return
    }
    const received: Received = { stream: undefined }
    const reads = sharedReads(received, firstReadBytes)
    const options = { handle: accepted, allowHalfOpen: true, ...reads }
    const socket = new net.Socket(options as net.SocketConstructorOpts)
    if (isGone(socket)) return
    socket.setNoDelay(true)
    socket.setKeepAlive(true)
    received.stream = new AcceptedStream(socket, true, firstReadBytes)
    onStream(received.stream)
  }
}

/** Before it could be looked at: it has no addresses any more. */
function isGone(socket: net.Socket): boolean {
  if (socket.remoteAddress !== undefined) return false
  socket.destroy()
  return true
}

class NodeStream implements Stream {
  readonly local: Endpoint
  readonly remote: Endpoint
  onData: (chunk: Buffer) => void = unset
  onClose: (error?: Error) => void = unset
  onDrain: () => void = unset
  protected readonly socket: net.Socket
  #readBytesMax: number
  #error: Error | undefined
  #isClosed = false

  constructor(socket: net.Socket, hasSharedReads: boolean, readBytes: number) {
    this.socket = socket
    this.#readBytesMax = readBytes
    this.local = { host: plainHost(socket.localAddress ?? ''), port: socket.localPort ?? 0 }
    this.remote = { host: plainHost(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
    if (!hasSharedReads) socket.on('data', (chunk) => this.onData(chunk))
    socket.on('drain', () => this.onDrain())
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => {
      this.#isClosed = true
      if (this.#error === undefined) this.onClose()
      else this.onClose(this.#error)
    })
  }

  get readBytesMax(): number {
    return this.#readBytesMax
  }

  /** A power of two, so that there are few kinds. */
  set readBytesMax(bytes: number) {
    const bite = 2 ** Math.floor(Math.log2(bytes))
    this.#readBytesMax = Math.min(readBytesMax, Math.max(firstReadBytes, bite))
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): boolean {
    const { socket } = this
    const last = chunks.length - 1
    if (last > 0) socket.cork()
    for (let i = 0; i < last; i++) socket.write(chunks[i] as Uint8Array)
    if (onSent === undefined) {
      socket.write(chunks[last] as Uint8Array)
    } else {
      socket.write(chunks[last] as Uint8Array, (error) => {
        if (!error && !this.#isClosed) onSent()
      })
    }
    if (last > 0) socket.uncork()
    // Not what socket.write returned: that counts bytes which the kernel has taken by now.
    return socket.writableLength <= waitingBytesMax
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/**
 * One of many, which may all end in the same moment: they close a few in a turn. The end of what the peer sends
 * is the end of the stream too, once what was written has left.
 */
class AcceptedStream extends NodeStream implements Closing {
  /** Nobody waits for what has not left. */
  #isGivenUp = false

  constructor(socket: net.Socket, hasSharedReads: boolean, readBytes: number) {
    super(socket, hasSharedReads, readBytes)
    socket.on('end', () => closingLine.add(this))
  }

  override destroy(): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    closingLine.add(this)
    if (this.socket.destroyed) return
    this.onData = ignore
    this.onDrain = ignore
    this.socket.pause()
  }

  close(): void {
    const { socket } = this
    if (this.#isGivenUp || socket.writableLength === 0) socket.destroy()
    else socket.end()
  }
}

function ignore(): void {}

function unset(): void {
  throw new Error('a stream was taken without setting onData, onDrain and onClose')
}

/** An IPv4 address that came through a dual-stack socket, in its usual form. */
function plainHost(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
