/**
 * How far a table is behind its topic, and what that may cost: retention deletes records by their age, whether they have
 * come to the table or not. So it is known, and said in the log, how old the oldest is that waits, when retention may
 * take it, and what it has taken already.
 */
import { describeConfigs } from '../../client/admin/configs.ts'
import type { Cluster } from '../../client/cluster.ts'
import { Consumer } from '../../client/consumer.ts'
import { earliest, fetchCommitted, latest, listOffsets } from '../../client/offsets.ts'
import { nameOf } from '../../client/topic-partition.ts'
import type { TopicTable } from '../../config/table-configs.ts'
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import { timestampText } from '../../tables/columns/json-text.ts'
import type { PartitionOffset } from '../plugin.ts'
import { limitedTo } from '../runtime/pause.ts'
import { keptIn } from '../storage/kept-in.ts'
import { groupOf } from './table-settings.ts'

export interface Backlog {
  /** Records of the topic that are not known to be in the table; null: it cannot be told now. */
  readonly lag: number | null
  /** Of offsets that the topic has no more, though the table has not got to them. */
  readonly lost: number
  /** When the oldest record that waits was written; null: none waits for long. */
  readonly oldestMs: Milliseconds | null
  /** When retention may delete it; null: never, or none waits for long. */
  readonly dueMs: Milliseconds | null
}

const unknown: Backlog = { lag: null, lost: 0, oldestMs: null, dueMs: null }
/** Whoever asks for metrics waits no longer: without a coordinator there is no answer for as long as there is none. */
const askMsMax = 3_000
/** A table that is written waits for its next commit. */
const waitMsMin = 60_000
/** What was found of the oldest record holds so long. */
const knownMs = 60_000
const pollsMax = 5
const pollMs = 1_000
const partitionBytes = 64 * 1024

interface Known extends Pick<Backlog, 'oldestMs' | 'dueMs'> {
  readonly atMs: Milliseconds
}

/** What is known of the landing. */
export interface Landed {
  readonly state: string
  readonly committedMs: Milliseconds | null
}

export class Backlogs {
  readonly #environment: Pick<Environment, 'clock' | 'timers'>
  readonly #cluster: Cluster
  readonly #known = new Map<string, Known>()

  constructor(environment: Pick<Environment, 'clock' | 'timers'>, cluster: Cluster) {
    this.#environment = environment
    this.#cluster = cluster
  }

