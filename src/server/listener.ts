/**
 * One address on which the broker listens, and the connections that came by it. Several listeners share
 * a router, the limits and the counters.
 */
import type { Buffers } from '../environment/buffers.ts'
import type { Clock, Environment, Logger, Timers } from '../environment/environment.ts'
import type { Endpoint, Listening, Stream } from '../environment/network.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import type { ServerCounters } from './counters.ts'
import { Entrance, type EntranceOwner } from './entrance.ts'
import type { Limits } from './limits.ts'
import { PeerWarnings } from './peer-warnings.ts'
import type { Router } from './router.ts'

export interface ListenerOptions {
  /** As in `listeners`: PLAINTEXT, INTERNAL, … */
  readonly name: string
  /** Where to listen; port 0 takes any free one, an empty host all addresses. */
  readonly address: Endpoint
  readonly router: Router
  readonly limits: Limits
  readonly counters: ServerCounters
}

export class Listener implements ConnectionOwner, EntranceOwner {
  readonly name: string
  readonly clock: Clock
  readonly timers: Timers
  readonly buffers: Buffers
  readonly limits: Limits
  readonly counters: ServerCounters
  readonly warnings: PeerWarnings
  readonly router: Router
  readonly #log: Logger
  readonly #connections = new Set<Connection>()
  readonly #entrance: Entrance
  #listening: Listening | undefined
  #nextIndex = 0
  #allClosed: (() => void) | undefined

  /** Rejects as `Network.listen` does: EADDRINUSE, EACCES, EADDRNOTAVAIL, … */
  static async open(environment: Environment, options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(environment, options)
    const { streamsMax } = environment.network
    if (streamsMax !== undefined) options.limits.streamsMax = streamsMax
    const accept = (stream: Stream): void => listener.#entrance.arrive(stream)
    listener.#listening = await environment.network.listen(options.address, accept)
    return listener
  }

  private constructor(environment: Environment, options: ListenerOptions) {
    this.name = options.name
    this.clock = environment.clock
    this.timers = environment.timers
    this.buffers = environment.buffers
    this.limits = options.limits
    this.counters = options.counters
    this.router = options.router
    this.#log = environment.log.child({ listener: options.name })
    this.warnings = new PeerWarnings(this.#log, environment.timers)
    this.#entrance = new Entrance(this)
  }

  /** Where it listens: the real port, if 0 was asked for. */
  get address(): Endpoint {
    return (this.#listening as Listening).address
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /**
   * Stops accepting, lets every connection answer what it has taken, and resolves when all are closed;
   * those that take longer than `graceMs` are cut off.
   */
  async close(graceMs = 500): Promise<void> {
    this.#entrance.close()
    await this.#listening?.close()
    if (this.#connections.size > 0) await this.#closeConnections(graceMs)
    this.warnings.close()
  }

  async #closeConnections(graceMs: number): Promise<void> {
    const cutOff = this.timers.after(graceMs, () => {
      for (const connection of this.#connections) connection.destroy()
    })
    await new Promise<void>((resolve) => {
      this.#allClosed = resolve
      for (const connection of [...this.#connections]) connection.finish()
    })
    cutOff.cancel()
  }

  closed(connection: Connection): void {
    if (!this.#connections.delete(connection)) return
    this.limits.pressure.holders.delete(connection)
    this.counters.connectionsOpen--
    this.limits.leave(connection.remote.host, this.name)
    if (this.#connections.size === 0) this.#allClosed?.()
  }

  enter(stream: Stream): void {
    this.counters.connectionsAccepted++
    this.counters.connectionsOpen++
    const connection = new Connection(this, stream, this.#nextIndex++)
    this.#connections.add(connection)
    this.limits.pressure.holders.add(connection)
  }

  refused({ remote: { host, port } }: Stream, reason: string): void {
    this.counters.connectionsRefused++
    this.warnings.warn(host, 'connection refused', { peer: `${host}:${port}`, reason })
  }
}
