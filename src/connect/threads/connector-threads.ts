/**
 * The threads in which a worker's connectors run, each in one of its own as long as there are no more than
 * `connector.threads.max`, so that one that loops or leaks fails alone. Beyond that they share: a thread takes some 25 MB
 * with one small source in it, and a worker may have a thousand connectors. A thread begins with its first connector, and ends
 * with its last.
 */
import type { Environment } from '../../environment/environment.ts'
import type { Threads } from '../../environment/threads.ts'
import { timestampText } from '../../tables/columns/json-text.ts'
import { ConnectException } from '../failures.ts'
import { pausedFor } from '../runtime/pause.ts'
import type { PluginQuestion, WorkerSeed } from './questions.ts'
import { type Tenant, type ThreadLimits, WatchedThread } from './watched-thread.ts'

/** Questions to plug-ins that do not run, each in a thread, so many at once; others wait. */
const apartMax = 4
/** As long as Kafka Connect lets a request wait. */
const apartMsMax = 90_000
/** How they all do is asked for no longer than that: one that hangs is told as it was. */
const lookMsMax = 500

export interface ConnectorThreadsOptions extends ThreadLimits {
  readonly environment: Environment
  readonly threads: Threads
  readonly seed: WorkerSeed
  /** More than zero. */
  readonly threadsMax: number
}

export class ConnectorThreads {
  readonly #options: ConnectorThreadsOptions
  readonly #threads = new Set<WatchedThread>()
  #ids = 0
  #apart = 0
  readonly #waiting: (() => void)[] = []

  constructor(options: ConnectorThreadsOptions) {
    this.#options = options
  }

  nextId(): number {
    return this.#ids++
  }

  /** For a connector that has none, until it leaves. */
  enter(tenant: Tenant): WatchedThread {
    const { threadsMax } = this.#options
    const known = [...this.#threads].filter(({ gone }) => gone === null)
    const [emptiest] = known.sort((left, right) => left.tenants.size - right.tenants.size)
    let thread = emptiest
    if (thread === undefined || known.length < threadsMax) {
      thread = this.#started()
      this.#threads.add(thread)
    }
    thread.tenants.set(tenant.id, tenant)
    return thread
  }

  /** Resolves when what was left of it is no more, where it was alone. */
  async leave(tenant: Tenant, thread: WatchedThread): Promise<void> {
    thread.tenants.delete(tenant.id)
    if (thread.tenants.size === 0) {
      this.#threads.delete(thread)
      await thread.end()
      return
    }
    await thread.ask({ kind: 'leave', id: tenant.id }).catch(() => null)
  }

  /**
   * Asks a plug-in of which nothing runs, in a thread that ends with the answer. Rejects with what it throws, and with
   * `ended` of why where the thread had to be ended: also where nothing loops, but no answer comes either.
   */
  async askApart(
    question: PluginQuestion,
    ended: (error: ConnectException) => Error,
  ): Promise<unknown> {
    if (this.#apart >= apartMax) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#apart++
    const late = this.#lateFor(question)
    const thread = this.#started()
    const lost = new Promise<never>((_, reject) => {
      const tenant = { ...asking, id: this.nextId(), name: question.className }
      thread.tenants.set(tenant.id, { ...tenant, lost: async (error) => reject(ended(error)) })
    })
    try {
      const failed = late.over.then((error) => Promise.reject(ended(error)))
      return await Promise.race([thread.ask(question), lost, failed])
    } catch (error) {
      // Whoever waits for its answer may hear of the end first.
      if (thread.gone !== null) await Promise.race([lost, thread.gone])
      throw error
    } finally {
      late.timer.cancel()
      this.#apart--
      this.#waiting.shift()?.()
      await thread.end()
    }
  }

  /** `over` resolves once the time for an answer is, with what Kafka Connect says then. */
  #lateFor({ kind }: PluginQuestion) {
    const { clock, timers } = this.#options.environment
    const began = `${timestampText(BigInt(clock.now()), 'millis').slice(0, -3)}Z`
    const message = `Request timed out. The worker is currently ${stages[kind]}, which began at ${began}`
    let end = (_: ConnectException): void => undefined
    const over = new Promise<ConnectException>((resolve) => {
      end = resolve
    })
    return { over, timer: timers.after(apartMsMax, () => end(new ConnectException(message))) }
  }

  #started(): WatchedThread {
    const { environment, threads, seed } = this.#options
    return new WatchedThread(environment, threads, seed, this.#options)
  }

  forget(thread: WatchedThread): void {
    this.#threads.delete(thread)
  }

  /** Resolves when all threads that can have told how their tasks do. Never rejects. */
  async look(): Promise<void> {
    const looks = Array.from(this.#threads, (thread) => thread.look())
    await Promise.race([Promise.all(looks), pausedFor(this.#options.environment, lookMsMax)])
  }
}

/** One that is asked, and tells nothing by itself. */
const asking = { answer: async () => null, pulse: () => undefined }

const stages: Readonly<Record<PluginQuestion['kind'], string>> = {
  validate: 'performing multi-property validation for the connector',
  checkOffsets: 'validating offsets for the connector',
  alterSinkOffsets: 'modifying offsets for the connector',
  alterSourceOffsets: 'modifying offsets for the connector',
}
