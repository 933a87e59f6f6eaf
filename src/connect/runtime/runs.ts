/**
 * The connectors and tasks that run on this worker, and what is told of them. Which these are, and when
 * they start and stop, others decide. What a connector or a task throws is its own status and nobody
 * else's.
 */
import type { Settings } from '../config-def.ts'
import { sinkConfig, sourceConfig } from '../connector-configs.ts'
import { ConnectException, traceOf } from '../failures.ts'
import type { ConnectorPlugin } from '../plugin.ts'
import { keptIn } from '../storage/kept-in.ts'
import {
  connectorStatusEntry,
  type State,
  type Status,
  taskStatusEntry,
  topicEntry,
} from '../storage/status-state.ts'
import { ThreadedConnector } from '../threads/threaded-connector.ts'
import { ConnectorOffsets } from './connector-offsets.ts'
import type { Kept } from './kept.ts'
import { type ConnectorEvents, RunningConnector } from './running-connector.ts'
import type { Worker } from './worker.ts'
import type { ConnectorMeasured } from './worker-measured.ts'

export interface RunsEvents {
  /** A connector asks for its tasks to be configured anew. */
  readonly onReconfigure: (name: string) => void
  /** Resolves when no task of a connector's former settings writes any more. */
  readonly fence: (name: string) => Promise<void>
  /** Tasks were ended with their thread, and have left no group. Never rejects. */
  readonly onTasksLost: (name: string, tasks: readonly number[]) => Promise<void>
}

/** Wherever it runs. */
type Run = Pick<RunningConnector, keyof RunningConnector>

export class Runs {
  readonly #worker: Worker
  readonly #kept: Kept
  readonly #events: RunsEvents
  readonly #running = new Map<string, Run>()
  /** Of the tasks that were started last: who had their numbers before has nothing more to tell. */
  readonly #starts = new Map<string, Map<number, number>>()
  #startCount = 0
  #generation = 0

  constructor(worker: Worker, kept: Kept, events: RunsEvents) {
    this.#worker = worker
    this.#kept = kept
    this.#events = events
  }

  /** Of the statuses that are told from now on. */
  set generation(value: number) {
    this.#generation = value
  }

  get(name: string): Run | undefined {
    return this.#running.get(name)
  }

