/**
 * Connectors within a broker: a thread that is started when somebody asks for Kafka Connect over HTTP, or
 * when the broker finds that there are connectors already, and started again where it ends by itself.
 */
import type { ConnectQuestion, ConnectStart } from './connect-thread.ts'
import type { Logger, Timers } from './environment/environment.ts'
import type { Thread, Threads } from './environment/threads.ts'
import type { Service } from './http/http-server.ts'
import { type HttpAnswer, HttpError, type HttpRequest } from './http/routes.ts'

export interface ConnectOptions {
  readonly threads: Threads
  readonly timers: Pick<Timers, 'after'>
  readonly log: Pick<Logger, 'warn' | 'error'>
  /** Null while the broker is not ready. */
  readonly start: () => ConnectStart | null
}

const restartMsMin = 1_000
const restartMsMax = 60_000
/** How long a stop waits for tasks to flush and commit. */
const stopMsMax = 15_000

export class ConnectService implements Service {
  readonly segments = ['', 'connectors', 'connector-plugins']
  readonly #options: ConnectOptions
  #thread: Promise<Thread> | null = null
  #restartMs = restartMsMin
  #isStopped = false

  constructor(options: ConnectOptions) {
    this.#options = options
  }

  async load(): Promise<(request: HttpRequest) => Promise<HttpAnswer>> {
    return async (request) => {
      const thread = await this.#running()
      return (await ask(thread, { kind: 'request', request })) as HttpAnswer
    }
  }

  /** Connectors go on; where they cannot yet, they are tried again. */
  resume(): void {
    this.#running().catch((error: unknown) => {
      if (this.#isStopped) return
      this.#options.log.warn('Connectors cannot be started, trying again', {
        reason: String(error),
      })
      this.#resumeLater()
    })
  }

  /** Tasks flush, and commit what they have done; the broker still answers meanwhile. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const thread = await this.#thread?.catch(() => null)
    if (thread === null || thread === undefined) return
    const { timers } = this.#options
    const late = new Promise<void>((resolve) => void timers.after(stopMsMax, resolve))
    await Promise.race([ask(thread, { kind: 'stop' }).catch(() => null), late])
    await thread.end()
  }

  #running(): Promise<Thread> {
    if (this.#isStopped) return Promise.reject(new HttpError(503, 'The broker is stopping'))
    this.#thread ??= this.#start().catch((error: unknown) => {
      this.#thread = null
      throw error
    })
    return this.#thread
  }

  async #start(): Promise<Thread> {
    const start = this.#options.start()
    if (start === null) throw new HttpError(503, 'The broker is starting')
    const thread = this.#options.threads.start('connect')
    const failure = await ask(thread, { kind: 'start', start })
    if (failure !== null) {
      await thread.end()
      throw new HttpError(500, `The connector runtime cannot start: ${failure}`)
    }
    // Rejects when the thread ends.
    ask(thread, { kind: 'watch' }).catch((err: unknown) => this.#ended(err))
    return thread
  }

  #ended(err: unknown): void {
    if (this.#isStopped) return
    this.#thread = null
    this.#options.log.error('The connector runtime has ended, and is started again', { err })
    this.#resumeLater()
  }

  #resumeLater(): void {
    const delayMs = this.#restartMs
    this.#restartMs = Math.min(delayMs * 2, restartMsMax)
    this.#options.timers.after(delayMs, () => {
      if (!this.#isStopped) this.resume()
    })
  }
}

function ask(thread: Thread, question: ConnectQuestion): Promise<unknown> {
  return thread.ask(question)
}
