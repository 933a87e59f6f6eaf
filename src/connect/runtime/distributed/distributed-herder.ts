/**
 * The herder of one worker of several, which share their work through a group and everything else through
 * the config topic: the leader writes there what is to be, every worker reads it and does its share. What
 * comes to another worker than the leader, or than the one that runs a task, is passed on.
 *
 *     config topic changes --> own connectors restarted, own tasks stopped --> all join again
 *     joined --> what was revoked is stopped --> joined again --> what is assigned is started
 */
import type { WorkerConfig } from '../../../config/worker-configs.ts'
import { HttpError } from '../../../http/routes.ts'
import type { Settings } from '../../config-def.ts'
import { ConnectException } from '../../failures.ts'
import type { ConnectorPlugin } from '../../plugin.ts'
import {
  commitEntry,
  connectorEntry,
  logLevelEntry,
  type RestartRequest,
  restartEntry,
  sessionKeyEntry,
  type TargetState,
  targetEntry,
  taskEntries,
} from '../../storage/config-state.ts'
import type { Entry } from '../../storage/storage.ts'
import { settingsOf } from '../../storage/stored-json.ts'
import { openTopicStorage } from '../../storage/topic-storage.ts'
import { Elsewhere } from '../elsewhere.ts'
import { Herder, type InternalRequest, type PutOptions } from '../herder.ts'
import { InOrder } from '../in-order.ts'
import { pausedFor } from '../pause.ts'
import type { Worker } from '../worker.ts'
import { rootLogger } from '../worker-log.ts'
import type { ConnectorMeasured } from '../worker-measured.ts'
import { AssignedRuns } from './assigned-runs.ts'
import { LeaderWrites, leaderIdOf } from './leader-writes.ts'
import { checkSignature, signatureAlgorithm, signed } from './signatures.ts'
import { isEmpty, noWork, taskName, type Work } from './work.ts'
import { WorkerMember } from './worker-member.ts'

/** So long a request waits for a rebalance to be over. */
const settleMsMax = 30_000
/** At least so often the worker looks around. */
const tickMs = 500
const failureMs = 1_000
const keyBytes = 32

export class DistributedHerder extends Herder {
  readonly #config: WorkerConfig
  readonly #runs: AssignedRuns
  readonly #member: WorkerMember
  /** What the leader does, one after the other. */
  readonly #leading = new InOrder()
  readonly #writes: LeaderWrites
  /** Keys of the config topic that have changed, and nobody has looked at. */
  #changed: string[] = []
  /** Of those that the assignment is of, as far as this worker knows. */
  #known: ReadonlySet<string> = new Set()
  #isOpen = false
  #isSettled = false
  #isStopping = false
  /** Monotonic time at which all join again. */
  #rejoinAtMs = Number.POSITIVE_INFINITY
  #wake: () => void = () => undefined