  get names(): string[] {
    return [...this.#running.keys()]
  }

  /** The one of this name, with its settings as they are now; its tasks go on. */
  ensure(name: string, plugin: ConnectorPlugin, settings: Settings): Run {
    const known = this.#running.get(name)
    if (known === undefined) return this.make(name, plugin, settings)
    known.update(plugin, settings)
    return known
  }

  /** In place of one of the same name, which was stopped. */
  make(name: string, plugin: ConnectorPlugin, settings: Settings): Run {
    const options = {
      name,
      worker: this.#worker,
      plugin,
      settings,
      offsets: (ownTopic: string | null) => new ConnectorOffsets(this.#kept, name, ownTopic),
      events: this.#eventsOf(name),
    }
    const { threads } = this.#worker
    const onLost = (tasks: readonly number[]) => this.#events.onTasksLost(name, tasks)
    const connector =
      threads === undefined
        ? new RunningConnector(options)
        : new ThreadedConnector({ ...options, threads, onLost })
    this.#running.set(name, connector)
    return connector
  }

  #eventsOf(name: string): ConnectorEvents {
    return {
      onConnectorFailure: (error) => {
        this.connectorIs(name, 'FAILED', error)
      },
      onReconfigure: () => this.#events.onReconfigure(name),
      onTaskState: (task, state, error) => {
        const { log } = this.#worker.environment
        if (state === 'FAILED') log.error(`Task ${name}-${task} failed`, { err: error })
        const version = this.#running.get(name)?.version ?? null
        const status = this.#status(state, version, error)
        this.#kept.tell([taskStatusEntry(name, task, status)])
      },
      onTopic: (task, topic) => {
        if (!this.#worker.config['topic.tracking.enable']) return
        const timestamp = this.#worker.environment.clock.now()
        this.#kept.tell([topicEntry(topic, name, { task, timestamp })])
      },
    }
  }

  connectorIs(name: string, state: State, error?: unknown): void {
    const { log } = this.#worker.environment
    if (error !== undefined) log.error(`Connector ${name} failed`, { err: error })
    const version = this.#running.get(name)?.version ?? null
    const status = this.#status(state, version, error)
    this.#kept.tell([connectorStatusEntry(name, status)])
  }

  /** Of what runs here. */
  measured(): ConnectorMeasured[] {
    const { workerId } = this.#worker
    const { statuses } = this.#kept
    return Array.from(this.#running, ([name, connector]) => {
      const status = statuses.connector(name)
      const tasks = statuses.tasks(name).filter(([, task]) => task.workerId === workerId)
      return {
        ...{ name, className: connector.className, version: connector.version },
        type: connector.isSink ? 'sink' : 'source',
        state: status?.workerId === workerId ? status.state : null,
        tasks: tasks.map(([task, { state }]) => {
          return { task, state, measured: connector.measured(task) }
        }),
      }
    })
  }

  /** But for those that were started and not stopped. */
  startTasks(name: string, numbers?: readonly number[]): void {
    const connector = this.#running.get(name)
    const { configs } = this.#kept
    const isPaused = configs.target(name) === 'PAUSED'
    const tasks = configs.tasks(name)
    for (const task of numbers ?? tasks.keys()) {
      const settings = tasks[task]
      if (settings === undefined || connector === undefined) continue
      if (connector.tasks.includes(task)) continue
      const start = ++this.#startCount
      keptIn(this.#starts, name, () => new Map<number, number>()).set(task, start)
      const isCurrent = () => this.#isCurrent(name, task, start)
      const check = async () => {
        await this.#kept.catchUp('configs')
        if (configs.tasks(name) !== tasks || !isCurrent())
          throw new ConnectException('The task was given other settings while it started')
      }
      const guard = { before: () => this.#events.fence(name).then(check), after: check }
      connector.startTask(task, settings, { isPaused, isCurrent, guard })
    }
  }

  async stopInstance(name: string): Promise<void> {
    const connector = this.#running.get(name)
    await connector?.stopTasks()
    await connector?.stop()
  }

  forget(name: string): void {
    this.#running.delete(name)
  }

  /** Statuses of tasks that are no more: those from this number on, of as many as there were. */
  forgetTasks(name: string, from: number, before: number): void {
    const starts = this.#starts.get(name)
    for (const task of starts?.keys() ?? []) if (task >= from) starts?.delete(task)
    const told = this.#kept.statuses.tasks(name).map(([task]) => task)
    const gone = new Set([...told, ...Array(before).keys()].filter((task) => task >= from))
    this.#kept.tell(Array.from(gone, (task) => taskStatusEntry(name, task, null)))
  }

  /**
   * What the started connector wants its tasks to be; null where they are that already, under the same
   * settings of the connector. Rejects with what the connector threw.
   */
  async changedTasks(name: string): Promise<readonly Settings[] | null> {
    const connector = this.#running.get(name)
    const { configs } = this.#kept
    const settings = configs.connector(name)
    if (connector?.isStarted !== true || settings === undefined) return null
    const table = connector.isSink ? sinkConfig : sourceConfig
    const { 'tasks.max': max, 'tasks.max.enforce': isEnforced } = table.parse(
      this.#worker.providers.resolve(settings),
    )
    const wanted = await connector.taskConfigs(max, isEnforced)
    const before = configs.tasks(name)
    const isSame =
      wanted.length === before.length &&
      wanted.every((config, task) => equalSettings(config, before[task]!)) &&
      equalSettings(configs.applied(name) ?? new Map(), settings)
    return isSame ? null : wanted
  }

  /** It was not started here again, and not removed. */
  #isCurrent(name: string, task: number, start: number): boolean {
    const isLastHere = this.#starts.get(name)?.get(task) === start
    return isLastHere && this.#kept.configs.tasks(name)[task] !== undefined
  }

  #status(state: State, version: string | null, error?: unknown): Status {
    const trace = state === 'FAILED' ? traceOf(error) : null
    const { workerId } = this.#worker
    return { state, trace, workerId, version, generation: this.#generation }
  }
}

function equalSettings(left: Settings, right: Settings): boolean {
  return left.size === right.size && [...left].every(([name, value]) => right.get(name) === value)
}
