/**
 * Connectors within a broker: a thread that is started when somebody asks for Kafka Connect over HTTP, or
 * when the broker finds that there are connectors already or topics that are tables, and started again where it ends
 * by itself.
 */
import type { TopicTable } from './config/table-configs.ts'
import type { ConnectorMeasured } from './connect/runtime/worker-measured.ts'
import type { TableStatus } from './connect/topic-tables/topic-tables.ts'
import type { ConnectQuestion, ConnectStart } from './connect-thread.ts'
import type { Logger, Timers } from './environment/environment.ts'
import type { Thread, Threads } from './environment/threads.ts'
import type { Service } from './http/http-server.ts'
import { type HttpAnswer, HttpError, type HttpRequest, json } from './http/routes.ts'

export type { TableStatus }

export interface ConnectOptions {
  readonly threads: Threads
  readonly timers: Pick<Timers, 'after'>
  readonly log: Pick<Logger, 'warn' | 'error'>
  /** Null while the broker is not ready. */
  readonly start: () => ConnectStart | null
}

const readyCheckMs = 50
const readyMsMax = 30_000
const restartMsMin = 1_000
const restartMsMax = 60_000
/** How long a stop waits for tasks to flush and commit. */
const stopMsMax = 15_000

export class ConnectService implements Service {
  readonly segments = ['', 'connectors', 'connector-plugins', 'admin']
  readonly #options: ConnectOptions
  #thread: Promise<Thread> | null = null
  /** The thread runs connectors, beside the tables of topics. */
  #herding: Promise<Thread> | null = null
  #hasConnectors = false
  #tables: readonly TopicTable[] = []
  #restartMs = restartMsMin
  #isStopped = false

  constructor(options: ConnectOptions) {
    this.#options = options
  }

  async load(): Promise<(request: HttpRequest) => Promise<HttpAnswer>> {
    return async (request) => {
      // Whoever only looks starts nothing, and makes no topics.
      if (!this.#hasConnectors && isListing(request))
        return json(200, new URLSearchParams(request.query).has('expand') ? {} : [])
      const thread = await this.#runningHerder()
      this.#hasConnectors = true
      return (await ask(thread, { kind: 'request', request })) as HttpAnswer
    }
  }

  /** Connectors go on; where they cannot yet, they are tried again. */
  resume(): void {
    this.#hasConnectors = true
    this.#runningHerder().catch((error: unknown) => this.#resumeLater(error))
  }

  /** From now on these topics are tables, and no others. */
  setTables(tables: readonly TopicTable[]): void {
    this.#tables = tables
    if (tables.length === 0 && this.#thread === null) return
    this.#tellTables().catch((error: unknown) => this.#resumeLater(error))
  }

  /** How the tables of topics are. Rejects with HttpError. */
  async tableStatuses(): Promise<readonly TableStatus[]> {
    if (this.#tables.length === 0) return []
    const thread = await this.#running()
    return (await ask(thread, { kind: 'statuses' })) as readonly TableStatus[]
  }

  /** Of connectors; null: they do not run. Rejects with HttpError. */
  async measured(): Promise<readonly ConnectorMeasured[] | null> {
    if (this.#herding === null) return null
    const thread = await this.#herding
    return (await ask(thread, { kind: 'measured' })) as readonly ConnectorMeasured[] | null
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

  #runningHerder(): Promise<Thread> {
    this.#herding ??= this.#startHerder().catch((error: unknown) => {
      this.#herding = null
      throw error
    })
    return this.#herding
  }

  async #start(): Promise<Thread> {
    await this.#whenReady()
    const thread = this.#options.threads.start('connect')
    // Rejects when the thread ends.
    ask(thread, { kind: 'watch' }).catch((err: unknown) => this.#ended(err))
    return thread
  }

  async #startHerder(): Promise<Thread> {
    const thread = await this.#running()
    const failure = await ask(thread, { kind: 'start', start: await this.#whenReady() })
    if (failure !== null) throw new HttpError(500, `The connector runtime cannot start: ${failure}`)
    return thread
  }

  async #tellTables(): Promise<void> {
    const thread = await this.#running()
    const failure = await ask(thread, {
      kind: 'tables',
      start: await this.#whenReady(),
      tables: this.#tables,
    })
    if (failure !== null) throw new HttpError(500, String(failure))
  }

  /** Who asks while the broker starts waits for it. Rejects with HttpError 503 where that takes long. */
  async #whenReady(): Promise<ConnectStart> {
    const { timers, start } = this.#options
    for (let waitedMs = 0; waitedMs < readyMsMax; waitedMs += readyCheckMs) {
      const known = start()
      if (known !== null) return known
      await new Promise<void>((resolve) => void timers.after(readyCheckMs, resolve))
    }
    throw new HttpError(503, 'The broker is starting')
  }

  #ended(err: unknown): void {
    if (this.#isStopped) return
    this.#thread = this.#herding = null
    this.#options.log.error('The connector runtime has ended, and is started again', { err })
    this.#resumeLater()
  }

  #resumeLater(error?: unknown): void {
    if (this.#isStopped) return
    if (error !== undefined)
      this.#options.log.warn('Connectors cannot be started, trying again', {
        reason: String(error),
      })
    const delayMs = this.#restartMs
    this.#restartMs = Math.min(delayMs * 2, restartMsMax)
    this.#options.timers.after(delayMs, () => {
      if (this.#isStopped) return
      if (this.#hasConnectors) this.resume()
      this.setTables(this.#tables)
    })
  }
}

function isListing({ method, path }: HttpRequest): boolean {
  return (method === 'GET' || method === 'HEAD') && /^\/connectors\/?$/.test(path)
}

function ask(thread: Thread, question: ConnectQuestion): Promise<unknown> {
  return thread.ask(question)
}
