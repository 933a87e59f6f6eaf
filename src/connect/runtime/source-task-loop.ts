/**
 * Runs a source task: polls it, transforms and converts records, writes them, and keeps the offsets of
 * what was acknowledged. A record that cannot be written fails the task, unless errors are tolerated.
 *
 * Offsets are kept behind the records: after a crash the records since the last offset come again.
 */
import { Cluster } from '../../client/cluster.ts'
import { Producer } from '../../client/producer.ts'
import type { Timer } from '../../environment/environment.ts'
import { headerConverterOf, type NamedHeaderConverter } from '../converters/header-converters.ts'
import { converterOf, type NamedConverter } from '../converters/known-converters.ts'
import { Processing, Tolerance } from '../errors/tolerance.ts'
import { ConnectException, RetriableException } from '../failures.ts'
import type { SourcePlugin, SourceTask } from '../plugin.ts'
import type { SourcePosition, SourceRecord } from '../records.ts'
import { TransformChain } from '../transforms/chain.ts'
import { producerOptions } from './client-settings.ts'
import { type Submitted, SubmittedRecords } from './submitted-records.ts'
import {
  logOf,
  logReporter,
  onceEach,
  type RunningTask,
  type TaskOptions,
  taskConfig,
  toleranceOf,
} from './task.ts'
import { TopicCreation } from './topic-creation.ts'

/** Where the offsets of a connector are kept. */
export interface SourceOffsets {
  /** Resolves when all is known that whoever had the task before, or a user, has kept. */
  catchUp(): Promise<void>
  offset(partition: SourcePosition): SourcePosition | null
  /** Resolves when they are kept. */
  put(offsets: readonly { partition: SourcePosition; offset: SourcePosition }[]): Promise<void>
}

export class SourceTaskLoop implements RunningTask {
  readonly ended: Promise<void>
  readonly #options: TaskOptions
  readonly #offsets: SourceOffsets
  readonly #task: SourceTask
  readonly #cluster: Cluster
  readonly #producer: Producer
  readonly #keyConverter: NamedConverter
  readonly #valueConverter: NamedConverter
  readonly #headerConverter: NamedHeaderConverter
  readonly #transforms: TransformChain
  readonly #tolerance: Tolerance<SourceRecord>
  readonly #topics: TopicCreation
  readonly #submitted = new SubmittedRecords()
  readonly #onTopic: (topic: string) => void
  /** Offsets that could not be kept, for the next time. */
  #unkept: { partition: SourcePosition; offset: SourcePosition }[] = []
  #isPaused: boolean
  #isStopping = false
  #isCancelled = false
  #failure: Error | null = null
  #committing: Promise<void> = Promise.resolve()
  #timer: Timer | null = null
  #wake: () => void = () => undefined

