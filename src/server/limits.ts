/**
 * Everything that a peer could make grow has a limit here: connections, the size of a request and of what
 * it decodes to, the requests and replies that wait on a connection, the bytes of all requests and replies
 * in the broker, idle time. One `Limits` is shared by all listeners.
 *
 *     what holds memory                       budget             where it is used up
 *     frames that have not arrived whole      unfinishedFrames   large ones pause, slow ones are closed
 *     requests at work, with their trees      requestBytes       no request is taken
 *     requests that wait for other clients    waitingBytes       whoever holds most is closed
 *     replies that are not sent               replyBytes         fetches get less, who reads nothing is closed
 */
import type { Clock, Milliseconds } from '../environment/environment.ts'
import { ByteBudget } from './byte-budget.ts'
import { LargeReads } from './large-reads.ts'
import { LoopTurns } from './loop-turns.ts'
import { MemoryPressure } from './memory-pressure.ts'
import { ClientQuotas, defaultQuotaWindows, type QuotaWindows } from './quotas/client-quotas.ts'
import { ConnectionRates, unlimitedRate } from './quotas/connection-rates.ts'
import { UnfinishedFrames } from './unfinished-frames.ts'
import { WriteTurns } from './write-turns.ts'

export interface ListenerLimits {
  readonly connectionsMax: number
  readonly connectionRateMax: number
}

export interface LimitOptions {
  /** `socket.request.max.bytes`. */
  readonly requestBytesMax: number
  /** `max.connections`, of all listeners together. */
  readonly connectionsMax: number
  /** `max.connections.per.ip`. */
  readonly connectionsPerIpMax: number
  /** `max.connections.per.ip.overrides`: by address. */
  readonly connectionsPerIpOverrides: ReadonlyMap<string, number>
  /** `max.connection.creation.rate`: connections a second. */
  readonly connectionRateMax: number
  /** What listeners have of their own, by name: `listener.name.internal.max.connections`, … */
  readonly byListener: ReadonlyMap<string, ListenerLimits>
  /** `connections.max.idle.ms`; negative: never. */
  readonly idleMsMax: Milliseconds
  /**
   * Requests of one connection that may be unanswered at once. Kafka's clients have 5 in flight at most
   * (KIP-98); a client that pipelines more waits for replies.
   */
  readonly requestsPerConnectionMax: number
  /** Bytes of replies that one connection may keep waiting before no more of its requests are taken. */
  readonly replyBytesPerConnectionMax: number
  /**
   * Bytes of records in one reply, however many are asked for, unless a single batch has more: whoever wants
   * more asks again, and others are heard in between.
   */
  readonly recordBytesPerReplyMax: number
  /**
   * `queued.max.request.bytes`: of requests taken and not answered, in the whole broker. Half as much once
   * more for large requests that have not arrived whole, for requests that wait for other clients, and for
   * replies.
   */
  readonly queuedRequestBytesMax: number
  /**
   * What the arrays of one request may cost in memory: about 50 000 partitions in a Fetch, 80 000 names.
   */
  readonly decodedBytesMax: number
}

export const unlimitedListener: ListenerLimits = {
  connectionsMax: Number.POSITIVE_INFINITY,
  connectionRateMax: unlimitedRate,
}

/**
 * Kafka's defaults, with two exceptions. Kafka bounds the number of requests (500) and not their bytes; here
 * these are bounded by 256 MiB, so that two requests of the largest size fit beside small ones. And Kafka
 * takes any number of connections; here there are 20 000, of which one address may have three quarters,
 * so that others still get in. `max.connections` and `max.connections.per.ip` say otherwise.
 */
