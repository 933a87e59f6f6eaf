/**
 * A connector that runs: its instance, started when its target is STARTED, and its tasks. What it throws
 * is its own failure, told in its status.
 */
import type { Settings } from '../config-def.ts'
import { unresolved } from '../config-providers.ts'
import { TooManyTasks } from '../failures.ts'
import type { Connector, ConnectorPlugin } from '../plugin.ts'
import type { TaskGuard } from './exactly-once.ts'
import { transactionalIdOf } from './fencing.ts'
import { pausedFor } from './pause.ts'
import { SinkTaskLoop } from './sink-task-loop.ts'
import { SourceTaskLoop } from './source-task-loop.ts'
import type { SourceOffsets } from './source-writes.ts'
import type { RunningTask, TaskState } from './task.ts'
import type { TaskMeasured } from './task-measures.ts'
import type { Worker } from './worker.ts'

export interface ConnectorEvents {
  readonly onConnectorFailure: (error: Error) => void
  readonly onReconfigure: () => void
  readonly onTaskState: (task: number, state: TaskState, error?: unknown) => void
  readonly onTopic: (task: number, topic: string) => void
}

export interface RunningConnectorOptions {
  readonly name: string
  readonly worker: Worker
  readonly plugin: ConnectorPlugin
  readonly settings: Settings
  /** Kept in a topic of its own, or (null) in the worker’s. */
  readonly offsets: (ownTopic: string | null) => SourceOffsets
  readonly events: ConnectorEvents
}

export interface TaskStart {
  readonly isPaused: boolean
  readonly isCurrent: () => boolean
  readonly guard: TaskGuard
}

export class RunningConnector {
  #options: RunningConnectorOptions
  #instance: Connector | null = null
  readonly #tasks = new Map<number, RunningTask>()
  /** Whose end is not waited for any more: they have nothing to tell. */
  readonly #givenUp = new WeakSet<RunningTask>()

  constructor(options: RunningConnectorOptions) {
    this.#options = options
  }

  /** For whatever starts from now on. */
  update(plugin: ConnectorPlugin, settings: Settings): void {
    this.#options = { ...this.#options, plugin, settings }
  }

  /** Those that were started and not stopped, however they do. */
  get tasks(): number[] {
    return [...this.#tasks.keys()]
  }

  /** Null: it runs not here, or could not begin. */
  measured(task: number): TaskMeasured | null {
    return this.#tasks.get(task)?.measured() ?? null
  }

  get isStarted(): boolean {
    return this.#instance !== null
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

  /** Rejects with what the connector threw. */
  async start(): Promise<void> {
    if (this.#instance !== null) return
    const { name, plugin, settings, worker, events } = this.#options
    const instance = plugin.connector()
    this.#instance = instance
    try {
      await instance.start(worker.providers.resolve(settings), {
        environment: worker.environment,
        log: worker.environment.log.child({ connector: name }),
        requestTaskReconfiguration: () => {
          if (this.#instance === instance) events.onReconfigure()
        },
        raiseError: (error) => {
          if (this.#instance === instance) events.onConnectorFailure(error)
        },
      })
    } catch (error) {
      this.#instance = null
      throw error
    }
  }

  /** The settings of its tasks. Throws ConnectException where they are more than it may have. */
  async taskConfigs(tasksMax: number, isEnforced: boolean): Promise<readonly Settings[]> {
    const { name, plugin } = this.#options
    const configs = (await this.#instance?.taskConfigs(tasksMax)) ?? []
    if (configs.length > tasksMax && isEnforced)
      throw new TooManyTasks(
        `The connector ${name} has generated ${configs.length} tasks, which is greater than ${tasksMax}, the maximum number of tasks it is configured to create.`,
      )
    // As Kafka Connect does: what all tasks have in common.
    const common: [string, string][] = [['task.class', taskClassOf(plugin)]]
    const shared = ['topics', 'topics.regex']
    for (const setting of shared) {
      const value = this.#options.settings.get(setting)
      if (plugin.type === 'sink' && value !== undefined) common.push([setting, value])
    }
    return configs.map((config) =>
      unresolved(new Map([...config, ...common]), this.#options.settings),
    )
  }

  /** Never rejects: what cannot be stopped is logged, or left. */
  async stop(): Promise<void> {
    const instance = this.#instance
    this.#instance = null
    const { environment, config } = this.#options.worker
    const limitMs = config['task.shutdown.graceful.timeout.ms']
    try {
      await Promise.race([instance?.stop?.(), pausedFor(environment, limitMs)])
    } catch (err) {
      environment.log.warn('A connector did not stop well', { err })
    }
  }

  /** What the task tells while it is not current is dropped: another has its number, or nobody. */
  startTask(task: number, settings: Settings, { isPaused, isCurrent, guard }: TaskStart): void {
    const { name, worker, plugin, offsets, events } = this.#options
    let resolved: Settings
    try {
      const presets = plugin.type === 'source' ? (plugin.presets ?? []) : []
      const own = new Map([...presets, ...this.#options.settings, ...settings])
      resolved = worker.providers.resolve(own)
    } catch (error) {
      events.onTaskState(task, 'FAILED', error)
      return
    }
    let run: RunningTask | null = null
    const isHeard = () => isCurrent() && !(run !== null && this.#givenUp.has(run))
    const options = {
      id: { connector: name, task },
      worker,
      // Converters and transformations are set for the connector, and are its tasks'.
      settings: resolved,
      isPaused,
      onState: (state: TaskState, error?: unknown) => {
        if (isHeard()) events.onTaskState(task, state, error)
      },
      onTopic: (topic: string) => {
        if (isHeard()) events.onTopic(task, topic)
      },
    }
    try {
      run =
        plugin.type === 'sink'
          ? new SinkTaskLoop(plugin, options)
          : new SourceTaskLoop(
              plugin,
              offsets(resolved.get('offsets.storage.topic') ?? null),
              options,
              this.#transactions(task, guard),
            )
      this.#tasks.set(task, run)
    } catch (error) {
      events.onTaskState(task, 'FAILED', error)
    }
  }

  /** Null: it writes at least once. */
  #transactions(task: number, guard: TaskGuard) {
    const { name, worker } = this.#options
    const { exactlyOnceGroup: group } = worker
    return group === null ? null : { transactionalId: transactionalIdOf(group, name, task), guard }
  }

  setPaused(isPaused: boolean): void {
    for (const task of this.#tasks.values()) task.setPaused(isPaused)
  }

  /** Resolves when they have ended, or were given up after `task.shutdown.graceful.timeout.ms`. */
  async stopTasks(numbers: readonly number[] = [...this.#tasks.keys()]): Promise<void> {
    const { name, worker } = this.#options
    const limitMs = worker.config['task.shutdown.graceful.timeout.ms']
    await Promise.all(
      numbers.map(async (number) => {
        const task = this.#tasks.get(number)
        if (task === undefined) return
        this.#tasks.delete(number)
        task.stop()
        const ended = task.ended.then(() => true)
        const isEnded = await Promise.race([ended, pausedFor(worker.environment, limitMs)])
        if (isEnded === true) return
        worker.environment.log.error(`Graceful stop of task ${name}-${number} failed`)
        this.#givenUp.add(task)
        task.cancel()
      }),
    )
  }
}

function taskClassOf({ className }: ConnectorPlugin): string {
  return `${className.replace(/Connector$/, '')}Task`
}