  /** Throws ConfigError, ConnectException; nothing is connected yet. */
  constructor(plugin: SourcePlugin, offsets: SourceOffsets, options: TaskOptions) {
    const { worker, settings, id, isPaused } = options
    this.#options = options
    this.#offsets = offsets
    this.#isPaused = isPaused
    this.#keyConverter = converterOf('key.converter', settings, worker)
    this.#valueConverter = converterOf('value.converter', settings, worker)
    this.#headerConverter = headerConverterOf(settings, worker.settings)
    this.#transforms = new TransformChain(worker.plugins, settings)
    const config = taskConfig(settings)
    const { log } = worker.environment
    const isPlaced = config['errors.log.include.messages']
    const reporter = logReporter<SourceRecord>(
      log,
      id,
      ({ topic, sourcePartition, sourceOffset }) =>
        isPlaced
          ? { topic, partition: [...sourcePartition].join(), offset: [...sourceOffset].join() }
          : null,
    )
    this.#tolerance = new Tolerance(
      worker.environment,
      toleranceOf(settings),
      config['errors.log.enable'] ? [reporter] : [],
    )
    this.#cluster = new Cluster(worker.environment, {
      bootstrap: worker.bootstrap,
      clientId: `connector-producer-${id.connector}-${id.task}`,
    })
    this.#topics = new TopicCreation(
      this.#cluster,
      worker.config['topic.creation.enable'] ? settings : new Map(),
    )
    this.#producer = new Producer(this.#cluster, producerOptions(settings, worker.settings))
    this.#onTopic = onceEach(options.onTopic)
    this.#task = plugin.task()
    this.ended = this.#run()
  }

  setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return
    this.#isPaused = isPaused
    this.#options.onState(isPaused ? 'PAUSED' : 'RUNNING')
    this.#wake()
  }

  stop(): void {
    if (this.#isStopping) return
    this.#isStopping = true
    this.#tolerance.stop()
    this.#wake()
    // It ends a poll that waits; a task that does not care is cancelled in time.
    void this.#stopTask()
  }

  cancel(): void {
    this.#isCancelled = true
    this.stop()
    this.#cluster.close()
  }

  async #run(): Promise<void> {
    // Whoever made it hears of nothing before it has it.
    await Promise.resolve()
    const { worker, settings, onState } = this.#options
    const { environment } = worker
    try {
      await this.#offsets.catchUp()
      await this.#task.start(settings, {
        environment,
        log: logOf(this.#options),
        settings,
        offset: (partition) => this.#offsets.offset(partition),
      })
      onState(this.#isPaused ? 'PAUSED' : 'RUNNING')
      this.#scheduleCommit()
      while (!this.#isStopping) await this.#iterate()
    } catch (error) {
      this.#failure ??= error as Error
    }
    await this.#close().catch((error: unknown) => {
      environment.log.warn('A source task did not close well', { err: error })
    })
    if (this.#failure === null || this.#isCancelled || this.#isStopping) onState('UNASSIGNED')
    else onState('FAILED', this.#failure)
  }

  async #iterate(): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    if (this.#isPaused) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      return
    }
    for (const record of (await this.#poll()) ?? []) {
      if (this.#isStopping) return
      await this.#send(record)
      if (this.#producer.isFull) await this.#producer.room()
      if (this.#failure !== null) throw this.#failure
    }
  }

  async #poll(): Promise<readonly SourceRecord[] | null> {
    try {
      return await this.#task.poll()
    } catch (error) {
      if (error instanceof RetriableException) return null
      throw error
    }
  }

  async #send(record: SourceRecord): Promise<void> {
    const tolerance = this.#tolerance
    const processing = new Processing(record)
    const transformed = await this.#transforms.apply(tolerance, processing, record)
    const { topic } = transformed ?? record
    const bytes = transformed === null ? null : await this.#toBytes(processing, transformed)
    if (transformed === null || bytes === null) {
      this.#submitted.add(record).isAcknowledged = true
      await this.#task.commitRecord?.(record, null)
      return
    }
    await this.#topics.create(topic)
    const submitted = this.#submitted.add(record)
    const written = { ...bytes, topic, partition: transformed.kafkaPartition ?? undefined }
    const { timestamp } = transformed
    this.#producer.add(
      timestamp === null ? written : { ...written, timestamp },
      (error, delivery) => {
        if (error !== null) this.#sendFailed(processing, submitted, error)
        else {
          submitted.isAcknowledged = true
          this.#onTopic(topic)
          void this.#tellCommitted(record, delivery)
        }
      },
    )
  }

  async #toBytes(processing: Processing<SourceRecord>, record: SourceRecord) {
    const tolerance = this.#tolerance
    const { topic, keySchema, key, valueSchema, value, headers: given } = record
    const { className: headerClass, converter } = this.#headerConverter
    const { className: keyClass, converter: keys } = this.#keyConverter
    const { className: valueClass, converter: values } = this.#valueConverter
    const headers = await tolerance.execute(processing, 'HEADER_CONVERTER', headerClass, () =>
      given.map(({ key: name, schema, value: data }) => ({
        key: name,
        value: converter.fromConnectHeader(topic, schema, data),
      })),
    )
    const keyBytes = await tolerance.execute(processing, 'KEY_CONVERTER', keyClass, () =>
      keys.fromConnectData(topic, keySchema, key),
    )
    const valueBytes = await tolerance.execute(processing, 'VALUE_CONVERTER', valueClass, () =>
      values.fromConnectData(topic, valueSchema, value),
    )
    if (processing.hasFailed || headers === null) return null
    return { key: keyBytes, value: valueBytes, headers }
  }

  #sendFailed(processing: Processing<SourceRecord>, submitted: Submitted, error: Error): void {
    const { log } = this.#options.worker.environment
    if (!this.#tolerance.toleratesAll) {
      this.#failure ??= new ConnectException(
        `Unrecoverable exception from producer send callback: ${error.message}`,
        { cause: error },
      )
      this.#wake()
      return
    }
    log.debug('Ignoring a record that could not be written', { reason: String(error) })
    void this.#tolerance.executeFailed(processing, 'KAFKA_PRODUCE', 'millrace.Producer', error)
    submitted.isAcknowledged = true
    void this.#tellCommitted(processing.original, null)
  }

  /** What a task makes of it is its own affair, as in Kafka. */
  async #tellCommitted(
    record: SourceRecord,
    written: { topic: string; partition: number; offset: number } | null,
  ): Promise<void> {
    try {
      await this.#task.commitRecord?.(record, written)
    } catch (error) {
      const { log } = this.#options.worker.environment
      log.error('A source task failed to take note of a record', { err: error })
    }
  }

  #scheduleCommit(): void {
    const { worker } = this.#options
    const intervalMs = worker.config['offset.flush.interval.ms']
    this.#timer = worker.environment.timers.after(intervalMs, () => {
      this.#committing = this.#commit().finally(() => {
        if (!this.#isStopping && this.#timer !== null) this.#scheduleCommit()
      })
    })
  }

  /** Never rejects: the next one makes up for it. */
  async #commit(): Promise<void> {
    const { log } = this.#options.worker.environment
    const offsets = [...this.#unkept, ...this.#submitted.takeCommittable()]
    try {
      if (offsets.length > 0 && !this.#isCancelled) await this.#offsets.put(offsets)
      this.#unkept = []
      await this.#task.commit?.()
    } catch (error) {
      if (offsets.length > 0) this.#unkept = offsets
      log.error('Offsets of a source task could not be kept', { err: error })
    }
  }

  async #stopTask(): Promise<void> {
    try {
      await this.#task.stop?.()
    } catch (error) {
      this.#options.worker.environment.log.warn('Could not stop a task', { err: error })
    }
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    if (!this.#isStopping) await this.#stopTask()
    try {
      if (!this.#isCancelled) {
        await this.#producer.flush()
        await this.#committing
        await this.#commit()
      }
    } finally {
      if (!this.#isCancelled) await this.#producer.close()
      this.#cluster.close()
    }
  }
}
