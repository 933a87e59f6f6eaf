/**
 * A network in memory: byte streams whose chunks are cut and delayed by the seed, in order, with
 * back-pressure. Each process is a host of its own; `localhost` and the wildcard addresses mean it.
 *
 * It watches over whose memory is whose: a chunk is overwritten as soon as its receiver has returned, and
 * chunks that change between `write` and their arrival end the run.
 */
import type { Endpoint, Listening, Network, Stream } from '../../src/environment/network.ts'
import type { SimulatedProcess, SimulatedWorld } from './simulated-world.ts'

/** Bytes on their way in one direction from which `write` answers false. */
const windowBytes = 64 * 1024

const poison = 0xdd

interface Listener {
  readonly process: SimulatedProcess
  readonly onStream: (stream: Stream) => void
}

/** The listeners of all processes, by `host:port`. */
export type Listeners = Map<string, Listener>

export class SimulatedNetwork implements Network {
  readonly #world: SimulatedWorld
  readonly #process: SimulatedProcess

  constructor(world: SimulatedWorld, process: SimulatedProcess) {
    this.#world = world
    this.#process = process
  }

  listen(at: Endpoint, onStream: (stream: Stream) => void): Promise<Listening> {
    const { listeners } = this.#world
    const address = { host: this.#process.name, port: at.port || this.#world.freePort() }
    const key = `${address.host}:${address.port}`
    if (listeners.has(key)) return Promise.reject(networkError('EADDRINUSE', key))
    const listener = { process: this.#process, onStream }
    listeners.set(key, listener)
    const close = (): Promise<void> => {
      if (listeners.get(key) === listener) listeners.delete(key)
      return Promise.resolve()
    }
    return Promise.resolve({ address, close })
  }

  connect(to: Endpoint): Promise<Stream> {
    const world = this.#world
    const host = isOwnName(to.host) ? this.#process.name : to.host
    const key = `${host}:${to.port}`
    return new Promise((resolve, reject) => {
      world.schedule(this.#process, 'connect', world.networkDelayMs(), () => {
        const listener = world.listeners.get(key)
        if (!listener?.process.isAlive) return reject(networkError('ECONNREFUSED', key))
        const near = { host: this.#process.name, port: world.freePort() }
        const far = { host, port: to.port }
        const client = new SimulatedStream(world, this.#process, near, far)
        const server = new SimulatedStream(world, listener.process, far, near)
        client.peer = server
        server.peer = client
        world.schedule(listener.process, 'accept', 0, () => listener.onStream(server))
        resolve(client)
      })
    })
  }
}

interface Written {
  readonly chunks: readonly Uint8Array[]
  /** What the chunks held when they were written. */
  readonly bytes: Buffer
  /** How many bytes had been written with them. */
  readonly end: number
  readonly onSent: (() => void) | undefined
}

class SimulatedStream implements Stream {
  readonly local: Endpoint
  readonly remote: Endpoint
  onData: (chunk: Buffer) => void = unset
  onClose: (error?: Error) => void = unset
  onDrain: () => void = unset
  peer: SimulatedStream | undefined
  readonly #world: SimulatedWorld
  readonly #process: SimulatedProcess
  /** Chunks that have arrived and wait because the reader has paused; null is the peer's end. */
  readonly #arrived: (Buffer | null)[] = []
  #isPaused = false
  #hasEnded = false
  #isClosed = false
  #onTheirWayBytes = 0
  #writtenBytes = 0
  #readBytes = 0
  /** What was written and the peer has not read whole, oldest first. */
  readonly #unread: Written[] = []
  #mustDrain = false
  /** When the last thing sent arrives: nothing overtakes it. */
  #lastArrivalMs = 0

  constructor(world: SimulatedWorld, process: SimulatedProcess, local: Endpoint, remote: Endpoint) {
    this.#world = world
    this.#process = process
    this.local = local
    this.remote = remote
    process.streams.add(this)
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): boolean {
    if (this.#hasEnded || this.#isClosed || !this.#process.isAlive) return false
    const bytes = Buffer.concat(chunks)
    const { random } = this.#world
    for (let from = 0; from < bytes.length; ) {
      const left = bytes.length - from
      const length = random.chance(0.7) ? left : random.between(1, left)
      const fragment = bytes.subarray(from, from + length)
      this.#onTheirWayBytes += length
      this.#deliver('data', () => this.peer?.arrive(fragment), fragment)
      from += length
    }
    this.#writtenBytes += bytes.length
    this.#unread.push({ chunks, bytes, end: this.#writtenBytes, onSent })
    if (this.#onTheirWayBytes <= windowBytes) return true
    this.#mustDrain = true
    return false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#world.schedule(this.#process, 'resume', 0, () => this.#handOver())
  }

  end(): void {
    if (this.#hasEnded || this.#isClosed) return
    this.#hasEnded = true
    this.#deliver('end', () => this.peer?.arrive(null))
  }

  destroy(): void {
    if (this.#isClosed) return
    this.end()
    this.#world.schedule(this.#process, 'close', 0, () => this.#close())
  }

  /** The process at this end is gone: what it sent may still arrive; the peer then sees a reset. */
  reset(delayMs: number): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const peer = this.peer as SimulatedStream
    const fail = (): void => peer.#close(networkError('ECONNRESET', hostAndPort(peer.remote)))
    this.#world.schedule(peer.#process, 'reset', delayMs, fail)
  }

  arrive(fragment: Buffer | null): void {
    this.#arrived.push(fragment)
    this.#handOver()
  }

  #handOver(): void {
    while (!this.#isPaused && !this.#isClosed) {
      const fragment = this.#arrived.shift()
      if (fragment === undefined) return
      if (fragment === null) {
        this.end()
        this.#close()
      } else {
        this.peer?.taken(fragment.length)
        const lent = Buffer.from(fragment)
        this.onData(lent)
        lent.fill(poison)
      }
    }
  }

  /** The peer has read so many of the bytes that were written here. */
  taken(bytes: number): void {
    this.#onTheirWayBytes -= bytes
    this.#readBytes += bytes
    while ((this.#unread[0]?.end ?? Number.POSITIVE_INFINITY) <= this.#readBytes) this.#sent()
    if (!this.#mustDrain || this.#onTheirWayBytes > windowBytes / 2) return
    this.#mustDrain = false
    this.#world.schedule(this.#process, 'drain', this.#world.networkDelayMs(), () => {
      if (!this.#isClosed) this.onDrain()
    })
  }

  /** The oldest chunks that were written have left. */
  #sent(): void {
    const { chunks, bytes, onSent } = this.#unread.shift() as Written
    if (!Buffer.concat(chunks).equals(bytes)) {
      throw new Error('chunks given to a stream were changed before they had left')
    }
    if (onSent === undefined) return
    this.#world.schedule(this.#process, 'sent', 0, () => {
      if (!this.#isClosed) onSent()
    })
  }

  #close(error?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#process.streams.delete(this)
    if (error === undefined) this.onClose()
    else this.onClose(error)
  }

  #deliver(kind: string, arrive: () => void, bytes?: Buffer): void {
    const world = this.#world
    const receiver = (this.peer as SimulatedStream).#process
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, world.nowMs + world.networkDelayMs())
    world.schedule(receiver, kind, this.#lastArrivalMs - world.nowMs, arrive, bytes)
  }
}

function isOwnName(host: string): boolean {
  return ['', 'localhost', '127.0.0.1', '0.0.0.0', '::', '::1'].includes(host)
}

function hostAndPort({ host, port }: Endpoint): string {
  return `${host}:${port}`
}

function networkError(code: string, where: string): Error {
  return Object.assign(new Error(`${code}: ${where}`), { code })
}

function unset(): void {
  throw new Error('a stream was taken without setting onData, onDrain and onClose')
}
