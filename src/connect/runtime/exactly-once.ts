/**
 * Writes the records of a source task and the offsets behind them in one transaction (KIP-618): for readers of committed
 * records each record is there once, whatever ends the task, and whenever. A task takes the transactional id of its
 * number over before it asks how far the source is, so that nobody who had it before writes anything any more.
 *
 *     records --> [ records | last offset of each part of the source ] --> commit --> task is told
 */

import { isAnswer } from '../../client/failures.ts'
import type { Delivery, ProducerRecord } from '../../client/partition-queue.ts'
import { Producer } from '../../client/producer.ts'
import { Transaction } from '../../client/transaction.ts'
import type { Milliseconds, Timer } from '../../environment/environment.ts'
import { sourceConfig } from '../connector-configs.ts'
import type { Processing } from '../errors/tolerance.ts'
import { ConnectException } from '../failures.ts'
import { writeJson } from '../json-text.ts'
import type { TransactionContext } from '../plugin.ts'
import type { SourceRecord } from '../records.ts'
import { toJson } from '../storage/offset-state.ts'
import { producerOptions, transactionTimeoutMs } from './client-settings.ts'
import {
  countFinished,
  type SourceOffset,
  type SourceWrites,
  tellWritten,
  type WriteParts,
} from './source-writes.ts'
import { named } from './task.ts'
import { note } from './task-measures.ts'

/** Whether the task may write, around its taking over. */
export interface TaskGuard {
  /** Shuts out tasks of former settings. Rejects where the settings have changed meanwhile. */
  before(): Promise<void>
  after(): Promise<void>
}

/** What Kafka's producers have. */
const transactionMsMax = 60_000
/** Records of one transaction, where an interval ends it: what is told of each is remembered until then. */
const recordsMax = 100_000

type Boundary = 'poll' | 'interval' | 'connector'
type Mark = 'commit' | 'abort'

export class ExactlyOnce implements SourceWrites {
  readonly transactionContext: TransactionContext | null
  readonly #parts: WriteParts
  readonly #guard: TaskGuard
  readonly #offsetsTopic: string
  readonly #boundary: Boundary
  readonly #intervalMs: Milliseconds
  readonly #transaction: Transaction
  readonly #producer: Producer
  #isRunning = false
  #isAborting = false
  /** Of the transaction, by the part of the source. */
  readonly #offsets = new Map<string, SourceOffset>()
  #records: { readonly record: SourceRecord; delivery: Delivery | null }[] = []
  /** What the task has asked for; null stands for the end of what it was polled for. */
  readonly #marks = new Map<SourceRecord | null, Mark>()
  /** By the clock: no record is taken meanwhile. */
  #committing: Promise<void> = Promise.resolve()
  #timer: Timer | null = null

