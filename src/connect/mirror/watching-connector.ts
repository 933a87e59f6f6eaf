/**
 * What the connectors for topics and for groups have in common: they look at the source again and again, and divide what
 * they find among their tasks. A cluster that cannot be reached may be so later; what will not pass fails the connector.
 */
import type { Cluster } from '../../client/cluster.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Settings } from '../config-def.ts'
import type { ConnectorContext, SourceConnector } from '../plugin.ts'
import { mayPass, openCluster, type Side } from './mirror-clusters.ts'
import { Schedule } from './schedule.ts'

export interface Watch {
  /** Before the first look. */
  readonly prepare: () => Promise<void>
  /** The names of what is there, in order. Before it has resolved once it may reject with what the user has to mend. */
  readonly look: () => Promise<readonly string[]>
  /** Null: once. */
  readonly everyMs: Milliseconds | null
  /** What is found, for the log. */
  readonly what: string
  /** In which a task is told its share, and the names with commas between them. */
  readonly setting: string
}

export interface WatchParts {
  readonly context: ConnectorContext
  readonly schedule: Schedule
  readonly open: (side: Side) => Cluster
}

/** Until something was found out, it is tried that often. */
const firstLooksMs = 5_000

export abstract class WatchingConnector implements SourceConnector {
  #settings: Settings = new Map()
  #watch: Watch | null = null
  #parts: WatchParts | null = null
  readonly #clusters: Cluster[] = []
  #found: readonly string[] = []

  /** How its clients are called. */
  protected abstract readonly role: string

  /** Null: there is nothing to do. Throws ConfigError. */
  protected abstract begin(settings: Settings, parts: WatchParts): Watch | null

  /** Resolves when it has looked, or could not for now. Rejects with ConfigError, KafkaError, ConnectException. */
  async start(settings: Settings, context: ConnectorContext): Promise<void> {
    this.#settings = settings
    const { environment, log } = context
    const timeoutMs = Number(settings.get('admin.timeout.ms') ?? 60_000)
    const open = (side: Side): Cluster => {
      const role = `${this.role}-${side}-admin`
      const cluster = openCluster({ environment, settings, timeoutMs, role }, side, 'admin')
      this.#clusters.push(cluster)
      return cluster
    }
    const schedule = new Schedule({ ...context, onFailure: (error) => context.raiseError(error) })
    this.#parts = { context, schedule, open }
    try {
      this.#watch = this.begin(settings, this.#parts)
      await this.#first()
    } catch (error) {
      if (!mayPass(error)) {
        this.stop()
        throw error
      }
      log.warn(`A mirror could not look for ${this.#watch?.what}`, { reason: String(error) })
      this.#lookAgain()
    }
    const { what, everyMs } = this.#watch ?? { what: '', everyMs: null }
    schedule.repeat(`look for ${what}`, everyMs, async () => {
      if (await this.#look()) context.requestTaskReconfiguration()
    })
  }

  taskConfigs(tasksMax: number): readonly Settings[] {
    const { setting = '' } = this.#watch ?? {}
    const count = Math.min(tasksMax, this.#found.length)
    return Array.from({ length: count }, (_, task) => {
      const mine = this.#found.filter((_name, index) => index % count === task)
      return new Map([...this.#settings, [setting, mine.join(',')], ['task.index', `${task}`]])
    })
  }

  stop(): void {
    this.#parts?.schedule.stop()
    for (const cluster of this.#clusters) cluster.close()
  }

  async #first(): Promise<void> {
    if (this.#watch === null) return
    await this.#watch.prepare()
    await this.#look()
  }

  /** Whether there is something else than before. */
  async #look(): Promise<boolean> {
    const { look, what } = this.#watch!
    const found = await look()
    if (found.join() === this.#found.join()) return false
    this.#found = found
    this.#parts?.context.log.info(`A mirror has ${found.length} ${what}`)
    return true
  }

  #lookAgain(): void {
    const { context, schedule } = this.#parts!
    context.environment.timers.after(firstLooksMs, async () => {
      if (await schedule.run(`look for ${this.#watch?.what}`, () => this.#first()))
        context.requestTaskReconfiguration()
      else if (!schedule.isStopped) this.#lookAgain()
    })
  }
}
