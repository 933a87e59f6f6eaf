/**
 * A thread in which connectors run, watched: it is asked for its pulse every second, and one that does not answer for
 * `connector.thread.timeout.ms`, or takes more memory than `connector.thread.memory.max.bytes`, is ended, as one that ends
 * by itself. Then those that ran in it are told, once nothing more is done there.
 */
import type { Environment, Timer } from '../../environment/environment.ts'
import { OutOfMemory, type Thread, type Threads } from '../../environment/threads.ts'
import { ConnectException } from '../failures.ts'
import { pausedFor } from '../runtime/pause.ts'
import {
  type ConnectorQuestion,
  contentOf,
  type HostQuestion,
  type Outcome,
  outcomeOf,
  type Pulse,
  type WorkerSeed,
} from './questions.ts'

export interface ThreadLimits {
  readonly timeoutMs: number
  readonly bytesMax: number
}

/** A connector that runs there. */
export interface Tenant {
  readonly id: number
  readonly name: string
  answer(question: ConnectorQuestion): Promise<unknown>
  pulse(tasks: Pulse['tasks']): void
  /** The thread is no more. */
  lost(error: ConnectException): Promise<void>
}

const beatMs = 1_000
/** Loading plug-ins may take long where the machine has much to do. */
const openMsMax = 60_000
/** So often in a row it may be found with too much memory: what was garbage is gone by then. */
const fullBeatsMax = 10
/**
 * V8 ends the whole process where one array or map that grows meets the end of the heap. So that lies further away: what
 * grows step by step is found here before.
 */
const heapMargin = 2
/** What is in the hands of the system is waited for no longer than that. */
const endMsMax = 5_000

export class WatchedThread {
  readonly tenants = new Map<number, Tenant>()
  readonly #environment: Environment
  readonly #limits: ThreadLimits
  readonly #thread: Thread
  readonly #opened: Promise<unknown>
  #timer: Timer | null = null
  #pulsing: Promise<void> | null = null
  #silentBeats = 0
  #fullBeats = 0
  #bytes = 0
  /** Why it was ended, where that was no end in good order. */
  #failure: ConnectException | null = null
  /** It is ended: resolves when all who ran there know. */
  #gone: Promise<void> | null = null

  /** `seed`: what it makes a worker of. */
  constructor(environment: Environment, threads: Threads, seed: WorkerSeed, limits: ThreadLimits) {
    this.#environment = environment
    this.#limits = limits
    this.#thread = threads.start('connector', {
      heapBytesMax: limits.bytesMax * heapMargin,
      answer: (asked): Promise<Outcome> => {
        const question = asked as ConnectorQuestion
        return outcomeOf(() => this.tenants.get(question.id)?.answer(question))
      },
    })
    this.#thread.ask({ kind: 'watch' } satisfies HostQuestion).catch((error: unknown) => {
      void this.fail(this.#endedBecause(error as Error))
    })
    this.#opened = this.#open(seed)
    this.#opened.then(
      () => this.#beatLater(),
      (error: unknown) => void this.fail(error as Error),
    )
  }

  /** Null while it is there. */
  get gone(): Promise<void> | null {
    return this.#gone
  }

  /** Rejects with what the other side has met, and where the thread ends meanwhile. */
  async ask(question: HostQuestion): Promise<unknown> {
    try {
      await this.#opened
      return contentOf(await this.#thread.ask(question))
    } catch (error) {
      throw this.#failure ?? error
    }
  }

  /** What it answers is told to whoever runs there. Never rejects. */
  async look(): Promise<void> {
    this.#pulsing ??= this.#pulse().finally(() => {
      this.#pulsing = null
    })
    await this.#pulsing
  }

  /** Nobody runs there any more. */
  async end(): Promise<void> {
    this.#gone ??= this.#end()
    await this.#gone
  }

  /** Ends it wherever it is. Resolves when all who ran there know. */
  async fail(cause: Error): Promise<void> {
    this.#gone ??= this.#lose(cause)
    await this.#gone
  }

  async #lose(cause: Error): Promise<void> {
    const names = Array.from(this.tenants.values(), ({ name }) => name).join(', ')
    const message = `The thread of connector ${names} was ended: ${cause.message}`
    const error = new ConnectException(message, { cause: cause.cause })
    this.#failure = error
    this.#environment.log.error('A thread of connectors was ended', {
      connectors: names,
      err: cause,
    })
    await this.#end()
    await Promise.all(Array.from(this.tenants.values(), (tenant) => tenant.lost(error)))
    this.tenants.clear()
  }

  async #end(): Promise<void> {
    this.#timer?.cancel()
    await Promise.race([this.#thread.end(), pausedFor(this.#environment, endMsMax)])
  }

  get #logLevel(): string {
    return this.#environment.logThreshold?.level ?? 'info'
  }

  async #open(seed: WorkerSeed): Promise<void> {
    const opened = this.#thread.ask({
      kind: 'open',
      seed,
      logLevel: this.#logLevel,
    } satisfies HostQuestion)
    const outcome = await Promise.race([opened, pausedFor(this.#environment, openMsMax)])
    if (outcome === undefined) throw new ConnectException(`it has not begun within ${openMsMax} ms`)
    contentOf(outcome)
  }

  #beatLater(): void {
    if (this.#gone !== null) return
    this.#timer = this.#environment.timers.after(beatMs, () => {
      this.#beat()
      this.#beatLater()
    })
  }

  /** Beats are counted, not time, which goes on while the machine sleeps. */
  #beat(): void {
    const { timeoutMs, bytesMax } = this.#limits
    if (this.#pulsing === null) {
      this.#silentBeats = 0
      void this.look()
    } else if (++this.#silentBeats * beatMs >= timeoutMs)
      void this.fail(
        new ConnectException(
          `it does something that comes to no end: it has not answered for ${timeoutMs} ms (connector.thread.timeout.ms)`,
        ),
      )
    this.#fullBeats = this.#bytes > bytesMax ? this.#fullBeats + 1 : 0
    if (this.#fullBeats >= fullBeatsMax) void this.fail(this.#tooMuch(`${this.#bytes} bytes`))
  }

  async #pulse(): Promise<void> {
    const { bytesMax } = this.#limits
    try {
      const asked: HostQuestion = { kind: 'pulse', logLevel: this.#logLevel, bytesMax }
      const { bytes, tasks } = (await this.ask(asked)) as Pulse
      this.#bytes = bytes
      for (const tenant of this.tenants.values())
        tenant.pulse(tasks.filter(({ id }) => id === tenant.id))
    } catch (error) {
      const { log } = this.#environment
      log.debug('A thread of connectors could not be asked', { reason: String(error) })
    }
  }

  #endedBecause(error: Error): ConnectException {
    if (error instanceof OutOfMemory) return this.#tooMuch('more')
    return new ConnectException(`it has ended by itself: ${error.message}`, { cause: error })
  }

  #tooMuch(taken: string): ConnectException {
    const limit = `${this.#limits.bytesMax} bytes (connector.thread.memory.max.bytes)`
    return new ConnectException(`it has taken ${taken} of memory, of at most ${limit}`)
  }
}