  constructor(parts: WriteParts, transactionalId: string, guard: TaskGuard) {
    const { settings, worker } = parts.options
    const config = sourceConfig.parse(named(settings))
    this.#parts = parts
    this.#guard = guard
    this.#offsetsTopic = parts.offsets.topic
    this.#boundary = config['transaction.boundary'] as Boundary
    this.#intervalMs = Number(
      config['transaction.boundary.interval.ms'] ?? worker.config['offset.flush.interval.ms'],
    )
    // In Kafka an interval of a minute, which is the default, is as long as its transactions may take.
    const isTimed = this.#boundary === 'interval'
    const timeoutMs =
      transactionTimeoutMs(settings, worker.settings) ??
      transactionMsMax + (isTimed ? this.#intervalMs : 0)
    this.#transaction = new Transaction(parts.cluster, { transactionalId, timeoutMs })
    this.#producer = new Producer(parts.cluster, {
      ...producerOptions(settings, worker.settings),
      ...{ acks: -1, idempotence: true, transaction: this.#transaction },
    })
    this.transactionContext = this.#boundary === 'connector' ? this.#context() : null
  }

  async open(): Promise<void> {
    await this.#guard.before()
    await this.#transaction.open()
    await this.#guard.after()
  }

  begin(): void {
    if (this.#boundary !== 'interval') return
    const { timers } = this.#parts.options.worker.environment
    this.#timer = timers.after(this.#intervalMs, () => {
      this.#committing = this.#commit()
        .catch((error: unknown) => this.#parts.onFailure(error as Error))
        .finally(() => {
          if (this.#timer !== null && !this.#parts.loop.isStopping) this.begin()
        })
    })
  }

  async write(
    { original: record }: Processing<SourceRecord>,
    bytes: ProducerRecord | null,
  ): Promise<void> {
    await this.#committing
    if (bytes?.topic === this.#offsetsTopic)
      throw new ConnectException(
        'Source tasks may not produce to their own offsets topics when exactly-once support is enabled',
      )
    if (bytes !== null) this.#add(record, bytes)
    const { sourcePartition: partition, sourceOffset: offset } = record
    this.#offsets.set(writeJson(toJson(partition)), { partition, offset })
    if (bytes === null) {
      this.#records.push({ record, delivery: null })
      countFinished(this.#parts, false)
    }
    if (this.#producer.isFull) await this.#producer.room()
    const isMuch = this.#boundary === 'interval' && this.#records.length >= recordsMax
    if (isMuch) await this.#commit()
    else await this.#endAsAsked(record)
  }

  async polled(): Promise<void> {
    if (this.#boundary === 'poll') await this.#commit()
    else await this.#endAsAsked(null)
    this.#marks.clear()
  }

  async paused(): Promise<void> {
    await this.#committing
    if (this.#boundary !== 'connector') await this.#commit()
    else await this.#endAsAsked(null)
  }

  async finish(hasFailed: boolean): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    try {
      if (!hasFailed) await this.paused()
    } finally {
      // Who reads what is committed would wait for it until its time is over.
      if (this.#isRunning && this.#transaction.mayAbort) await this.#abort()
      await this.#producer.close()
    }
  }

  #add(record: SourceRecord, bytes: ProducerRecord): void {
    this.#run()
    const row: { record: SourceRecord; delivery: Delivery | null } = { record, delivery: null }
    this.#records.push(row)
    this.#producer.add(bytes, (error, delivery) => {
      if (error !== null) {
        countFinished(this.#parts, false)
        if (!this.#isAborting) this.#parts.onFailure(this.#failed(error))
        return
      }
      row.delivery = delivery
      countFinished(this.#parts, true)
      this.#parts.onTopic(bytes.topic)
    })
  }

  #run(): void {
    if (this.#isRunning) return
    this.#transaction.begin()
    this.#isRunning = true
  }

  async #endAsAsked(at: SourceRecord | null): Promise<void> {
    const mark = this.#marks.get(at)
    if (mark === undefined) return
    this.#marks.delete(at)
    if (mark === 'abort' && this.#isRunning) await this.#abort()
    // What was aborted is over, too: the task does not want it again.
    await this.#commit()
  }

  /** What was not sent yet fails, which nobody has to hear of. */
  async #abort(): Promise<void> {
    this.#isAborting = true
    await this.#producer.abort().finally(() => {
      this.#isAborting = false
    })
    this.#isRunning = false
    this.#records = []
  }

  /** Rejects with ConnectException; then all of it is left out. */
  async #commit(): Promise<void> {
    if (this.#offsets.size === 0 && !this.#isRunning) return
    const { offsets, task, options, measures } = this.#parts
    const { clock } = options.worker.environment
    const startedMs = clock.monotonic()
    try {
      this.#run()
      for (const offset of this.#offsets.values()) {
        const { key, value } = offsets.entry(offset)
        this.#producer.add({
          topic: this.#offsetsTopic,
          key: Buffer.from(key),
          value: value === null ? null : Buffer.from(value),
        })
      }
      await this.#producer.commit()
    } catch (error) {
      measures.commitsFailed++
      throw this.#failed(error as Error)
    }
    note(measures.commits, clock.monotonic() - startedMs)
    this.#isRunning = false
    await offsets.also([...this.#offsets.values()])
    this.#offsets.clear()
    for (const { record, delivery } of this.#records.splice(0))
      await tellWritten(this.#parts, record, delivery)
    try {
      await task.commit?.()
    } catch (error) {
      options.worker.environment.log.error('A source task failed to commit', { err: error })
    }
  }

  #failed(error: Error): ConnectException {
    // A commit of one whose transaction was ended by another may look like one that comes twice.
    const isShutOut = isAnswer(
      error,
      'INVALID_PRODUCER_EPOCH',
      'PRODUCER_FENCED',
      'INVALID_TXN_STATE',
    )
    const { connector, task } = this.#parts.options.id
    const message = isShutOut
      ? `Task ${connector}-${task} was shut out, or its transaction took longer than producer.override.transaction.timeout.ms: end it more often (transaction.boundary), or allow it more time`
      : `Records and offsets of task ${connector}-${task} could not be committed: ${error.message}`
    return new ConnectException(message, { cause: error })
  }

  #context(): TransactionContext {
    const mark = (how: Mark) => (record?: SourceRecord) => {
      this.#marks.set(record ?? null, how)
    }
    return { commitTransaction: mark('commit'), abortTransaction: mark('abort') }
  }
}