  /** Never rejects. */
  async of(table: TopicTable, { state, committedMs }: Landed): Promise<Backlog> {
    try {
      const asked = this.#offsetsOf(table)
      const late = 'the offsets of the group cannot be told'
      const { lag, lost, waiting } = await limitedTo(this.#environment, askMsMax, asked, late)
      const now = this.#environment.clock.now()
      const isLate = state === 'FAILED' || now - (committedMs ?? now) > waitMsMin
      if (waiting.length > 0 && isLate)
        return { lag, lost, ...(await this.#oldest(table, waiting)) }
      this.#known.delete(table.topic)
      return { lag, lost, oldestMs: null, dueMs: null }
    } catch {
      // The cluster cannot be asked, or the topic is gone.
      return unknown
    }
  }

  async #offsetsOf(table: TopicTable) {
    const { topic } = table
    const partitions = Array.from({ length: table.partitionCount }, (_, partition) => ({
      topic,
      partition,
    }))
    const boundsOf = async (timestamp: number) => {
      const queries = partitions.map((one) => ({ ...one, timestamp }))
      const found = await listOffsets(this.#cluster, queries, 'read_committed')
      return new Map(found.map((one) => [nameOf(one), one.offset]))
    }
    const [committed, ends, starts] = await Promise.all([
      fetchCommitted(this.#cluster, groupOf(table), null),
      boundsOf(latest),
      boundsOf(earliest),
    ])
    const reached = new Map(committed.map((one) => [nameOf(one), one.offset]))
    let [lag, lost] = [0, 0]
    const waiting: PartitionOffset[] = []
    for (const partition of partitions) {
      const name = nameOf(partition)
      const [start, end] = [starts.get(name) ?? 0, ends.get(name) ?? 0]
      const offset = Math.max(reached.get(name) ?? 0, start)
      lost += Math.max(0, start - (reached.get(name) ?? start))
      lag += Math.max(0, end - offset)
      if (end > offset) waiting.push({ ...partition, offset })
    }
    return { lag, lost, waiting }
  }

  async #oldest(table: TopicTable, waiting: readonly PartitionOffset[]) {
    const now = this.#environment.clock.now()
    const known = this.#known.get(table.topic)
    if (known !== undefined && now - known.atMs < knownMs) return known
    const oldestMs = await this.#timestampOf(waiting)
    const retentionMs = await this.#retentionOf(table.topic)
    const dueMs = oldestMs === null || retentionMs === null ? null : oldestMs + retentionMs
    const found = { oldestMs, dueMs, atMs: now }
    this.#known.set(table.topic, found)
    return found
  }

  /** Of the first records that wait, the least. */
  async #timestampOf(waiting: readonly PartitionOffset[]): Promise<Milliseconds | null> {
    const consumer = new Consumer(this.#cluster, {
      isolation: 'read_committed',
      partitionMaxBytes: partitionBytes,
    })
    try {
      consumer.assign([...waiting])
      const first = new Map<string, Milliseconds>()
      for (let polls = 0; polls < pollsMax && first.size < waiting.length; polls++) {
        for (const { topic, partition, records } of await consumer.poll({ timeoutMs: pollMs })) {
          const [record] = records
          if (record === undefined) continue
          keptIn(first, nameOf({ topic, partition }), () => record.timestamp)
          consumer.pause({ topic, partition })
        }
      }
      const times = [...first.values()].filter((timestamp) => timestamp >= 0)
      return times.length === 0 ? null : Math.min(...times)
    } finally {
      await consumer.close()
    }
  }

  /** Null: it deletes nothing by its age. */
  async #retentionOf(topic: string): Promise<Milliseconds | null> {
    const [described] = await describeConfigs(this.#cluster, [{ type: 'topic', name: topic }])
    const value = (name: string) => described?.entries.find((entry) => entry.name === name)?.value
    const retentionMs = Number(value('retention.ms') ?? -1)
    const deletes = (value('cleanup.policy') ?? '').split(',').includes('delete')
    return deletes && retentionMs >= 0 ? retentionMs : null
  }
}

const nearMs = 600_000
const farMs = 3_600_000

interface Told {
  atMs: Milliseconds
  lost: number
}

/** Says it in the log: what waits once an hour, and what is soon deleted more often; what was deleted at once. */
export class BacklogLog {
  readonly #environment: Pick<Environment, 'clock' | 'log'>
  readonly #told = new Map<string, Told>()

  constructor(environment: Pick<Environment, 'clock' | 'log'>) {
    this.#environment = environment
  }

  tell(tables: readonly (Backlog & { readonly topic: string })[]): void {
    const { log } = this.#environment
    const topics = new Set(tables.map(({ topic }) => topic))
    for (const topic of this.#told.keys()) if (!topics.has(topic)) this.#told.delete(topic)
    for (const { topic, lost, ...waits } of tables) {
      const told = keptIn(this.#told, topic, () => ({ atMs: Number.NEGATIVE_INFINITY, lost: 0 }))
      if (lost > told.lost)
        log.error(`${lost} offsets of ${topic} were deleted before they were in its table`)
      told.lost = lost
      this.#tellWaiting(topic, waits, told)
    }
  }

  #tellWaiting(topic: string, { lag, oldestMs, dueMs }: Omit<Backlog, 'lost'>, told: Told): void {
    if (oldestMs === null) return
    const { clock, log } = this.#environment
    const now = clock.now()
    const isNear = isDueSoon({ oldestMs, dueMs }, now)
    if (now - told.atMs < (isNear ? nearMs : farMs)) return
    told.atMs = now
    const fields = { records: lag, oldest: timeOf(oldestMs) }
    const behind = `The table of ${topic} is behind`
    const message =
      dueMs === null
        ? behind
        : `${behind}, and from ${timeOf(dueMs)} on retention may delete records that are not in it`
    if (isNear) log.error(message, fields)
    else log.warn(message, fields)
  }
}

function timeOf(epochMs: Milliseconds): string {
  return `${timestampText(BigInt(Math.round(epochMs)), 'millis')}Z`
}

/** Three quarters of the time that retention leaves are over. */
function isDueSoon(
  { oldestMs, dueMs }: Pick<Backlog, 'oldestMs' | 'dueMs'>,
  now: Milliseconds,
): boolean {
  if (dueMs === null || oldestMs === null) return false
  return dueMs - now < (dueMs - oldestMs) / 4
}
