/**
 * One topic landing in its table: a Delta sink's task, started again where it fails, later each time, since what ails
 * it (a full disk, a record that fits no row) goes away by itself or by a change of settings, of which nobody tells it.
 */

import type { Cluster } from '../../client/cluster.ts'
import { earliest, fetchCommitted, listOffsets } from '../../client/offsets.ts'
import { nameOf } from '../../client/topic-partition.ts'
import type { TopicTable } from '../../config/table-configs.ts'
import type { Milliseconds, Timer } from '../../environment/environment.ts'
import { topicAdvice } from '../delta/advice.ts'
import { deltaSink } from '../delta/delta-sink.ts'
import type { LandingWatch } from '../delta/delta-sink-task.ts'
import type { LandingTable } from '../delta/landing-table.ts'
import type { TablesEnvironment } from '../delta/move-offsets.ts'
import { ConnectException, DataException } from '../failures.ts'
import type { SchemaSource } from '../registry/registry-converter.ts'
import { sinkClientId } from '../runtime/client-settings.ts'
import { removeOrphans } from '../runtime/orphans.ts'
import { pausedFor } from '../runtime/pause.ts'
import { SinkTaskLoop } from '../runtime/sink-task-loop.ts'
import type { RunningTask } from '../runtime/task.ts'
import type { Worker } from '../runtime/worker.ts'
import { LeftOut } from './left-out.ts'
import {
  deadLettersOf,
  firstColumns,
  groupOf,
  sinkSettings,
  toleratesErrors,
  topicsOf,
} from './table-settings.ts'

const landsOthers =
  'The table goes on without such records where the topic has table.dead.letter.topic or table.errors.tolerance=all'
const restartMsMin = 1_000
const restartMsMax = 60_000

/** STARTING: it has not committed yet, or not found that there is nothing to commit. */
export type LandingState = 'STARTING' | 'RUNNING' | 'FAILED'

export interface LandingStatus {
  readonly topic: string
  readonly topicId: string
  readonly location: string
  readonly state: LandingState
  /** Why it failed last; null: it has not, or has committed since. */
  readonly error: string | null
  /** The table's version as of the last commit; null: none was seen. */
  readonly version: number | null
  /** When the last commit was found done, since the epoch. */
  readonly committedMs: Milliseconds | null
  /** Records that have no row, and are left out as the settings say, since the node or the settings began. */
  readonly leftOut: number
  /** Why the last of them has none; null: there was none. */
  readonly leftOutReason: string | null
  /** Offsets that were passed over since the topic had them no more, as far as that was seen. */
  readonly lost: number
}

export interface LandingOptions {
  readonly worker: Worker
  /** For what is asked beside the reading of records. */
  readonly cluster: Cluster
  readonly tables: TablesEnvironment
  readonly schemas: SchemaSource
  readonly table: TopicTable
  /** Its table was elsewhere until now. */
  readonly isMoved: boolean
}

export class TopicLanding {
  readonly table: TopicTable
  readonly #options: LandingOptions
  readonly #task: { readonly connector: string; readonly task: number }
  #running: RunningTask | null = null
  #retry: Timer | null = null
  #restartMs = restartMsMin
  #isStopping = false
  #state: LandingState = 'STARTING'
  #error: string | null = null
  #version: number | null = null
  #committedMs: Milliseconds | null = null
  readonly #leftOut: LeftOut
  #lost = 0
  /** Since the task began, when retention may have come before it. */
  #hasCommitted = false

  constructor(options: LandingOptions) {
    this.#options = options
    this.table = options.table
    this.#leftOut = new LeftOut(options.worker.environment, deadLettersOf(options.table))
    this.#task = { connector: groupOf(options.table), task: 0 }
  }

