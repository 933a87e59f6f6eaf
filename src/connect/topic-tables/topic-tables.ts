/**
 * Topics that are tables (`table.enable`): each lands by itself, and one that fails is in nobody's way. Which there are
 * is told as a whole, again and again; one whose settings have changed, or that was deleted and made anew, is
 * stopped and begins again where its table says. Tables outlive their topics, and the setting.
 */
import { deleteGroups } from '../../client/admin/groups.ts'
import { Cluster } from '../../client/cluster.ts'
import { earliest, fetchCommitted, latest, listOffsets } from '../../client/offsets.ts'
import { nameOf } from '../../client/topic-partition.ts'
import type { TopicTable } from '../../config/table-configs.ts'
import { StoredSchemas } from '../../registry/stored-schemas.ts'
import type { TablesEnvironment } from '../delta/move-offsets.ts'
import { InOrder } from '../runtime/in-order.ts'
import type { Worker } from '../runtime/worker.ts'
import { admitted } from './admission.ts'
import { Maintenance } from './maintenance.ts'
import { groupOf, maintenanceOf, tableConverters } from './table-settings.ts'
import { type LandingStatus, TopicLanding } from './topic-landing.ts'

export interface TableStatus extends LandingStatus {
  readonly group: string
  /** Records of the topic that are not known to be in the table; null: it cannot be told now. */
  readonly lag: number | null
}

export class TopicTables {
  readonly #worker: Worker
  readonly #tables: TablesEnvironment
  readonly #cluster: Cluster
  readonly #schemas: StoredSchemas
  readonly #landings = new Map<string, TopicLanding>()
  readonly #inOrder = new InOrder()
  readonly #admissions = new InOrder()
  readonly #maintenance: Maintenance

  constructor(worker: Worker, tables: TablesEnvironment) {
    const { environment, bootstrap } = worker
    this.#schemas = new StoredSchemas({ environment, bootstrap, clientId: 'topic-tables' })
    this.#worker = { ...worker, converters: tableConverters(this.#schemas) }
    this.#tables = tables
    this.#cluster = new Cluster(worker.environment, {
      bootstrap: worker.bootstrap,
      clientId: 'topic-tables',
    })
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
        const lag = await this.#lagOf(table).catch(() => null)
        return { ...status, group: groupOf(table), lag }
      }),
    )
  }

  /** What was read is committed, as far as that does not take too long. */
  async stop(): Promise<void> {
    this.#maintenance.stop()
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

  async #lagOf(table: TopicTable): Promise<number> {
    const { topic } = table
    const partitions = Array.from({ length: table.partitionCount }, (_, partition) => ({
      topic,
      partition,
    }))
    const endsOf = (timestamp: number) => {
      const queries = partitions.map((one) => ({ ...one, timestamp }))
      return listOffsets(this.#cluster, queries, 'read_committed')
    }
    const [committed, ends, starts] = await Promise.all([
      fetchCommitted(this.#cluster, groupOf(table), null),
      endsOf(latest),
      endsOf(earliest),
    ])
    const reached = new Map(committed.map((one) => [nameOf(one), one.offset]))
    const first = new Map(starts.map((one) => [nameOf(one), one.offset]))
    return ends.reduce((sum, end) => {
      const from = Math.max(reached.get(nameOf(end)) ?? 0, first.get(nameOf(end)) ?? 0)
      return sum + Math.max(0, end.offset - from)
    }, 0)
  }
}

function isSame(left: TopicTable, right: TopicTable): boolean {
  const shown = (table: TopicTable) => JSON.stringify({ ...table, texts: [...table.texts].sort() })
  return shown(left) === shown(right)
}