export const defaultLimits: LimitOptions = {
  requestBytesMax: 104_857_600,
  connectionsMax: 20_000,
  connectionsPerIpMax: 15_000,
  connectionsPerIpOverrides: new Map(),
  connectionRateMax: unlimitedRate,
  byListener: new Map(),
  idleMsMax: 600_000,
  requestsPerConnectionMax: 100,
  replyBytesPerConnectionMax: 1024 * 1024,
  // With what is read beyond it, this fits memory that is used again and again: 4 MiB.
  recordBytesPerReplyMax: 4_000_000,
  queuedRequestBytesMax: 256 * 1024 * 1024,
  decodedBytesMax: 8 * 1024 * 1024,
}

export class Limits {
  /** May be replaced while connections are open: some settings change at run time. */
  options: LimitOptions
  readonly requestBytes: ByteBudget
  readonly largeReads: LargeReads
  readonly waitingBytes: ByteBudget
  readonly replyBytes: ByteBudget
  readonly unfinishedFrames: UnfinishedFrames
  readonly pressure: MemoryPressure
  readonly turns: LoopTurns
  readonly writes = new WriteTurns()
  readonly quotas: ClientQuotas
  readonly rates: ConnectionRates
  /** What the system allows: files need some of it. */
  streamsMax = Number.POSITIVE_INFINITY
  readonly #byHost = new Map<string, number>()
  readonly #byListener = new Map<string, number>()
  #connections = 0

  constructor(
    clock: Clock,
    options: Partial<LimitOptions> = {},
    windows: QuotaWindows = defaultQuotaWindows,
  ) {
    this.options = { ...defaultLimits, ...options }
    this.requestBytes = new ByteBudget(() => this.options.queuedRequestBytesMax)
    this.largeReads = new LargeReads(this.requestBytes)
    const half = () => this.options.queuedRequestBytesMax / 2
    this.waitingBytes = new ByteBudget(half)
    this.replyBytes = new ByteBudget(half)
    this.unfinishedFrames = new UnfinishedFrames(half)
    this.pressure = new MemoryPressure(this)
    this.turns = new LoopTurns(clock)
    this.quotas = new ClientQuotas(clock, windows)
    this.rates = new ConnectionRates(clock, windows.requests)
  }

  /** Counts a new connection from `host`, or says why it must be closed. */
  admit(host: string, listener: string): string | undefined {
    const { connectionsMax, connectionsPerIpMax, connectionsPerIpOverrides } = this.options
    const fromHost = this.#byHost.get(host) ?? 0
    const fromHostMax = connectionsPerIpOverrides.get(host) ?? connectionsPerIpMax
    if (this.#connections >= this.streamsMax) {
      return `the process may open no more files than leave room for ${this.streamsMax} connections`
    }
    if (this.#connections >= connectionsMax) return `max.connections is ${connectionsMax}`
    if (fromHost >= fromHostMax) return `max.connections.per.ip is ${fromHostMax} for it`
    const byListener = this.#byListener.get(listener) ?? 0
    const { connectionsMax: byListenerMax } = this.#ofListener(listener)
    if (byListener >= byListenerMax) {
      return `max.connections is ${byListenerMax} for the listener ${listener}`
    }
    this.#connections++
    this.#byHost.set(host, fromHost + 1)
    this.#byListener.set(listener, byListener + 1)
    return undefined
  }

  /** Counts an admitted connection, and says how long it has to wait for its turn. */
  waitMs(listener: string): Milliseconds {
    const { connectionRateMax } = this.options
    const { connectionRateMax: ofListener } = this.#ofListener(listener)
    if (connectionRateMax === unlimitedRate && ofListener === unlimitedRate) return 0
    return this.rates.waitMs(listener, connectionRateMax, ofListener)
  }

  #ofListener(listener: string): ListenerLimits {
    return this.options.byListener.get(listener) ?? unlimitedListener
  }

  /** An admitted connection has closed. */
  leave(host: string, listener: string): void {
    this.#connections--
    this.#byListener.set(listener, (this.#byListener.get(listener) ?? 0) - 1)
    const fromHost = this.#byHost.get(host) ?? 0
    if (fromHost <= 1) this.#byHost.delete(host)
    else this.#byHost.set(host, fromHost - 1)
  }
}
