/**
 * Everything that a peer could make grow has a limit here: connections, the size of a request, the
 * requests and replies that wait on a connection, the bytes of all requests in the broker, idle time,
 * and the log lines that a misbehaving peer can cause. One `Limits` is shared by all listeners.
 */
import type { Clock, Logger, Milliseconds, Timer, Timers } from '../environment/environment.ts'
import { UnfinishedFrames } from './unfinished-frames.ts'

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
   * `queued.max.request.bytes`: of requests taken and not answered, in the whole broker; and once more of
   * requests that have not arrived whole.
   */
  readonly queuedRequestBytesMax: number
}

/**
 * Kafka's defaults, but for the bytes of requests: Kafka bounds their number (500) and not their bytes.
 * Here they are bounded by 256 MiB, so that two requests of the largest size fit beside small ones.
 */
export const defaultLimits: LimitOptions = {
  requestBytesMax: 104_857_600,
  connectionsMax: 2_147_483_647,
  connectionsPerIpMax: 2_147_483_647,
  connectionsPerIpOverrides: new Map(),
  connectionRateMax: 2_147_483_647,
  idleMsMax: 600_000,
  requestsPerConnectionMax: 100,
  replyBytesPerConnectionMax: 1024 * 1024,
  queuedRequestBytesMax: 256 * 1024 * 1024,
}

export class Limits {
  /** May be replaced while connections are open: some settings change at run time. */
  options: LimitOptions
  readonly requestBytes: ByteBudget
  readonly unfinishedFrames: UnfinishedFrames
  readonly #clock: Clock
  readonly #byHost = new Map<string, number>()
  #connections = 0
  #creationCredit = 0
  #creditedMs: Milliseconds

  constructor(clock: Clock, options: Partial<LimitOptions> = {}) {
    this.#clock = clock
    this.options = { ...defaultLimits, ...options }
    this.requestBytes = new ByteBudget(() => this.options.queuedRequestBytesMax)
    this.unfinishedFrames = new UnfinishedFrames(() => this.options.queuedRequestBytesMax)
    this.#creationCredit = this.options.connectionRateMax
    this.#creditedMs = clock.monotonic()
  }

  /** Counts a new connection from `host`, or says why it must be closed. */
  admit(host: string): string | undefined {
    const { connectionsMax, connectionsPerIpMax, connectionsPerIpOverrides } = this.options
    const fromHost = this.#byHost.get(host) ?? 0
    const fromHostMax = connectionsPerIpOverrides.get(host) ?? connectionsPerIpMax
    if (this.#connections >= connectionsMax) return `max.connections is ${connectionsMax}`
    if (fromHost >= fromHostMax) return `max.connections.per.ip is ${fromHostMax} for it`
    if (!this.#takeCreationCredit()) {
      return `max.connection.creation.rate is ${this.options.connectionRateMax} a second`
    }
    this.#connections++
    this.#byHost.set(host, fromHost + 1)
    return undefined
  }

  /** An admitted connection has closed. */
  leave(host: string): void {
    this.#connections--
    const fromHost = this.#byHost.get(host) ?? 0
    if (fromHost <= 1) this.#byHost.delete(host)
    else this.#byHost.set(host, fromHost - 1)
  }

  /** A bucket that holds at most one second's connections. */
  #takeCreationCredit(): boolean {
    const now = this.#clock.monotonic()
    const rate = this.options.connectionRateMax
    const earned = ((now - this.#creditedMs) / 1000) * rate
    this.#creationCredit = Math.min(rate, this.#creationCredit + earned)
    this.#creditedMs = now
    if (this.#creationCredit < 1) return false
    this.#creationCredit--
    return true
  }
}

/**
 * Bytes taken and given back. As with Kafka's memory pool the last taker may go beyond the limit, so
 * that a request larger than what is left is not starved by small ones.
 */
export class ByteBudget {
  readonly #max: () => number
  readonly #waiting = new Set<() => void>()
  #taken = 0
  #isWaking = false

  constructor(max: () => number) {
    this.#max = max
  }

  get taken(): number {
    return this.#taken
  }

  get isExhausted(): boolean {
    return this.#taken >= this.#max()
  }

  take(bytes: number): void {
    this.#taken += bytes
  }

  giveBack(bytes: number): void {
    this.#taken -= bytes
    this.#wakeOne()
  }

  /** One at a time and from a microtask: each takes its bytes before the next is asked, on a flat stack. */
  #wakeOne(): void {
    if (this.#isWaking || this.#waiting.size === 0 || this.isExhausted) return
    this.#isWaking = true
    queueMicrotask(() => {
      this.#isWaking = false
      const [first] = this.#waiting
      if (first === undefined || this.isExhausted) return
      this.#waiting.delete(first)
      first()
      this.#wakeOne()
    })
  }

  /** Runs `callback` once there are bytes again. */
  wait(callback: () => void): void {
    this.#waiting.add(callback)
  }

  forget(callback: () => void): void {
    this.#waiting.delete(callback)
  }
}

/** Most windows open at once; beyond it the oldest ends early. */
const windowsMax = 1000

/** The interval after a line in which further ones of its kind are only counted. */
interface Window {
  readonly timer: Timer
  readonly message: string
  suppressed: number
  /** Of the line suppressed last. */
  fields: object
}

/**
 * Warnings that a peer can cause at will: one line per host, kind of reason and interval. What was left
 * out is told when the interval ends, by the last of the lines and their number.
 */
export class PeerWarnings {
  readonly #log: Logger
  readonly #timers: Timers
  readonly #intervalMs: Milliseconds
  readonly #windows = new Map<string, Window>()

  constructor(log: Logger, timers: Timers, intervalMs = 10_000) {
    this.#log = log
    this.#timers = timers
    this.#intervalMs = intervalMs
  }

  /** Reasons that differ in their numbers only are of one kind. */
  warn(host: string, message: string, fields: { peer: string; reason: string }): void {
    const kind = `${host} ${message} ${fields.reason.replace(/-?\d+/g, '#')}`
    const open = this.#windows.get(kind)
    if (open !== undefined) {
      open.suppressed++
      open.fields = fields
      return
    }
    this.#log.warn(message, fields)
    const timer = this.#timers.after(this.#intervalMs, () => this.#end(kind))
    this.#windows.set(kind, { timer, message, suppressed: 0, fields })
    if (this.#windows.size > windowsMax) this.#end(this.#windows.keys().next().value as string)
  }

  /** Tells what was left out until now. */
  close(): void {
    for (const kind of [...this.#windows.keys()]) this.#end(kind)
  }

  #end(kind: string): void {
    const { timer, message, suppressed, fields } = this.#windows.get(kind) as Window
    timer.cancel()
    this.#windows.delete(kind)
    if (suppressed > 0) this.#log.warn(message, { ...fields, similar: suppressed })
  }
}
