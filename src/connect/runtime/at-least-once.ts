/**
 * Writes the records of a source task, and keeps the offsets of what was acknowledged, again and again. After a crash the
 * records since the last offset come again.
 */
import type { ProducerRecord } from '../../client/partition-queue.ts'
import { Producer } from '../../client/producer.ts'
import type { Timer } from '../../environment/environment.ts'
import type { Processing } from '../errors/tolerance.ts'
import { ConnectException } from '../failures.ts'
import type { SourceRecord } from '../records.ts'
import { producerOptions } from './client-settings.ts'
import { limitedTo } from './pause.ts'
import {
  countFinished,
  type SourceOffset,
  type SourceWrites,
  tellWritten,
  type WriteParts,
} from './source-writes.ts'
import { type Submitted, SubmittedRecords } from './submitted-records.ts'
import { note } from './task-measures.ts'

export class AtLeastOnce implements SourceWrites {
  readonly transactionContext = null
  readonly #parts: WriteParts
  readonly #producer: Producer
  readonly #submitted = new SubmittedRecords()
  /** Offsets that could not be kept, for the next time. */
  #unkept: SourceOffset[] = []
  #committing: Promise<void> = Promise.resolve()
  #timer: Timer | null = null

  constructor(parts: WriteParts) {
    const { settings, worker } = parts.options
    this.#parts = parts
    this.#producer = new Producer(parts.cluster, producerOptions(settings, worker.settings))
  }

  async open(): Promise<void> {}

  begin(): void {
    const { environment, config } = this.#parts.options.worker
    this.#timer = environment.timers.after(config['offset.flush.interval.ms'], () => {
      this.#committing = this.#commit().finally(() => {
        if (this.#timer !== null && !this.#parts.loop.isStopping) this.begin()
      })
    })
  }

  async write(processing: Processing<SourceRecord>, bytes: ProducerRecord | null): Promise<void> {
    const record = processing.original
    const submitted = this.#submitted.add(record)
    if (bytes === null) {
      submitted.isAcknowledged = true
      countFinished(this.#parts, false)
      await this.#parts.task.commitRecord?.(record, null)
      return
    }
    this.#producer.add(bytes, (error, delivery) => {
      if (error !== null) return this.#failed(processing, submitted, error)
      submitted.isAcknowledged = true
      countFinished(this.#parts, true)
      this.#parts.onTopic(bytes.topic)
      void tellWritten(this.#parts, record, delivery)
    })
    if (this.#producer.isFull) await this.#producer.room()
  }

  async polled(): Promise<void> {}

  async paused(): Promise<void> {}

  async finish(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    await this.#producer.flush()
    await this.#committing
    await this.#commit()
    await this.#producer.close()
  }

  #failed(processing: Processing<SourceRecord>, submitted: Submitted, error: Error): void {
    const { tolerance, onFailure, options } = this.#parts
    if (!tolerance.toleratesAll) {
      const message = `Unrecoverable exception from producer send callback: ${error.message}`
      onFailure(new ConnectException(message, { cause: error }))
      return
    }
    const { log } = options.worker.environment
    log.debug('Ignoring a record that could not be written', { reason: String(error) })
    void tolerance.executeFailed(processing, 'KAFKA_PRODUCE', 'millrace.Producer', error)
    submitted.isAcknowledged = true
    countFinished(this.#parts, false)
    void tellWritten(this.#parts, processing.original, null)
  }

  /** Never rejects: the next one makes up for it. */
  async #commit(): Promise<void> {
    const { offsets, task, options, loop, measures } = this.#parts
    const { environment, config } = options.worker
    const { clock } = environment
    const startedMs = clock.monotonic()
    const committable = [...this.#unkept, ...this.#submitted.takeCommittable()]
    try {
      if (committable.length > 0 && !loop.isCancelled) {
        const limitMs = config['offset.flush.timeout.ms']
        const message = `Timed out after ${limitMs} ms (offset.flush.timeout.ms)`
        await limitedTo(environment, limitMs, offsets.put(committable), message)
      }
      this.#unkept = []
      await task.commit?.()
      if (committable.length > 0) note(measures.commits, clock.monotonic() - startedMs)
    } catch (error) {
      measures.commitsFailed++
      if (committable.length > 0) this.#unkept = committable
      const { log } = options.worker.environment
      log.error('Offsets of a source task could not be kept', { err: error })
    }
  }
}
