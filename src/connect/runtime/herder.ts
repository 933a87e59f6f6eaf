/**
 * Keeps connectors as users want them: what REST asks for. Everything is decided first and kept, and then
 * done as it is kept. One worker alone does all of it by itself (`solo-herder.ts`); of several one leads
 * and decides, and all do (`distributed/`).
 */
import { Cluster } from '../../client/cluster.ts'
import { HttpError } from '../../http/routes.ts'
import type { Settings } from '../config-def.ts'
import { hasReference } from '../config-providers.ts'
import type { ConnectorPlugin } from '../plugin.ts'
import type { ConfigState, RestartRequest, TargetState } from '../storage/config-state.ts'
import { connectorStatusEntry, type StatusState, topicEntry } from '../storage/status-state.ts'
import type { Entry } from '../storage/storage.ts'
import { askPlugin } from '../threads/plugin-questions.ts'
import type { ConfigInfos } from '../validation.ts'
import { sinkClientId, sinkConsumerSettings, workerReach } from './client-settings.ts'
import { ConnectorOffsets } from './connector-offsets.ts'
import { fenceTasks } from './fencing.ts'
import { Kept } from './kept.ts'
import { removeOrphans } from './orphans.ts'
import type { Worker } from './worker.ts'
import { WorkerLog } from './worker-log.ts'
import type { ConnectorMeasured } from './worker-measured.ts'

/** A connector that starts is not waited for longer than that by whoever made it. */
export const startWaitMs = 3_000
/** Connectors of one worker; each may have tasks of its own. */
const connectorsMax = 1_000

export interface PutOptions {
  readonly mayReplace: boolean
  readonly target: TargetState | null
}

/** Of one worker to another. */
export interface InternalRequest {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string>>
}

export abstract class Herder {
  readonly worker: Worker
  readonly cluster: Cluster
  readonly log: WorkerLog
  protected readonly kept: Kept

  constructor(worker: Worker) {
    this.worker = worker
    this.cluster = new Cluster(worker.environment, {
      ...workerReach(worker),
      clientId: 'connect-worker',
    })
    this.kept = new Kept(worker)
    const { clock, logThreshold = { level: 'info' } } = worker.environment
    this.log = new WorkerLog(logThreshold, clock)
  }

  /** Reads what is kept, and starts what is to run here. Rejects with ConnectException, KafkaError. */
  abstract start(): Promise<void>

  /** Stops all tasks and connectors in good order; what they were stays as it is kept. */
  abstract stop(): Promise<void>

  /** Makes or changes a connector; true: it is new. Rejects with HttpError 400, 409. */
  abstract put(name: string, settings: Settings, options: PutOptions): Promise<boolean>

  abstract delete(name: string): Promise<void>

  /** The state that a user wants; nothing happens where it is that already. */
  abstract setTarget(name: string, target: TargetState): Promise<void>

  abstract restart(name: string, request: RestartRequest): Promise<void>

  abstract restartTask(name: string, task: number): Promise<void>

  /** While it is stopped, and stays so. Rejects with HttpError 404, 400. */
  abstract whileStopped<T>(name: string, work: (plugin: ConnectorPlugin) => Promise<T>): Promise<T>

  /**
   * Tasks of a sink that have ended without leaving its group, which would wait for them until their sessions end. Never
   * rejects.
   */
  protected async removeOrphans(
    name: string,
    isOrphan: (clientId: string) => boolean,
  ): Promise<void> {
    const settings = this.configs.connector(name)
    if (settings === undefined || this.typeOf(settings) !== 'sink') return
    const { environment, providers, settings: ofWorker } = this.worker
    try {
      const { groupId } = sinkConsumerSettings(providers.resolve(settings), name, ofWorker).options
      await removeOrphans(this.cluster, groupId, isOrphan)
    } catch (error) {
      const reason = String(error)
      environment.log.warn(`The group of connector ${name} is not known`, { reason })
    }
  }

  /** Of tasks of a connector whose thread was ended. Never rejects. */
  protected async removeLost(name: string, tasks: readonly number[]): Promise<void> {
    const lost = new Set(tasks.map((task) => `${sinkClientId(name)}${task}`))
    if (lost.size > 0) await this.removeOrphans(name, (clientId) => lost.has(clientId))
  }

  /** Of the connectors and tasks that run on this worker. */
  abstract measured(): readonly ConnectorMeasured[]

