/**
 * A connector that runs in another thread, as the worker sees it: to be told what to do, and heard. It enters a thread
 * when something of it is started, and leaves it when nothing of it runs any more.
 */
import type { Milliseconds } from '../../environment/environment.ts'
import type { Settings } from '../config-def.ts'
import { ConnectException } from '../failures.ts'
import type { ConnectorPlugin } from '../plugin.ts'
import { pausedFor } from '../runtime/pause.ts'
import type {
  RunningConnector,
  RunningConnectorOptions,
  TaskStart,
} from '../runtime/running-connector.ts'
import type { SourceOffset, SourceOffsets } from '../runtime/source-writes.ts'
import type { TaskState } from '../runtime/task.ts'
import type { TaskMeasured } from '../runtime/task-measures.ts'
import { keptIn } from '../storage/kept-in.ts'
import type { Entry } from '../storage/storage.ts'
import { offsetsIn } from './asked-offsets.ts'
import type { ConnectorThreads } from './connector-threads.ts'
import type { ConnectorQuestion, HostedConnector, HostQuestion, Pulse } from './questions.ts'
import { untold } from './told-error.ts'
import type { Tenant, WatchedThread } from './watched-thread.ts'

interface KeptOffsets extends SourceOffsets {
  /** Behind `catchUp`. */
  all(): SourceOffset[]
}

export interface ThreadedConnectorOptions extends RunningConnectorOptions {
  readonly offsets: (ownTopic: string | null) => KeptOffsets
  readonly threads: ConnectorThreads
  /** The thread of these tasks was ended, and they with it: they have left no group. Never rejects. */
  readonly onLost: (tasks: readonly number[]) => Promise<void>
}

interface Run extends TaskStart {
  readonly task: number
}

/** Beyond what a task or connector may take to stop, until its thread is taken to be one that does not answer. */
const stopMarginMs = 1_000

export class ThreadedConnector implements Pick<RunningConnector, keyof RunningConnector>, Tenant {
  readonly id: number
  #options: ThreadedConnectorOptions
  #thread: WatchedThread | null = null
  #state: 'stopped' | 'starting' | 'started' = 'stopped'
  /** Of the tasks that were started and not stopped, the number of their run. */
  readonly #tasks = new Map<number, number>()
  /** Of all that may still tell something. */
  readonly #runs = new Map<number, Run>()
  #runCount = 0
  readonly #measured = new Map<number, TaskMeasured>()
  readonly #offsets = new Map<string | null, KeptOffsets>()

  constructor(options: ThreadedConnectorOptions) {
    this.#options = options
    this.id = options.threads.nextId()
  }

  get name(): string {
    return this.#options.name
  }

  update(plugin: ConnectorPlugin, settings: Settings): void {
    this.#options = { ...this.#options, plugin, settings }
  }