  get status(): LandingStatus {
    const { topic, topicId, location } = this.table
    const [state, error] = [this.#state, this.#error]
    const [version, committedMs] = [this.#version, this.#committedMs]
    const { count: leftOut, last: leftOutReason } = this.#leftOut
    const progress = { version, committedMs, leftOut, leftOutReason, lost: this.#lost }
    return { topic, topicId, location, state, error, ...progress }
  }

  /** Members of its group that a crash has left are removed first. Never rejects. */
  async start(): Promise<void> {
    const { refusal } = this.table
    if (refusal !== null) {
      this.#state = 'FAILED'
      this.#error = refusal
      return
    }
    const { cluster } = this.#options
    const ours = sinkClientId(this.#task.connector)
    await removeOrphans(cluster, groupOf(this.table), (clientId) => clientId.startsWith(ours))
    await this.#run()
  }

  /** Resolves when what was read is committed, or it was given up. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#retry?.cancel()
    const task = this.#running
    if (task === null) return
    task.stop()
    const { environment, config } = this.#options.worker
    const limitMs = config['task.shutdown.graceful.timeout.ms']
    const isEnded = await Promise.race([
      task.ended.then(() => true),
      pausedFor(environment, limitMs),
    ])
    if (isEnded === true) return
    environment.log.error(`The table of ${this.table.topic} did not stop in time`)
    task.cancel()
  }

  async #run(): Promise<void> {
    const { worker, tables, schemas } = this.#options
    try {
      this.#hasCommitted = false
      const settings = sinkSettings(this.table, await firstColumns(this.table, schemas))
      if (this.#isStopping) return
      this.#running = new SinkTaskLoop(deltaSink(tables, this.#watch), {
        id: this.#task,
        worker,
        settings,
        isPaused: false,
        onState: (state, error) => {
          if (state === 'FAILED') this.#failed(error)
        },
        onTopic: () => undefined,
        onRefused: (record, error) => {
          if (toleratesErrors(this.table)) this.#leftOut.add(record, error)
        },
      })
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    if (this.#isStopping) return
    const { log, timers } = this.#options.worker.environment
    this.#state = 'FAILED'
    this.#error = reasonOf(error)
    const againMs = this.#restartMs
    this.#restartMs = Math.min(againMs * 2, restartMsMax)
    const { topic } = this.table
    log.error(`The table of ${topic} cannot be written, it is tried again in ${againMs} ms`, {
      reason: this.#error,
    })
    this.#retry = timers.after(againMs, () => void this.#run())
  }

  /** A topic that was made anew goes on in its table; rows of another that is still there are not touched. */
  async #refuseOthers({ location, appIds }: LandingTable): Promise<void> {
    const topics = topicsOf(appIds)
    if (topics.has(this.table.topic)) return
    if (topics.size === 0) return
    const other = (await this.#options.cluster.allTopics()).find(({ name }) => topics.has(name))
    if (other === undefined) return
    throw new ConnectException(`${location} is the table of ${other.name}`)
  }

  /** Nobody has to delete a table for the topic to begin anew, and whoever lost one by mistake has to hear of it. */
  async #noteGone({ location, version }: LandingTable): Promise<void> {
    const isElsewhere = this.#options.isMoved && this.#version === null
    if (version !== null || isElsewhere) return
    const { cluster, worker } = this.#options
    const committed = await fetchCommitted(cluster, groupOf(this.table), null)
    const landed = committed.reduce((sum, { offset }) => sum + offset, 0)
    if (landed === 0) return
    const { topic } = this.table
    worker.environment.log.warn(
      `There is no table of ${topic} any more: a new one is begun with what the topic still has`,
      { location, offsetsThatHadLanded: landed },
    )
  }

  /** Where reading began behind what the table has, the topic may have lost what lies between. */
  async #noteLost({ reached }: LandingTable): Promise<void> {
    const behind = reached.filter(
      ({ committed, first }) => committed !== null && first !== null && first > committed,
    )
    if (behind.length === 0) return
    const queries = behind.map((one) => ({ ...one, timestamp: earliest }))
    const starts = await listOffsets(this.#options.cluster, queries)
    const startOf = new Map(starts.map((one) => [nameOf(one), one.offset]))
    const lost = behind.reduce(
      (sum, one) => sum + Math.max(0, (startOf.get(nameOf(one)) ?? 0) - one.committed!),
      0,
    )
    if (lost === 0) return
    this.#lost += lost
    const { log } = this.#options.worker.environment
    log.error(`${lost} offsets of ${this.table.topic} are in no row: the topic lost them before`)
  }

  readonly #watch: LandingWatch = {
    advice: topicAdvice,
    /**
     * Records were read by the topic's name. Ids of topics never come back: where it is this topic now, all that was
     * read before is of this one too.
     */
    onOpened: async (table) => {
      await this.#refuseOthers(table)
      await this.#noteGone(table)
    },
    beforeCommit: async (table) => {
      const { topic: name, topicId } = this.table
      const found = await this.#options.cluster.topic(name, { fresh: true })
      if (found.topicId === topicId) {
        await this.#refuseOthers(table)
        if (!this.#hasCommitted) await this.#noteLost(table)
        this.#hasCommitted = true
        return
      }
      throw new ConnectException(`The topic ${name} was deleted, and there is another of its name`)
    },
    onCommitted: ({ version }) => {
      this.#state = 'RUNNING'
      this.#error = null
      // One that fails at the same record again finds before it that all else is there.
      if (version !== this.#version) this.#restartMs = restartMsMin
      this.#version = version
      this.#committedMs = this.#options.worker.environment.clock.now()
    },
  }
}

/** What went wrong, without what says only that something has, and what lands the others where it is a record's fault. */
function reasonOf(error: unknown): string {
  let reason = ''
  let isOfRecord = false
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    isOfRecord ||= at instanceof DataException
    if (/^(Exiting WorkerSinkTask|Tolerance exceeded)/.test(at.message)) continue
    if (!reason.includes(at.message)) reason += `${reason === '' ? '' : ': '}${at.message}`
  }
  if (reason === '') return String(error)
  return isOfRecord ? `${reason}. ${landsOthers}` : reason
}
