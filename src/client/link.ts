/**
 * The way to one broker: a connection made when it is first needed and again when it was lost, with
 * pauses that double from attempt to attempt while it cannot be made.
 */
import type { Environment } from '../environment/environment.ts'
import type { Endpoint } from '../environment/network.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { ClosedError } from './failures.ts'
import { pause } from './retry.ts'

const reconnectBackoffMs = 50
const reconnectBackoffMaxMs = 1000

export class Link {
  readonly endpoint: Endpoint
  readonly #environment: Environment
  readonly #options: ConnectionOptions
  #opening: Promise<Connection> | null = null
  #connection: Connection | null = null
  #failures = 0
  #isClosed = false

  constructor(environment: Environment, endpoint: Endpoint, options: ConnectionOptions) {
    this.#environment = environment
    this.endpoint = endpoint
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#connection?.isOpen === true
  }

  /** The open connection, or a new one. Rejects with what `Connection.open` rejects with. */
  connection(): Promise<Connection> {
    if (this.#isClosed) return Promise.reject(new ClosedError('client'))
    if (this.#connection?.isOpen === true) return Promise.resolve(this.#connection)
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  close(): void {
    this.#isClosed = true
    this.#connection?.close()
  }

  async #open(): Promise<Connection> {
    if (this.#failures > 0) {
      const ceiling = Math.min(
        reconnectBackoffMs * 2 ** (this.#failures - 1),
        reconnectBackoffMaxMs,
      )
      await pause(this.#environment, ceiling)
    }
    try {
      const connection = await Connection.open(this.#environment, this.endpoint, this.#options)
      if (this.#isClosed) {
        connection.close()
        throw new ClosedError('client')
      }
      this.#failures = 0
      this.#connection = connection
      return connection
    } catch (error) {
      this.#failures++
      throw error
    }
  }
}
