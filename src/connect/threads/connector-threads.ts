/**
 * The threads in which a worker's connectors run, each in one of its own as long as there are no more than
 * `connector.threads.max`, so that one that loops or leaks fails alone. Beyond that they share: a thread takes some 25 MB
 * with one small source in it, and a worker may have a thousand connectors. A thread begins with its first connector, and ends
 * with its last.
 */
import type { Environment } from '../../environment/environment.ts'
import type { Threads } from '../../environment/threads.ts'
import { pausedFor } from '../runtime/pause.ts'
import type { WorkerSeed } from './questions.ts'
import { type Tenant, type ThreadLimits, WatchedThread } from './watched-thread.ts'

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

  constructor(options: ConnectorThreadsOptions) {
    this.#options = options
  }

  nextId(): number {
    return this.#ids++
  }

  /** For a connector that has none, until it leaves. */
  enter(tenant: Tenant): WatchedThread {
    const { environment, threads, seed, threadsMax } = this.#options
    const known = [...this.#threads].filter(({ gone }) => gone === null)
    const [emptiest] = known.sort((left, right) => left.tenants.size - right.tenants.size)
    let thread = emptiest
    if (thread === undefined || known.length < threadsMax) {
      thread = new WatchedThread(environment, threads, seed, this.#options)
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

  forget(thread: WatchedThread): void {
    this.#threads.delete(thread)
  }

  /** Resolves when all threads that can have told how their tasks do. Never rejects. */
  async look(): Promise<void> {
    const looks = Array.from(this.#threads, (thread) => thread.look())
    await Promise.race([Promise.all(looks), pausedFor(this.#options.environment, lookMsMax)])
  }
}
