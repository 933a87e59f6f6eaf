/**
 * What is assigned to this worker, run: connectors and tasks are started once they are assigned, stopped
 * once they are revoked, and follow their settings in between. What concerns one connector happens in
 * order; connectors do not wait for each other.
 */
import type { Settings } from '../../config-def.ts'
import { TooManyTasks } from '../../failures.ts'
import type { ConnectorPlugin } from '../../plugin.ts'
import type { RestartRequest } from '../../storage/config-state.ts'
import type { Status } from '../../storage/status-state.ts'
import { InOrder } from '../in-order.ts'
import type { Kept } from '../kept.ts'
import { pausedFor } from '../pause.ts'
import { Runs } from '../runs.ts'
import type { Worker } from '../worker.ts'
import type { ConnectorMeasured } from '../worker-measured.ts'
import { parseTaskName, taskName, type Work } from './work.ts'

export interface AssignedRunsOptions {
  readonly worker: Worker
  readonly kept: Kept
  /** Throws HttpError where there is no such class. */
  readonly pluginOf: (settings: Settings) => ConnectorPlugin
  /** Has the leader write the settings of a connector's tasks. Rejects where that fails. */
  readonly publish: (name: string, tasks: readonly Settings[]) => Promise<void>
  /** Has the leader shut out tasks of former settings. */
  readonly fence: (name: string) => Promise<void>
  readonly onTasksLost: (name: string, tasks: readonly number[]) => Promise<void>
}

const retryMsMin = 250
const retryMsMax = 60_000

export class AssignedRuns {
  readonly #options: AssignedRunsOptions
  readonly #runs: Runs
  readonly #inOrder = new InOrder()
  /** Connectors, not tasks, that were started here and not stopped, however they do. */
  readonly #connectors = new Set<string>()

