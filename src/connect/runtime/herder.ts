/**
 * Keeps connectors as users want them: decides, writes the decision to the config topic, and acts on what
 * it reads back. Everything that changes one connector happens in order, one thing at a time; connectors
 * do not wait for each other. What a connector or a task throws is its own status and nobody else's.
 */

import { describeGroup, removeMembers } from '../../client/admin/groups.ts'
import { Cluster } from '../../client/cluster.ts'
import { isAnswer } from '../../client/failures.ts'
import { HttpError } from '../../http/routes.ts'
import type { Settings } from '../config-def.ts'
import { sinkConfig, sourceConfig } from '../connector-configs.ts'
import { traceOf } from '../failures.ts'
import type { ConnectorPlugin } from '../plugin.ts'
import {
  ConfigState,
  commitEntry,
  connectorEntry,
  type TargetState,
  targetEntry,
  taskEntries,
} from '../storage/config-state.ts'
import { keptIn } from '../storage/kept-in.ts'
import { OffsetState } from '../storage/offset-state.ts'
import {
  connectorStatusEntry,
  type State,
  type Status,
  StatusState,
  taskStatusEntry,
  topicEntry,
} from '../storage/status-state.ts'
import { type Entry, StorageLog } from '../storage/storage-log.ts'
import { type ConfigInfos, validateConnector } from '../validation.ts'
import { sinkClientId, sinkConsumerSettings } from './client-settings.ts'
import { pausedFor } from './pause.ts'
import { RunningConnector } from './running-connector.ts'
import type { Worker } from './worker.ts'

/** A connector that starts is not waited for longer than that by whoever made it. */
const startWaitMs = 3_000
/** Connectors of one worker; each may have tasks of its own. */
const connectorsMax = 1_000

export interface RestartRequest {
  readonly includeTasks: boolean
  readonly onlyFailed: boolean
}

export class Herder {
  readonly configs = new ConfigState()
  readonly statuses = new StatusState()
  readonly offsets = new OffsetState()
  readonly worker: Worker
  readonly cluster: Cluster
  #storage: StorageLog | null = null
  readonly #running = new Map<string, RunningConnector>()
  /** What is under way for a connector, and waits for it. */
  readonly #queues = new Map<string, Promise<unknown>>()
  /** Of the tasks that were started last: who had their numbers before has nothing more to tell. */
  readonly #generations = new Map<string, Map<number, number>>()
  #generation = 0
  #isStopping = false

  constructor(worker: Worker) {
    this.worker = worker
    this.cluster = new Cluster(worker.environment, {
      bootstrap: worker.bootstrap,
      clientId: 'connect-worker',
    })
  }

