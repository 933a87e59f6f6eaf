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
    // A process that has ended does not come to what follows.
    if (!this.#process.isAlive) return new Promise(() => undefined)
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

  connect(to: Endpoint, { timeoutMs = 60_000 } = {}): Promise<Stream> {
    const world = this.#world
    const host = isOwnName(to.host) ? this.#process.name : to.host
    const key = `${host}:${to.port}`
    const { random, networkWeather } = world
    return new Promise((resolve, reject) => {
      if (networkWeather.unansweredChance > 0 && random.chance(networkWeather.unansweredChance)) {
        world.onFault('connection not answered', key)
        const expire = (): void => reject(networkError('ETIMEDOUT', key))
        world.schedule(this.#process, 'connect', timeoutMs, expire)
        return
      }
      world.schedule(this.#process, 'connect', world.networkDelayMs(), () => {
        const listener = world.listeners.get(key)
        const { refusedChance } = world.networkWeather
        if (refusedChance > 0 && random.chance(refusedChance)) {
          world.onFault('connection refused', key)
          return reject(networkError('ECONNREFUSED', key))
        }
        if (!listener?.process.isAlive || !world.admits(this.#process)) {
          return reject(networkError('ECONNREFUSED', key))
        }
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
  readBytesMax = Number.POSITIVE_INFINITY
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
  readonly #isTrickling: boolean
  /** Nothing that was written from here on arrives. */
  #isMute = false
  /** When the last thing sent arrives: nothing overtakes it. */
  #lastArrivalMs = 0

  constructor(world: SimulatedWorld, process: SimulatedProcess, local: Endpoint, remote: Endpoint) {
    this.#world = world
    this.#process = process
    this.local = local
    this.remote = remote
    process.streams.add(this)
    const { trickleChance } = world.networkWeather
    this.#isTrickling = trickleChance > 0 && world.random.chance(trickleChance)
    if (this.#isTrickling) world.onFault('bytes one by one', hostAndPort(remote))
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): boolean {
    if (this.#hasEnded || this.#isClosed || !this.#process.isAlive) return false
    const bytes = Buffer.concat(chunks)
    const cutAt = this.#misfortune(bytes.length)
    for (let from = 0; from < cutAt; ) {
      const left = cutAt - from
      const length = this.#fragmentBytes(from, left)
      const fragment = bytes.subarray(from, from + length)
      this.#onTheirWayBytes += length
      this.#deliver('data', () => this.peer?.arrive(fragment), fragment)
      from += length
    }
    if (cutAt < bytes.length) this.#cut()
    this.#writtenBytes += bytes.length
    this.#unread.push({ chunks, bytes, end: this.#writtenBytes, onSent })
    if (this.#onTheirWayBytes <= windowBytes) return true
    this.#mustDrain = true
    return false
  }

  /** What befalls a write: it is late, or never arrives, or the connection is cut in it (its place). */
  #misfortune(bytes: number): number {
    const { random, networkWeather: weather, nowMs } = this.#world
    const where = hostAndPort(this.remote)
    if (weather.stallChance > 0 && random.chance(weather.stallChance)) {
      this.#world.onFault('stall', where)
      this.#lastArrivalMs = Math.max(
        this.#lastArrivalMs,
        nowMs + random.float() * weather.stallMsMax,
      )
    }
    if (weather.muteChance > 0 && random.chance(weather.muteChance)) {
      this.#world.onFault('half-open connection', where)
      this.#isMute = true
    }
    if (weather.cutChance === 0 || !random.chance(weather.cutChance)) return bytes
    this.#world.onFault('cut', where)
    return random.between(0, bytes - 1)
  }

  #fragmentBytes(from: number, left: number): number {
    // The first bytes hold the length of the frame: that they come one by one is what matters.
    if (this.#isTrickling && from < 40) return 1
    const { random } = this.#world
    return random.chance(0.7) ? left : random.between(1, left)
  }

  /** Both ends see a reset, after what was sent before has arrived. */
  #cut(): void {
    const { peer } = this
    const fail = (end: SimulatedStream): void =>
      end.#close(networkError('ECONNRESET', hostAndPort(end.remote)))
    this.#deliver('reset', () => peer !== undefined && fail(peer))
    this.#world.schedule(this.#process, 'reset', this.#world.networkDelayMs(), () => fail(this))
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
    if (this.#isMute) return
    const world = this.#world
    const receiver = (this.peer as SimulatedStream).#process
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, world.nowMs + world.networkDelayMs())
    world.scheduleAt(receiver, kind, this.#lastArrivalMs, arrive, bytes)
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