  constructor(options: AssignedRunsOptions) {
    this.#options = options
    this.#runs = new Runs(options.worker, options.kept, {
      onReconfigure: (name) => this.#do(name, () => this.#reconfigure(name)),
      fence: options.fence,
      onTasksLost: options.onTasksLost,
    })
  }

  /** Of the group: statuses that are told from now on are of this one. */
  set generation(value: number) {
    this.#runs.generation = value
  }

  hasConnector(name: string): boolean {
    return this.#connectors.has(name)
  }

  /** Starts what is not running yet; nobody waits for it. */
  start({ connectors, tasks }: Work): void {
    for (const name of connectors) {
      if (this.#connectors.has(name)) continue
      this.#connectors.add(name)
      this.#do(name, () => this.#startConnector(name))
    }
    for (const [name, numbers] of byConnector(tasks))
      this.#do(name, async () => this.#startTasks(name, numbers))
  }

  measured(): readonly ConnectorMeasured[] {
    return this.#runs.measured()
  }

  /** Resolves when all of it has stopped, or was given up. */
  async stop({ connectors, tasks }: Work): Promise<void> {
    const { environment, config } = this.#options.worker
    const stops = [
      ...Array.from(connectors, (name) => this.#inOrder.run(name, () => this.#stopConnector(name))),
      ...Array.from(byConnector(tasks), ([name, numbers]) =>
        this.#inOrder.run(name, async () => this.#runs.get(name)?.stopTasks(numbers)),
      ),
    ]
    // One that hangs in its start must not keep the whole group waiting.
    const limitMs = 2 * config['task.shutdown.graceful.timeout.ms']
    await Promise.race([Promise.allSettled(stops), pausedFor(environment, limitMs)])
  }

  /** Stops all and takes nothing more. */
  async end(): Promise<void> {
    const { environment, config } = this.#options.worker
    const limitMs = config['task.shutdown.graceful.timeout.ms']
    await Promise.race([this.#inOrder.end(), pausedFor(environment, limitMs)])
    await Promise.all(
      this.#runs.names.map(async (name) => {
        await this.#runs.get(name)?.stopTasks()
        await this.#stopConnector(name)
      }),
    )
  }

  /** The settings of a connector have changed. */
  reconfigured(name: string): void {
    if (!this.#connectors.has(name)) return
    this.#do(name, async () => {
      await this.#runs.get(name)?.stop()
      await this.#startConnector(name)
    })
  }

  /** Tasks have other settings: they stop here, and start wherever they are assigned next. */
  async tasksChanged(name: string): Promise<void> {
    const tasks = this.#runs.get(name)?.tasks ?? []
    await this.stop({
      connectors: new Set(),
      tasks: new Set(tasks.map((task) => taskName(name, task))),
    })
  }

  targetChanged(name: string): void {
    this.#do(name, async () => {
      const connector = this.#runs.get(name)
      const target = this.#options.kept.configs.target(name)
      if (target === 'STARTED') {
        connector?.setPaused(false)
        if (this.#connectors.has(name)) await this.#startConnector(name)
        return
      }
      if (target === 'PAUSED') connector?.setPaused(true)
      if (!this.#connectors.has(name)) return
      await connector?.stop()
      this.#runs.connectorIs(name, target)
    })
  }

  /** What of it is here, and meant. */
  restart(name: string, { includeTasks, onlyFailed }: RestartRequest): Promise<void> {
    const { statuses } = this.#options.kept
    const isMeant = (status: Status | undefined) => !onlyFailed || status?.state === 'FAILED'
    return this.#inOrder.run(name, async () => {
      const connector = this.#runs.get(name)
      const tasks = (includeTasks ? (connector?.tasks ?? []) : []).filter((task) =>
        isMeant(statuses.task(name, task)),
      )
      const isConnector = this.#connectors.has(name) && isMeant(statuses.connector(name))
      await connector?.stopTasks(tasks)
      if (isConnector) await connector?.stop()
      if (isConnector) await this.#startConnector(name)
      this.#startTasks(name, tasks)
    })
  }

  restartTask(name: string, task: number): Promise<void> {
    return this.#inOrder.run(name, async () => {
      await this.#runs.get(name)?.stopTasks([task])
      this.#startTasks(name, [task])
    })
  }

  /** Statuses of what is no more. */
  forgetTasks(name: string, count: number): void {
    this.#runs.forgetTasks(name, count, 0)
  }

  /** In order, and whatever it fails with is told in a status, or in the log. */
  #do(name: string, work: () => Promise<void>): void {
    const { log } = this.#options.worker.environment
    this.#inOrder.run(name, work).catch((err: unknown) => {
      if (!this.#inOrder.isEnded) log.error(`Connector ${name} could not be changed`, { err })
    })
  }

  /** Never rejects: a failure is its status. */
  async #startConnector(name: string): Promise<void> {
    const { configs } = this.#options.kept
    const settings = configs.connector(name)
    if (settings === undefined || !this.#connectors.has(name)) return
    try {
      const connector = this.#runs.ensure(name, this.#options.pluginOf(settings), settings)
      const target = configs.target(name)
      if (target !== 'STARTED') return this.#runs.connectorIs(name, target)
      await connector.start()
      this.#runs.connectorIs(name, 'RUNNING')
    } catch (error) {
      return this.#runs.connectorIs(name, 'FAILED', error)
    }
    await this.#reconfigure(name)
  }

  async #stopConnector(name: string): Promise<void> {
    if (!this.#connectors.delete(name)) return
    await this.#runs.get(name)?.stop()
    const { configs } = this.#options.kept
    if (configs.connector(name) !== undefined) this.#runs.connectorIs(name, 'UNASSIGNED')
  }

  #startTasks(name: string, numbers: readonly number[]): void {
    const settings = this.#options.kept.configs.connector(name)
    if (settings === undefined) return
    this.#runs.ensure(name, this.#options.pluginOf(settings), settings)
    this.#runs.startTasks(name, numbers)
  }

  /** Asks the connector for its tasks; where they are others than before, the leader is told. */
  async #reconfigure(name: string, retryMs = retryMsMin): Promise<void> {
    const { kept, publish, worker } = this.#options
    if (kept.configs.target(name) !== 'STARTED' || !this.#connectors.has(name)) return
    const { log, timers } = worker.environment
    try {
      const changed = await this.#runs.changedTasks(name)
      if (changed !== null) await publish(name, changed)
    } catch (error) {
      if (error instanceof TooManyTasks) return this.#runs.connectorIs(name, 'FAILED', error)
      const level = retryMs === retryMsMin ? 'debug' : 'warn'
      log[level](`Tasks of connector ${name} could not be configured, trying again`, {
        reason: String(error),
      })
      timers.after(retryMs, () =>
        this.#do(name, () => this.#reconfigure(name, Math.min(2 * retryMs, retryMsMax))),
      )
    }
  }
}

/** Tasks by the connector that they are of. */
function byConnector(tasks: ReadonlySet<string>): Map<string, number[]> {
  const numbers = new Map<string, number[]>()
  for (const name of tasks) {
    const { connector, task } = parseTaskName(name)
    numbers.set(connector, [...(numbers.get(connector) ?? []), task])
  }
  return numbers
}