  /** Reads what is kept, and starts all connectors. Rejects with ConnectException, KafkaError. */
  async start(): Promise<void> {
    const { config } = this.worker
    this.#storage = await StorageLog.open(this.cluster, [
      {
        name: config['config.storage.topic'],
        partitions: 1,
        replicationFactor: config['config.storage.replication.factor'],
        apply: (key, value) => this.configs.apply(key, value),
      },
      {
        name: config['offset.storage.topic'],
        partitions: config['offset.storage.partitions'],
        replicationFactor: config['offset.storage.replication.factor'],
        apply: (key, value) => this.offsets.apply(key, value),
      },
      {
        name: config['status.storage.topic'],
        partitions: config['status.storage.partitions'],
        replicationFactor: config['status.storage.replication.factor'],
        apply: (key, value) => this.statuses.apply(key, value),
      },
    ])
    this.#generation = this.statuses.generation + 1
    for (const name of this.configs.names)
      void this.#inOrder(name, async () => {
        await this.#removeOrphans(name)
        await this.#start(name)
      })
  }

  /** Stops all tasks and connectors in good order; what they were stays as it is kept. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const { environment, config } = this.worker
    const limitMs = config['task.shutdown.graceful.timeout.ms']
    await Promise.race([
      Promise.allSettled([...this.#queues.values()]),
      pausedFor(environment, limitMs),
    ])
    await Promise.all(
      [...this.#running.values()].map(async (connector) => {
        await connector.stopTasks()
        await connector.stop()
      }),
    )
    await this.#storage?.close()
    this.cluster.close()
  }

  /** Throws HttpError 400 for a class that is none of a connector. */
  async validate(settings: Settings): Promise<ConfigInfos> {
    return validateConnector(this.#pluginOf(settings), this.worker.plugins, settings)
  }

  /** Makes or changes a connector; true: it is new. Rejects with HttpError 400, 409. */
  put(
    name: string,
    settings: Settings,
    { mayReplace, target }: { mayReplace: boolean; target: TargetState | null },
  ): Promise<boolean> {
    return this.#inOrder(name, async () => {
      await this.#checkSettings(settings)
      const isNew = this.configs.connector(name) === undefined
      if (!isNew && !mayReplace) throw new HttpError(409, `Connector ${name} already exists`)
      if (isNew && this.configs.names.length >= connectorsMax)
        throw new HttpError(400, `A worker has at most ${connectorsMax} connectors`)
      const targets = target === null ? [] : [targetEntry(name, target)]
      await this.#write([...targets, connectorEntry(name, settings)])
      await this.#stopInstance(name)
      const started = this.#start(name)
      await Promise.race([started, pausedFor(this.worker.environment, startWaitMs)])
      return { isNew, rest: started }
    }).then(({ isNew }) => isNew)
  }

  /** Changes some settings; a null removes one. Rejects with HttpError 400, 404. */
  async patch(name: string, changes: ReadonlyMap<string, string | null>): Promise<void> {
    const settings = new Map(this.require(name))
    for (const [setting, value] of changes) {
      if (value === null) settings.delete(setting)
      else settings.set(setting, value)
    }
    await this.put(name, settings, { mayReplace: true, target: null })
  }

  delete(name: string): Promise<void> {
    return this.#inOrder(name, async () => {
      this.require(name)
      const { length: before } = this.configs.tasks(name)
      await this.#stopInstance(name)
      this.#running.delete(name)
      await this.#write([connectorEntry(name, null), targetEntry(name, null)])
      this.#forgetTasks(name, 0, before)
      const topics = this.statuses.topics(name).map((topic) => topicEntry(topic, name, null))
      this.#tell([connectorStatusEntry(name, null), ...topics])
    })
  }

  /** The state that a user wants; nothing happens where it is that already. */
  setTarget(name: string, target: TargetState): Promise<void> {
    return this.#inOrder(name, async () => {
      this.require(name)
      if (this.configs.target(name) === target) return
      await this.#write([targetEntry(name, target)])
      if (target === 'STOPPED') await this.#stopTasksForGood(name)
      else if (target === 'PAUSED') await this.#pause(name)
      else await this.#resume(name)
    })
  }

  restart(name: string, { includeTasks, onlyFailed }: RestartRequest): Promise<void> {
    return this.#inOrder(name, async () => {
      this.require(name)
      const isMeant = (status: Status | undefined) => !onlyFailed || status?.state === 'FAILED'
      const isConnector = isMeant(this.statuses.connector(name))
      const tasks = this.configs.tasks(name).flatMap((_, task) => {
        return includeTasks && isMeant(this.statuses.task(name, task)) ? [task] : []
      })
      const connector = this.#running.get(name)
      await connector?.stopTasks(tasks)
      if (isConnector) {
        await connector?.stop()
        await this.#start(name, { withTasks: !includeTasks })
      }
      this.#startTasks(name, tasks)
    })
  }

  restartTask(name: string, task: number): Promise<void> {
    return this.#inOrder(name, async () => {
      this.require(name)
      if (this.configs.tasks(name)[task] === undefined)
        throw new HttpError(404, `Task ${name}-${task} not found`)
      await this.#running.get(name)?.stopTasks([task])
      this.#startTasks(name, [task])
    })
  }

  /** While it is stopped, and stays so. Rejects with HttpError 404, 400. */
  whileStopped<T>(name: string, work: (plugin: ConnectorPlugin) => Promise<T>): Promise<T> {
    return this.#inOrder(name, async () => {
      const settings = this.require(name)
      if (this.configs.target(name) !== 'STOPPED' || this.configs.tasks(name).length > 0)
        throw new HttpError(
          400,
          `Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/${name}/stop' endpoint`,
        )
      return work(this.#pluginOf(settings))
    })
  }

  putOffsets(entries: readonly Entry[]): Promise<void> {
    return this.#log.put(this.worker.config['offset.storage.topic'], entries)
  }

  forgetTopics(name: string): void {
    this.require(name)
    this.#tell(this.statuses.topics(name).map((topic) => topicEntry(topic, name, null)))
  }

  /** The settings of a connector. Throws HttpError 404. */
  require(name: string): Settings {
    const settings = this.configs.connector(name)
    if (settings === undefined) throw new HttpError(404, `Connector ${name} not found`)
    return settings
  }

  /** `unknown` where the worker has no such class any more. */
  typeOf(settings: Settings): 'sink' | 'source' | 'unknown' {
    const name = settings.get('connector.class') ?? ''
    return this.worker.plugins.connector(name)?.type ?? 'unknown'
  }

  get #log(): StorageLog {
    if (this.#storage === null) throw new HttpError(503, 'The worker is starting')
    return this.#storage
  }

  #pluginOf(settings: Settings): ConnectorPlugin {
    const name = settings.get('connector.class')
    if (name === undefined)
      throw new HttpError(400, 'The connector config contains no connector type: connector.class')
    const plugin = this.worker.plugins.connector(name)
    if (plugin !== undefined) return plugin
    const known = [...this.worker.plugins.connectors.keys()].join(', ')
    throw new HttpError(
      400,
      `Failed to find any class that implements Connector and which name matches ${name}, available connectors are: ${known}`,
    )
  }

  async #checkSettings(settings: Settings): Promise<void> {
    const { error_count: count, configs } = await this.validate(settings)
    if (count === 0) return
    const messages = configs.flatMap(({ value }) => value.errors)
    throw new HttpError(
      400,
      [
        `Connector configuration is invalid and contains the following ${count} error(s):`,
        ...messages,
        'You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`',
      ].join('\n'),
    )
  }

  /** One thing at a time for each connector. */
  #inOrder<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#isStopping) return Promise.reject(new HttpError(503, 'The worker is stopping'))
    const before = this.#queues.get(name) ?? Promise.resolve()
    const done = before.then(work, work)
    this.#queues.set(name, done)
    const forget = () => {
      if (this.#queues.get(name) === done) this.#queues.delete(name)
    }
    done.then(forget, forget)
    return done
  }

  #write(entries: readonly Entry[]): Promise<void> {
    return this.#log.put(this.worker.config['config.storage.topic'], entries)
  }

  /** A status is told as soon as it can be; nobody waits for it. */
  #tell(entries: readonly Entry[]): void {
    const storage = this.#storage
    if (storage === null) return
    storage.put(this.worker.config['status.storage.topic'], entries).catch((error: unknown) => {
      const { log } = this.worker.environment
      if (!this.#isStopping) log.warn('A status could not be written', { reason: String(error) })
    })
  }

  #status(
    state: State,
    { version, generation }: Pick<Status, 'version' | 'generation'>,
    error?: unknown,
  ): Status {
    const trace = state === 'FAILED' ? traceOf(error) : null
    return { state, trace, workerId: this.worker.workerId, version, generation }
  }

  #connectorIs(name: string, state: State, error?: unknown): void {
    const { log } = this.worker.environment
    if (error !== undefined) log.error(`Connector ${name} failed`, { err: error })
    const version = this.#running.get(name)?.version ?? null
    const status = this.#status(state, { version, generation: this.#generation }, error)
    this.#tell([connectorStatusEntry(name, status)])
  }

  /**
   * Tasks of this worker before a crash are still members of their group, which would wait for them until
   * their sessions end. Never rejects.
   */
  async #removeOrphans(name: string): Promise<void> {
    const settings = this.configs.connector(name)
    if (settings === undefined || this.typeOf(settings) !== 'sink') return
    const { log } = this.worker.environment
    try {
      const { groupId } = sinkConsumerSettings(settings, name).options
      const { members } = await describeGroup(this.cluster, groupId)
      const orphans = members.filter(({ clientId }) => clientId.startsWith(sinkClientId(name)))
      const ids = orphans.map(({ memberId }) => memberId)
      if (ids.length > 0) await removeMembers(this.cluster, groupId, ids, 'the worker has crashed')
    } catch (error) {
      if (!isAnswer(error, 'GROUP_ID_NOT_FOUND'))
        log.warn(`Members of connector ${name} may be left over`, { reason: String(error) })
    }
  }

  /** Starts a connector as it is wanted, and its tasks. Never rejects: a failure is its status. */
  async #start(name: string, { withTasks = true } = {}): Promise<void> {
    const settings = this.configs.connector(name)
    if (settings === undefined || this.#isStopping) return
    try {
      const connector = this.#make(name, settings)
      const target = this.configs.target(name)
      // A worker that crashed may have left some.
      const { length: count } = this.configs.tasks(name)
      this.#forgetTasks(name, count, count)
      if (target === 'STOPPED') return this.#connectorIs(name, 'STOPPED')
      if (target === 'PAUSED') {
        this.#connectorIs(name, 'PAUSED')
        return this.#startTasks(name)
      }
      await connector.start()
      // It took long, and somebody has replaced or deleted it since.
      if (this.#running.get(name) !== connector) return await connector.stop()
      this.#connectorIs(name, 'RUNNING')
      if (withTasks) await this.#configureTasks(name, { mustStart: true })
    } catch (error) {
      this.#connectorIs(name, 'FAILED', error)
    }
  }

  #make(name: string, settings: Settings): RunningConnector {
    const plugin = this.#pluginOf(settings)
    const connector = new RunningConnector({
      name,
      worker: this.worker,
      plugin,
      settings,
      offsets: {
        offset: (partition) => this.offsets.offset(name, partition),
        put: (offsets) =>
          this.putOffsets(
            offsets.map(({ partition, offset }) => this.offsets.entry(name, partition, offset)),
          ),
      },
      events: {
        onConnectorFailure: (error) => {
          this.#connectorIs(name, 'FAILED', error)
        },
        onReconfigure: () => {
          void this.#inOrder(name, () => this.#reconfigure(name)).catch(() => undefined)
        },
        onTaskState: (task, state, error) => {
          const { log } = this.worker.environment
          if (state === 'FAILED') log.error(`Task ${name}-${task} failed`, { err: error })
          const generation = this.#generations.get(name)?.get(task) ?? 0
          const status = this.#status(state, { version: plugin.version, generation }, error)
          this.#tell([taskStatusEntry(name, task, status)])
        },
        onTopic: (task, topic) => {
          if (!this.worker.config['topic.tracking.enable']) return
          const timestamp = this.worker.environment.clock.now()
          this.#tell([topicEntry(topic, name, { task, timestamp })])
        },
      },
    })
    this.#running.set(name, connector)
    return connector
  }

  async #reconfigure(name: string): Promise<void> {
    if (this.configs.target(name) !== 'STARTED') return
    try {
      await this.#configureTasks(name, { mustStart: false })
    } catch (error) {
      this.#connectorIs(name, 'FAILED', error)
    }
  }

  /** Asks the connector for its tasks, and starts them anew where they are others than before. */
  async #configureTasks(name: string, { mustStart }: { mustStart: boolean }): Promise<void> {
    const connector = this.#running.get(name)
    const settings = this.configs.connector(name)
    if (connector?.isStarted !== true || settings === undefined) return
    const table = this.typeOf(settings) === 'sink' ? sinkConfig : sourceConfig
    const { 'tasks.max': max, 'tasks.max.enforce': isEnforced } = table.parse(settings)
    const configs = await connector.taskConfigs(max, isEnforced)
    const before = this.configs.tasks(name)
    const isSame =
      configs.length === before.length &&
      configs.every((config, task) => equalSettings(config, before[task]!)) &&
      equalSettings(this.configs.applied(name) ?? new Map(), settings)
    if (!isSame) {
      await connector.stopTasks()
      await this.#write(taskEntries(name, configs))
      await this.#write([commitEntry(name, configs.length)])
      this.#forgetTasks(name, configs.length, before.length)
    }
    if (!isSame || mustStart) this.#startTasks(name)
  }

  #startTasks(name: string, numbers?: readonly number[]): void {
    const connector = this.#running.get(name)
    const isPaused = this.configs.target(name) === 'PAUSED'
    const tasks = this.configs.tasks(name)
    for (const task of numbers ?? tasks.keys()) {
      const settings = tasks[task]
      if (settings === undefined || connector === undefined) continue
      const generation = ++this.#generation
      const generations = keptIn(this.#generations, name, () => new Map())
      generations.set(task, generation)
      const isCurrent = () => this.#isCurrent(name, task, generation)
      connector.startTask(task, settings, { isPaused, isCurrent })
    }
  }

  /** Neither here nor by another worker has it been started again, or removed. */
  #isCurrent(name: string, task: number, generation: number): boolean {
    const isLastHere = this.#generations.get(name)?.get(task) === generation
    const told = this.statuses.task(name, task)?.generation ?? 0
    return isLastHere && told <= generation && this.configs.tasks(name)[task] !== undefined
  }

  /** Statuses of tasks that are no more. */
  #forgetTasks(name: string, from: number, before: number): void {
    const generations = this.#generations.get(name)
    for (const task of generations?.keys() ?? []) if (task >= from) generations?.delete(task)
    const told = this.statuses.tasks(name).map(([task]) => task)
    const gone = new Set([...told, ...Array(before).keys()].filter((task) => task >= from))
    this.#tell(Array.from(gone, (task) => taskStatusEntry(name, task, null)))
  }

  async #stopInstance(name: string): Promise<void> {
    const connector = this.#running.get(name)
    await connector?.stopTasks()
    await connector?.stop()
  }

  async #stopTasksForGood(name: string): Promise<void> {
    const { length: before } = this.configs.tasks(name)
    await this.#stopInstance(name)
    await this.#write([commitEntry(name, 0)])
    this.#forgetTasks(name, 0, before)
    this.#connectorIs(name, 'STOPPED')
  }

  async #pause(name: string): Promise<void> {
    const connector = this.#running.get(name)
    await connector?.stop()
    connector?.setPaused(true)
    this.#connectorIs(name, 'PAUSED')
  }

  async #resume(name: string): Promise<void> {
    const connector = this.#running.get(name)
    try {
      await connector?.start()
      connector?.setPaused(false)
      this.#connectorIs(name, 'RUNNING')
      await this.#configureTasks(name, { mustStart: false })
    } catch (error) {
      this.#connectorIs(name, 'FAILED', error)
    }
  }
}

function equalSettings(left: Settings, right: Settings): boolean {
  return left.size === right.size && [...left].every(([name, value]) => right.get(name) === value)
}