  constructor(worker: Worker, config: WorkerConfig) {
    super(worker)
    this.#config = config
    this.#runs = new AssignedRuns({
      worker,
      kept: this.kept,
      pluginOf: (settings) => this.pluginOf(settings),
      publish: (name, tasks) => this.#publish(name, tasks),
      fence: (name) => this.#fence(name),
      onTasksLost: (name, tasks) => this.removeLost(name, tasks),
    })
    this.#writes = new LeaderWrites({
      ...{ cluster: this.cluster, kept: this.kept, topic: config['config.storage.topic'] },
      transactionalId:
        config['exactly.once.source.support'] === 'disabled'
          ? null
          : leaderIdOf(config['group.id'] ?? ''),
    })
    this.#member = new WorkerMember(this.cluster, config, {
      url: `http://${worker.workerId}/`,
      configOffset: () => this.configs.nextOffset,
      configured: () => this.#configured,
      catchUp: () => this.#catchUp(),
      onChange: () => this.#wake(),
      revokeAll: () => this.#revokeAll(),
    })
  }

  override async start(): Promise<void> {
    await this.kept.open(
      (states) => openTopicStorage(this.cluster, this.#config, states),
      (key) => {
        if (!this.#isOpen) return
        this.#changed.push(key)
        this.#wake()
      },
    )
    this.#isOpen = true
    void this.#run()
  }

  override async stop(): Promise<void> {
    this.#isStopping = true
    this.#wake()
    await this.#runs.end()
    await this.#member.end('the worker is stopping').catch((error: unknown) => {
      const { log } = this.worker.environment
      log.warn('The group was not left in good order', { reason: String(error) })
    })
    await this.kept.close()
    this.cluster.close()
  }

  override measured(): readonly ConnectorMeasured[] {
    return this.#runs.measured()
  }

  override put(name: string, settings: Settings, options: PutOptions): Promise<boolean> {
    return this.#lead(async () => {
      const isNew = await this.checkPut(name, settings, options)
      const targets = options.target === null ? [] : [targetEntry(name, options.target)]
      await this.#writes.write([...targets, connectorEntry(name, settings)])
      return isNew
    })
  }

  override delete(name: string): Promise<void> {
    return this.#lead(async () => {
      this.require(name)
      await this.#writes.write([connectorEntry(name, null), targetEntry(name, null)])
    })
  }

  override async setTarget(name: string, target: TargetState): Promise<void> {
    this.require(name)
    if (this.configs.target(name) === target) return
    // Everybody may write that, but who stops takes the tasks away.
    if (target !== 'STOPPED') return this.kept.write([targetEntry(name, target)])
    await this.#lead(() => this.#writes.write([commitEntry(name, 0), targetEntry(name, target)]))
  }

  override async restart(name: string, request: RestartRequest): Promise<void> {
    this.require(name)
    if (request.includeTasks || request.onlyFailed)
      return this.#lead(() => this.#writes.write([restartEntry(name, request)]))
    await this.#settled()
    if (this.#runs.hasConnector(name)) return this.#runs.restart(name, request)
    throw this.#ownedElsewhere('connectors', name)
  }

  override async restartTask(name: string, task: number): Promise<void> {
    this.require(name)
    if (this.configs.tasks(name)[task] === undefined)
      throw new HttpError(404, `Task ${name}-${task} not found`)
    await this.#settled()
    const ofGroup = taskName(name, task)
    if (this.#member.assignment?.assigned.tasks.has(ofGroup) === true)
      return this.#runs.restartTask(name, task)
    throw this.#ownedElsewhere('tasks', ofGroup)
  }

  override async setLogLevelOfAll(level: string): Promise<void> {
    await this.kept.write([logLevelEntry(rootLogger, level)])
  }

  override whileStopped<T>(
    name: string,
    work: (plugin: ConnectorPlugin) => Promise<T>,
  ): Promise<T> {
    return this.#lead(async () => {
      await this.#catchUp()
      const plugin = this.requireStopped(name)
      await this.fenceTasks(name)
      return work(plugin)
    })
  }

  override async putTasks(name: string, { body, headers }: InternalRequest): Promise<void> {
    if (this.#member.isSessioned) checkSignature(body, headers, this.configs.sessionKey)
    const tasks = tasksOf(body)
    if (!this.#member.isLeader) throw new Elsewhere(this.#leaderUrl)
    this.require(name)
    await this.#writeTasks(name, tasks)
  }

  override async fence(name: string, { body, headers }: InternalRequest): Promise<void> {
    if (this.#member.isSessioned) checkSignature(body, headers, this.configs.sessionKey)
    if (!this.#member.isLeader) throw new Elsewhere(this.#leaderUrl)
    if (this.typeOf(this.require(name)) !== 'source')
      throw new HttpError(400, `Connector ${name} is not a source connector`)
    await this.#leading.run('leader', async () => {
      await this.#catchUp()
      await this.fenceTasks(name)
    })
  }

  protected override writeAsLeader(entries: readonly Entry[]): Promise<void> {
    return this.#writes.write(entries)
  }

  get #nowMs(): number {
    return this.worker.environment.clock.monotonic()
  }

  get #leaderUrl(): string | null {
    return this.#member.assignment?.leaderUrl || null
  }

  get #configured(): Work {
    const { names } = this.configs
    const tasks = names.flatMap((name) =>
      this.configs.tasks(name).map((_, task) => taskName(name, task)),
    )
    return { connectors: new Set(names), tasks: new Set(tasks) }
  }

  #ownedElsewhere(kind: 'connectors' | 'tasks', name: string): Elsewhere {
    return new Elsewhere(
      this.#member.isLeader ? this.#member.ownerUrl(kind, name) : this.#leaderUrl,
    )
  }

  /** By the leader, one after the other; others are told who that is. */
  async #lead<T>(work: () => Promise<T>): Promise<T> {
    await this.#settled()
    if (!this.#member.isLeader) throw new Elsewhere(this.#leaderUrl)
    return this.#leading.run('leader', work)
  }

  /** Rejects with HttpError 409 where a rebalance takes too long. */
  async #settled(): Promise<void> {
    const untilMs = this.#nowMs + settleMsMax
    while (!this.#isSettled || this.#member.mustJoin || this.#changed.length > 0) {
      if (this.#isStopping) throw new HttpError(503, 'The worker is stopping')
      if (this.#nowMs > untilMs)
        throw new HttpError(
          409,
          'Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)',
        )
      await pausedFor(this.worker.environment, 20)
    }
  }

  async #run(): Promise<void> {
    const { environment } = this.worker
    while (!this.#isStopping) {
      try {
        await this.#turn()
      } catch (error) {
        if (this.#isStopping) return
        environment.log.warn('The worker cannot take part in its group now', {
          reason: String(error),
        })
        await pausedFor(environment, failureMs)
      }
    }
  }

  async #turn(): Promise<void> {
    const member = this.#member
    member.lastPollMs = this.#nowMs
    if (this.#nowMs >= this.#rejoinAtMs) member.mustJoin = true
    if (member.mustJoin) {
      this.#isSettled = false
      await this.#join()
    }
    if (this.#nowMs - member.lastHeardMs > this.#config['session.timeout.ms']) {
      this.worker.environment.log.warn('The group was not heard of: its work is stopped here')
      await member.lose()
    }
    await this.#follow()
    if (member.isLeader) await this.#rotateKey()
    if (member.mustJoin || this.#changed.length > 0 || this.#isStopping) return
    const { timers } = this.worker.environment
    await new Promise<void>((resolve) => {
      const timer = timers.after(tickMs, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  async #join(): Promise<void> {
    const { log } = this.worker.environment
    const member = this.#member
    const revoked = await member.join()
    const assignment = member.assignment!
    this.#runs.generation = member.generationId
    if (!member.isLeader) this.#writes.release()
    const { delayMs, isFailed, configOffset } = assignment
    this.#rejoinAtMs = delayMs > 0 ? this.#nowMs + delayMs : Number.POSITIVE_INFINITY
    log.info('Joined the group', {
      generation: member.generationId,
      isLeader: member.isLeader,
      connectors: [...assignment.assigned.connectors].join(),
      tasks: [...assignment.assigned.tasks].join(),
      ...(delayMs > 0 ? { delayMs } : {}),
    })
    await this.#runs.stop(revoked)
    if (this.configs.nextOffset < configOffset) await this.#catchUp()
    member.mustJoin ||= isFailed || !isEmpty(revoked)
    if (isFailed) return
    this.#runs.start(assignment.assigned)
    if (member.isLeader) this.#forgetDeleted()
    this.#isSettled = !member.mustJoin
  }

  /** What has come in the config topic. */
  async #follow(): Promise<void> {
    const names = new Set(this.configs.names)
    for (const key of new Set(this.#changed.splice(0))) {
      const [, kind = '', name = ''] =
        /^(connector|commit|target-state|restart-connector|logger-cluster)-(.+)$/s.exec(key) ?? []
      if (kind === 'connector' && names.has(name) === this.#known.has(name))
        this.#runs.reconfigured(name)
      else if (kind === 'connector') this.#member.mustJoin = true
      else if (kind === 'commit') {
        this.#member.mustJoin = true
        await this.#runs.tasksChanged(name)
      } else if (kind === 'target-state' && names.has(name)) this.#runs.targetChanged(name)
      else if (kind === 'logger-cluster' && name === rootLogger)
        this.log.set(this.configs.logLevel(name) ?? '')
      else if (kind === 'restart-connector') {
        const request = this.configs.restart(name)
        if (request === undefined) continue
        this.#runs.restart(name, request).catch((err: unknown) => {
          const { log } = this.worker.environment
          if (!this.#isStopping) log.error(`Connector ${name} could not be restarted`, { err })
        })
      }
    }
    this.#known = names
  }

  /** Rejects with ConnectException where it takes longer than `worker.sync.timeout.ms`. */
  async #catchUp(): Promise<void> {
    const { environment } = this.worker
    const caughtUp = this.kept.catchUp('configs').then(() => true)
    const isDone = await Promise.race([
      caughtUp,
      pausedFor(environment, this.#config['worker.sync.timeout.ms']),
    ])
    if (isDone !== true) throw new ConnectException('Could not read the config topic to its end')
  }

  async #revokeAll(): Promise<void> {
    await this.#runs.stop(this.#member.assignment?.assigned ?? noWork)
  }

  async #rotateKey(): Promise<void> {
    if (!this.#member.isSessioned) return
    const { clock, random } = this.worker.environment
    const known = this.configs.sessionKey
    const ttlMs = this.#config['inter.worker.key.ttl.ms']
    if (known !== null && (ttlMs <= 0 || clock.now() < known.createdMs + ttlMs)) return
    const key = random.bytes(keyBytes)
    const entry = sessionKeyEntry({ key, algorithm: signatureAlgorithm, createdMs: clock.now() })
    await this.#writes.write([entry])
  }

  /** Statuses of connectors and tasks that are no more. */
  #forgetDeleted(): void {
    for (const name of this.statuses.names) {
      const isThere = this.configs.connector(name) !== undefined
      this.#runs.forgetTasks(name, isThere ? this.configs.tasks(name).length : 0)
      if (!isThere) this.forgetConnector(name)
    }
  }

  /** By the leader, whoever that is. */
  async #publish(name: string, tasks: readonly Settings[]): Promise<void> {
    // Not waited for: what is to be stopped meanwhile would wait for this.
    if (!this.#isSettled || this.#member.mustJoin)
      throw new ConnectException('A rebalance is under way')
    if (this.#member.isLeader) return this.#writeTasks(name, tasks)
    const body = JSON.stringify(tasks.map((settings) => Object.fromEntries(settings)))
    await this.#askLeader('POST', `${encodeURIComponent(name)}/tasks`, body)
  }

  /** By the leader, whoever that is; a rebalance is waited for. */
  async #fence(name: string): Promise<void> {
    const untilMs = this.#nowMs + settleMsMax
    for (;;) {
      try {
        if (!this.#member.isLeader)
          return await this.#askLeader('PUT', `${encodeURIComponent(name)}/fence`, '')
        return await this.#leading.run('leader', async () => {
          await this.#catchUp()
          await this.fenceTasks(name)
        })
      } catch (error) {
        if (this.#isStopping || this.#nowMs > untilMs) throw error
        await pausedFor(this.worker.environment, failureMs)
      }
    }
  }

  /** Rejects with ConnectException where there is none now, or it refuses. */
  async #askLeader(method: 'POST' | 'PUT', path: string, body: string): Promise<void> {
    const { http } = this.worker.environment
    const url = this.#leaderUrl
    const key = this.configs.sessionKey
    if (url === null || http === undefined || (key === null && this.#member.isSessioned))
      throw new ConnectException('The leader cannot be asked yet')
    const signature = key === null ? {} : signed(body, key)
    const headers = body === '' ? signature : { 'Content-Type': 'application/json', ...signature }
    const asked = { method, headers, ...(body === '' ? {} : { body }) }
    const { status, body: said } = await http(`${url}connectors/${path}`, asked)
    if (status >= 300) throw new ConnectException(`The leader answers ${status}: ${said}`)
  }

  async #writeTasks(name: string, tasks: readonly Settings[]): Promise<void> {
    if (tasks.length > 0 && this.configs.target(name) === 'STOPPED')
      throw new HttpError(
        400,
        `Cannot submit non-empty set of task configs for stopped connector ${name}`,
      )
    await this.#leading.run('leader', async () => {
      await this.#writes.write(taskEntries(name, tasks))
      await this.#writes.write([commitEntry(name, tasks.length)])
    })
  }
}

/** Throws HttpError 400. */
function tasksOf(body: Buffer): Settings[] {
  const malformed = (cause?: unknown) =>
    new HttpError(400, 'The body must be a list of the settings of tasks', { cause })
  try {
    const rows: unknown = JSON.parse(body.toString('utf8'))
    if (!Array.isArray(rows)) throw malformed()
    return rows.map((row: unknown) => {
      const settings = settingsOf(row)
      if (settings === null) throw malformed()
      return settings
    })
  } catch (error) {
    throw error instanceof SyntaxError ? malformed(error) : error
  }
}
