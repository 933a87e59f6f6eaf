/**
 * Topics that are tables (`table.enable`): each lands by itself, and one that fails is in nobody's way. Which there are
 * is told as a whole, again and again; one whose settings have changed, or that was deleted and made anew, is
 * stopped and begins again where its table says. Tables outlive their topics, and the setting.
 */
import { deleteGroups } from '../../client/admin/groups.ts'
import { Cluster } from '../../client/cluster.ts'
import type { TopicTable } from '../../config/table-configs.ts'
import type { Timer } from '../../environment/environment.ts'
import { StoredSchemas } from '../../registry/stored-schemas.ts'
import type { TablesEnvironment } from '../delta/move-offsets.ts'
import { InOrder } from '../runtime/in-order.ts'
import type { Worker } from '../runtime/worker.ts'
import { admitted } from './admission.ts'
import { type Backlog, BacklogLog, Backlogs } from './backlog.ts'
import { Maintenance } from './maintenance.ts'
import { groupOf, maintenanceOf, tableConverters } from './table-settings.ts'
import { type LandingStatus, TopicLanding } from './topic-landing.ts'

export interface TableStatus extends LandingStatus, Backlog {
  readonly group: string
}

/** What waits for long is told in the log. */
const backlogMs = 60_000

export class TopicTables {
  readonly #worker: Worker
  readonly #tables: TablesEnvironment
  readonly #cluster: Cluster
  readonly #schemas: StoredSchemas
  readonly #landings = new Map<string, TopicLanding>()
  readonly #inOrder = new InOrder()
  readonly #admissions = new InOrder()
  readonly #maintenance: Maintenance
  readonly #backlogs: Backlogs
  readonly #backlogLog: BacklogLog
  #timer: Timer | null = null

  constructor(worker: Worker, tables: TablesEnvironment) {
    const { environment, bootstrap } = worker
    this.#schemas = new StoredSchemas({ environment, bootstrap, clientId: 'topic-tables' })
    this.#worker = { ...worker, converters: tableConverters(this.#schemas) }
    this.#tables = tables
    this.#cluster = new Cluster(worker.environment, {
      bootstrap: worker.bootstrap,
      clientId: 'topic-tables',
    })
    this.#backlogs = new Backlogs(environment, this.#cluster)
    this.#backlogLog = new BacklogLog(environment)
    this.#watchBacklogs()
    this.#maintenance = new Maintenance(worker.environment, tables, () =>
      [...this.#landings.values()].map(({ status: { location, version }, table }) => {
        return { location, version, ...maintenanceOf(table) }
      }),
    )
  }

  /** From now on these topics are tables, and no others. */
  set(wanted: readonly TopicTable[]): void {
    if (this.#inOrder.isEnded) return
    void this.#admissions.run('', async () => {
      const tables = await admitted(wanted, {
        tables: this.#tables,
        isRunning: (table) => this.#isRunning(table),
      })
      if (!this.#inOrder.isEnded) this.#apply(tables)
    })
  }

  #watchBacklogs(): void {
    if (this.#inOrder.isEnded) return
    this.#timer = this.#worker.environment.timers.after(backlogMs, () => {
      void this.statuses().then((statuses) => {
        this.#backlogLog.tell(statuses)
        this.#watchBacklogs()
      })
    })
  }

  #isRunning({ topic, topicId, location }: TopicTable): boolean {
    const table = this.#landings.get(topic)?.table
    return table?.topicId === topicId && table.location === location && table.refusal === null
  }

  #apply(tables: readonly TopicTable[]): void {
    const topics = new Set(tables.map(({ topic }) => topic))
    for (const [topic, landing] of this.#landings) {
      if (topics.has(topic)) continue
      this.#landings.delete(topic)
      void this.#inOrder.run(topic, async () => {
        await landing.stop()
        await this.#forgetGroup(landing.table)
      })
    }
    for (const table of tables) {
      const before = this.#landings.get(table.topic)
      if (before !== undefined && isSame(before.table, table)) continue
      const worker = this.#worker
      const landing = new TopicLanding({
        ...{ worker, table, cluster: this.#cluster, tables: this.#tables },
        schemas: this.#schemas,
        isMoved: before !== undefined && before.table.location !== table.location,
      })
      this.#landings.set(table.topic, landing)
      void this.#inOrder.run(table.topic, async () => {
        await before?.stop()
        if (!this.#inOrder.isEnded) await landing.start()
      })
    }
  }

  /** In the order in which they began. */
  statuses(): Promise<TableStatus[]> {
    return Promise.all(
      [...this.#landings.values()].map(async ({ status, table }) => {
        const { lag, lost, oldestMs, dueMs } = await this.#backlogs.of(table, status)
        const all = status.lost + lost
        return { ...status, group: groupOf(table), lag, lost: all, oldestMs, dueMs }
      }),
    )
  }

  /** What was read is committed, as far as that does not take too long. */
  async stop(): Promise<void> {
    this.#maintenance.stop()
    this.#timer?.cancel()
    void this.#inOrder.end()
    await Promise.all([...this.#landings.values()].map((landing) => landing.stop()))
    await this.#schemas.close()
    this.#cluster.close()
  }

  /** How far a table is it knows itself: a group that nobody is in would only look like one that has stopped. */
  async #forgetGroup(table: TopicTable): Promise<void> {
    if (this.#inOrder.isEnded) return
    const group = groupOf(table)
    try {
      const [outcome] = await deleteGroups(this.#cluster, [group])
      if (outcome?.error) throw outcome.error
    } catch (error) {
      const { log } = this.#worker.environment
      log.debug(`The group ${group} is left over`, { reason: String(error) })
    }
  }
}

function isSame(left: TopicTable, right: TopicTable): boolean {
  const shown = (table: TopicTable) => JSON.stringify({ ...table, texts: [...table.texts].sort() })
  return shown(left) === shown(right)
}