  get tasks(): number[] {
    return [...this.#tasks.keys()]
  }

  measured(task: number): TaskMeasured | null {
    return this.#measured.get(task) ?? null
  }

  get isStarted(): boolean {
    return this.#state !== 'stopped'
  }

  get version(): string {
    return this.#options.plugin.version
  }

  get className(): string {
    return this.#options.plugin.className
  }

  get isSink(): boolean {
    return this.#options.plugin.type === 'sink'
  }

  async start(): Promise<void> {
    await this.#settled()
    if (this.#state !== 'stopped') return
    this.#state = 'starting'
    try {
      await this.#ask({ kind: 'start', connector: this.#hosted })
      if (this.#state === 'starting') this.#state = 'started'
    } catch (error) {
      this.#state = 'stopped'
      await this.#leaveWhenIdle()
      throw error
    }
  }

  async taskConfigs(tasksMax: number, isEnforced: boolean): Promise<readonly Settings[]> {
    const connector = this.#hosted
    const configs = await this.#ask({ kind: 'taskConfigs', connector, tasksMax, isEnforced })
    return configs as readonly Settings[]
  }

  async stop(): Promise<void> {
    if (this.#state !== 'stopped') {
      this.#state = 'stopped'
      await this.#askInTime({ kind: 'stop', connector: this.#hosted })
    }
    await this.#leaveWhenIdle()
  }

  startTask(task: number, settings: Settings, start: TaskStart): void {
    const run = this.#runCount++
    this.#tasks.set(task, run)
    this.#runs.set(run, { ...start, task })
    this.#begin(run, settings).catch((error: unknown) => this.#told(run, 'FAILED', error))
  }

  setPaused(isPaused: boolean): void {
    if (this.#thread === null) return
    const { log } = this.#options.worker.environment
    this.#ask({ kind: 'setPaused', connector: this.#hosted, isPaused }).catch((error: unknown) => {
      log.debug(`Connector ${this.name} could not be told to pause`, { reason: String(error) })
    })
  }

  async stopTasks(numbers: readonly number[] = this.tasks): Promise<void> {
    const runs = numbers.flatMap((task) => this.#tasks.get(task) ?? [])
    if (runs.length === 0) return
    for (const task of numbers) this.#tasks.delete(task)
    await this.#askInTime({ kind: 'stopTasks', connector: this.#hosted, tasks: numbers })
    for (const run of runs) this.#runs.delete(run)
    for (const task of numbers) if (!this.#tasks.has(task)) this.#measured.delete(task)
    await this.#leaveWhenIdle()
  }

  async answer(question: ConnectorQuestion): Promise<unknown> {
    const { events } = this.#options
    switch (question.kind) {
      case 'failure':
        if (this.isStarted) events.onConnectorFailure(untold(question.error))
        return null
      case 'reconfigure':
        if (this.isStarted) events.onReconfigure()
        return null
      case 'state': {
        const { run, state, error } = question
        this.#told(run, state, error === null ? undefined : untold(error))
        return null
      }
      case 'topic': {
        const run = this.#runs.get(question.run)
        if (run?.isCurrent() === true) events.onTopic(run.task, question.topic)
        return null
      }
      case 'guard': {
        const run = this.#runs.get(question.run)
        if (run === undefined) throw new ConnectException('The task was stopped while it started')
        return run.guard[question.at]()
      }
      case 'offsets':
        return this.#allOffsets(question.topic)
      case 'putOffsets': {
        const { topic, entries, isWritten } = question
        const offsets = offsetsIn(this.name, entries)
        const kept = this.#offsetsIn(topic)
        return isWritten ? kept.also(offsets) : kept.put(offsets)
      }
    }
  }

  pulse(tasks: Pulse['tasks']): void {
    this.#measured.clear()
    for (const { task, measured } of tasks) this.#measured.set(task, measured)
  }

  async lost(error: ConnectException): Promise<void> {
    const { events, threads, onLost } = this.#options
    if (this.#thread !== null) threads.forget(this.#thread)
    this.#thread = null
    this.#measured.clear()
    // Those that were about to stop, too.
    await onLost(Array.from(this.#runs.values(), ({ task }) => task))
    // Who waits for its start hears of it there.
    if (this.#state === 'started') events.onConnectorFailure(error)
    this.#state = 'stopped'
    for (const run of this.#tasks.values()) this.#told(run, 'FAILED', error)
    this.#runs.clear()
  }

  get #hosted(): HostedConnector {
    const { name, plugin, settings } = this.#options
    return { id: this.id, name, className: plugin.className, settings }
  }

  #told(run: number, state: TaskState, error?: unknown): void {
    const known = this.#runs.get(run)
    if (known?.isCurrent() === true) this.#options.events.onTaskState(known.task, state, error)
  }

  async #begin(run: number, settings: Settings): Promise<void> {
    await this.#settled()
    // It was stopped meanwhile, or is lost.
    const known = this.#runs.get(run)
    if (known === undefined) return
    const { task, isPaused } = known
    const connector = this.#hosted
    await this.#ask({ kind: 'startTask', connector, task, run, settings, isPaused })
  }

  #offsetsIn(topic: string | null): KeptOffsets {
    return keptIn(this.#offsets, topic, () => this.#options.offsets(topic))
  }

  async #allOffsets(topic: string | null): Promise<Entry[]> {
    const kept = this.#offsetsIn(topic)
    await kept.catchUp()
    return kept.all().map((offset) => kept.entry(offset))
  }

  /** Resolves when all that was lost with a thread that was ended is told. */
  async #settled(): Promise<void> {
    const gone = this.#thread?.gone ?? null
    if (gone !== null) await gone
  }

  async #ask(question: HostQuestion): Promise<unknown> {
    this.#thread ??= this.#options.threads.enter(this)
    return this.#thread.ask(question)
  }

  /** Never rejects: a thread that does not answer in time is ended. */
  async #askInTime(question: HostQuestion): Promise<void> {
    const thread = this.#thread
    if (thread === null) return
    const { worker } = this.#options
    const { environment, config } = worker
    const limitMs: Milliseconds = config['task.shutdown.graceful.timeout.ms'] + stopMarginMs
    const answered = thread.ask(question).then(
      () => true,
      () => true,
    )
    const isAnswered = await Promise.race([answered, pausedFor(environment, limitMs)])
    const message = `it was to stop, and has not answered for ${limitMs} ms`
    if (isAnswered !== true) await thread.fail(new ConnectException(message))
    else await this.#settled()
  }

  async #leaveWhenIdle(): Promise<void> {
    const thread = this.#thread
    if (thread === null || this.#state !== 'stopped' || this.#tasks.size > 0) return
    this.#thread = null
    await this.#options.threads.leave(this, thread)
  }
}