  /** What another worker's connector wants its tasks to be. Rejects with HttpError. */
  async putTasks(name: string, _request: InternalRequest): Promise<void> {
    throw new HttpError(409, `The tasks of ${name} are not configured by other workers`)
  }

  /** Another worker is about to start tasks. Rejects with HttpError. */
  async fence(name: string, _request: InternalRequest): Promise<void> {
    throw new HttpError(409, `The tasks of ${name} are not run by other workers`)
  }

  /** Of all workers that run now: of this one, where it is alone. */
  async setLogLevelOfAll(level: string): Promise<void> {
    this.log.set(level)
  }

  get configs(): ConfigState {
    return this.kept.configs
  }

  get statuses(): StatusState {
    return this.kept.statuses
  }

  /** Of a source, as they are kept by now. Rejects with HttpError 404, ConnectException, KafkaError. */
  async offsetsOf(name: string): Promise<ConnectorOffsets> {
    const own = this.resolved(name).get('offsets.storage.topic') ?? null
    const offsets = new ConnectorOffsets(this.kept, name, own)
    await offsets.catchUp()
    return offsets
  }

  /** Rejects with HttpError 400 for a class that is none of a connector, and 500 where its plug-in comes to no end. */
  async validate(settings: Settings): Promise<ConfigInfos> {
    const { className } = this.pluginOf(settings)
    const resolved = this.worker.providers.resolve(settings)
    const question = { kind: 'validate', className, settings: resolved } as const
    const infos = await askPlugin(this.worker, question)
    // What a reference stands for is told to nobody.
    const configs = infos.configs.map((config) => {
      const given = settings.get(config.value.name)
      if (given === undefined || !hasReference(given)) return config
      return { ...config, value: { ...config.value, value: given } }
    })
    return { ...infos, configs }
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

  forgetTopics(name: string): void {
    this.require(name)
    this.kept.tell(this.#topicsGone(name))
  }

  /** What was told of a connector that is no more; of its tasks `forgetTasks` of those who run them. */
  protected forgetConnector(name: string): void {
    this.kept.tell([connectorStatusEntry(name, null), ...this.#topicsGone(name)])
  }

  #topicsGone(name: string): Entry[] {
    return this.statuses.topics(name).map((topic) => topicEntry(topic, name, null))
  }

  /** The settings of a connector. Throws HttpError 404. */
  require(name: string): Settings {
    const settings = this.configs.connector(name)
    if (settings === undefined) throw new HttpError(404, `Connector ${name} not found`)
    return settings
  }

  /** As `require`, with what references stand for. Throws ConfigError too. */
  resolved(name: string): Settings {
    return this.worker.providers.resolve(this.require(name))
  }

  /** `unknown` where the worker has no such class any more. */
  typeOf(settings: Settings): 'sink' | 'source' | 'unknown' {
    const name = settings.get('connector.class') ?? ''
    return this.worker.plugins.connector(name)?.type ?? 'unknown'
  }

  protected pluginOf(settings: Settings): ConnectorPlugin {
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

  /** No task of its former settings writes any more; one at a time for each connector. */
  protected async fenceTasks(name: string): Promise<void> {
    const { exactlyOnceGroup: group } = this.worker
    if (group === null || this.typeOf(this.require(name)) !== 'source') return
    const write = (entries: readonly Entry[]) => this.writeAsLeader(entries)
    await fenceTasks({ cluster: this.cluster, kept: this.kept, group, write }, name)
  }

  /** Settings, which only one worker of all writes. */
  protected writeAsLeader(entries: readonly Entry[]): Promise<void> {
    return this.kept.write(entries)
  }

  /** Whether a connector may be made or changed so. Rejects with HttpError 400, 409; answers whether it is new. */
  protected async checkPut(
    name: string,
    settings: Settings,
    { mayReplace }: PutOptions,
  ): Promise<boolean> {
    await this.#checkSettings(settings)
    const isNew = this.configs.connector(name) === undefined
    if (!isNew && !mayReplace) throw new HttpError(409, `Connector ${name} already exists`)
    if (isNew && this.configs.names.length >= connectorsMax)
      throw new HttpError(400, `A worker has at most ${connectorsMax} connectors`)
    return isNew
  }

  /** Throws HttpError 400 while it is not stopped, 404 where there is none. */
  protected requireStopped(name: string): ConnectorPlugin {
    const settings = this.require(name)
    if (this.configs.target(name) !== 'STOPPED' || this.configs.tasks(name).length > 0)
      throw new HttpError(
        400,
        `Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/${name}/stop' endpoint`,
      )
    return this.pluginOf(settings)
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
}
