/**
 * The herder of a worker that is alone: within a broker, or standalone. It decides, keeps the decision,
 * and does it. Everything that changes one connector happens in order, one thing at a time; connectors
 * do not wait for each other.
 */

import { HttpError } from '../../http/routes.ts'
import type { Settings } from '../config-def.ts'
import type { ConnectorPlugin } from '../plugin.ts'
import {
  commitEntry,
  connectorEntry,
  type RestartRequest,
  type TargetState,
  targetEntry,
  taskEntries,
} from '../storage/config-state.ts'
import type { Status } from '../storage/status-state.ts'
import type { States, Storage } from '../storage/storage.ts'
import { openTopicStorage } from '../storage/topic-storage.ts'
import { sinkClientId } from './client-settings.ts'
import { Herder, type PutOptions, startWaitMs } from './herder.ts'
import { InOrder } from './in-order.ts'
import { pausedFor } from './pause.ts'
import { Runs } from './runs.ts'
import type { Worker } from './worker.ts'
import type { ConnectorMeasured } from './worker-measured.ts'

export class SoloHerder extends Herder {
  readonly #openStorage: (states: States) => Promise<Storage>
  readonly #runs: Runs
  readonly #inOrder = new InOrder()
  /** Tasks ask for it while they start, which what changes their connector waits for. */
  readonly #fencing = new InOrder()

  /** `openStorage`: the topics of its settings, unless said otherwise. */
  constructor(worker: Worker, openStorage?: (states: States) => Promise<Storage>) {
    super(worker)
    this.#openStorage =
      openStorage ?? ((states) => openTopicStorage(this.cluster, worker.config, states))
    this.#runs = new Runs(worker, this.kept, {
      onReconfigure: (name) => {
        void this.#inOrder.run(name, () => this.#reconfigure(name)).catch(() => undefined)
      },
      fence: (name) => this.#fencing.run(name, () => this.fenceTasks(name)),
      onTasksLost: (name, tasks) => this.removeLost(name, tasks),
    })
  }

  async start(): Promise<void> {
    await this.kept.open(this.#openStorage)
    this.#runs.generation = this.statuses.generation + 1
    for (const name of this.configs.names)
      void this.#inOrder.run(name, async () => {
        // Of this worker before a crash.
        const ours = sinkClientId(name)
        await this.removeOrphans(name, (clientId) => clientId.startsWith(ours))
        await this.#start(name)
      })
  }

  async stop(): Promise<void> {
    const { environment, config } = this.worker
    await Promise.race([
      this.#inOrder.end(),
      pausedFor(environment, config['task.shutdown.graceful.timeout.ms']),
    ])
    await Promise.all(this.#runs.names.map((name) => this.#runs.stopInstance(name)))
    await this.kept.close()
    this.cluster.close()
  }

  measured(): readonly ConnectorMeasured[] {
    return this.#runs.measured()
  }

  put(name: string, settings: Settings, options: PutOptions): Promise<boolean> {
    return this.#inOrder
      .run(name, async () => {
        const isNew = await this.checkPut(name, settings, options)
        const { target } = options
        const targets = target === null ? [] : [targetEntry(name, target)]
        await this.kept.write([...targets, connectorEntry(name, settings)])
        await this.#runs.stopInstance(name)
        const started = this.#start(name)
        await Promise.race([started, pausedFor(this.worker.environment, startWaitMs)])
        return { isNew, rest: started }
      })
      .then(({ isNew }) => isNew)
  }

  delete(name: string): Promise<void> {
    return this.#inOrder.run(name, async () => {
      this.require(name)
      const { length: before } = this.configs.tasks(name)
      await this.#runs.stopInstance(name)
      this.#runs.forget(name)
      await this.kept.write([connectorEntry(name, null), targetEntry(name, null)])
      this.#runs.forgetTasks(name, 0, before)
      this.forgetConnector(name)
    })
  }

  setTarget(name: string, target: TargetState): Promise<void> {
    return this.#inOrder.run(name, async () => {
      this.require(name)
      if (this.configs.target(name) === target) return
      await this.kept.write([targetEntry(name, target)])
      if (target === 'STOPPED') await this.#stopTasksForGood(name)
      else if (target === 'PAUSED') await this.#pause(name)
      else await this.#resume(name)
    })
  }

  restart(name: string, { includeTasks, onlyFailed }: RestartRequest): Promise<void> {
    return this.#inOrder.run(name, async () => {
      this.require(name)
      const isMeant = (status: Status | undefined) => !onlyFailed || status?.state === 'FAILED'
      const isConnector = isMeant(this.statuses.connector(name))
      const tasks = this.configs.tasks(name).flatMap((_, task) => {
        return includeTasks && isMeant(this.statuses.task(name, task)) ? [task] : []
      })
      const connector = this.#runs.get(name)
      await connector?.stopTasks(tasks)
      if (isConnector) {
        await connector?.stop()
        await this.#start(name)
      }
      this.#runs.startTasks(name, tasks)
    })
  }

  restartTask(name: string, task: number): Promise<void> {
    return this.#inOrder.run(name, async () => {
      this.require(name)
      if (this.configs.tasks(name)[task] === undefined)
        throw new HttpError(404, `Task ${name}-${task} not found`)
      await this.#runs.get(name)?.stopTasks([task])
      this.#runs.startTasks(name, [task])
    })
  }

  whileStopped<T>(name: string, work: (plugin: ConnectorPlugin) => Promise<T>): Promise<T> {
    return this.#inOrder.run(name, async () => {
      const plugin = this.requireStopped(name)
      await this.#fencing.run(name, () => this.fenceTasks(name))
      return work(plugin)
    })
  }

  /** Starts a connector as it is wanted, and its tasks, but for those that run already. Never rejects: a failure is its status. */
  async #start(name: string): Promise<void> {
    const settings = this.configs.connector(name)
    if (settings === undefined || this.#inOrder.isEnded) return
    try {
      const hasTasks = (this.#runs.get(name)?.tasks ?? []).length > 0
      const plugin = this.pluginOf(settings)
      const connector = this.#runs[hasTasks ? 'ensure' : 'make'](name, plugin, settings)
      const target = this.configs.target(name)
      // A worker that crashed may have left some.
      const { length: count } = this.configs.tasks(name)
      this.#runs.forgetTasks(name, count, count)
      if (target === 'STOPPED') return this.#runs.connectorIs(name, 'STOPPED')
      if (target === 'PAUSED') {
        this.#runs.connectorIs(name, 'PAUSED')
        return this.#runs.startTasks(name)
      }
      await connector.start()
      // It took long, and somebody has replaced or deleted it since.
      if (this.#runs.get(name) !== connector) return await connector.stop()
      this.#runs.connectorIs(name, 'RUNNING')
      await this.#configureTasks(name, { mustStart: true })
    } catch (error) {
      this.#runs.connectorIs(name, 'FAILED', error)
    }
  }

  async #reconfigure(name: string): Promise<void> {
    if (this.configs.target(name) !== 'STARTED') return
    try {
      await this.#configureTasks(name, { mustStart: false })
    } catch (error) {
      this.#runs.connectorIs(name, 'FAILED', error)
    }
  }

  /** Asks the connector for its tasks, and starts them anew where they are others than before. */
  async #configureTasks(name: string, { mustStart }: { mustStart: boolean }): Promise<void> {
    const connector = this.#runs.get(name)
    if (connector?.isStarted !== true) return
    const changed = await this.#runs.changedTasks(name)
    if (changed !== null) {
      const { length: before } = this.configs.tasks(name)
      await connector.stopTasks()
      await this.kept.write(taskEntries(name, changed))
      await this.kept.write([commitEntry(name, changed.length)])
      this.#runs.forgetTasks(name, changed.length, before)
    }
    if (changed !== null || mustStart) this.#runs.startTasks(name)
  }

  async #stopTasksForGood(name: string): Promise<void> {
    const { length: before } = this.configs.tasks(name)
    await this.#runs.stopInstance(name)
    await this.kept.write([commitEntry(name, 0)])
    this.#runs.forgetTasks(name, 0, before)
    this.#runs.connectorIs(name, 'STOPPED')
  }

  async #pause(name: string): Promise<void> {
    const connector = this.#runs.get(name)
    await connector?.stop()
    connector?.setPaused(true)
    this.#runs.connectorIs(name, 'PAUSED')
  }

  async #resume(name: string): Promise<void> {
    const connector = this.#runs.get(name)
    try {
      await connector?.start()
      connector?.setPaused(false)
      this.#runs.connectorIs(name, 'RUNNING')
      await this.#configureTasks(name, { mustStart: false })
    } catch (error) {
      this.#runs.connectorIs(name, 'FAILED', error)
    }
  }
}
