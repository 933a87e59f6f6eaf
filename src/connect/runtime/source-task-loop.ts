/**
 * Runs a source task: polls it, transforms and converts records, and has them written (`source-writes.ts`). A record
 * that cannot be written fails the task, unless errors are tolerated.
 */
import { Cluster } from '../../client/cluster.ts'
import { headerConverterOf, type NamedHeaderConverter } from '../converters/header-converters.ts'
import { converterOf, type NamedConverter } from '../converters/known-converters.ts'
import { Processing, Tolerance } from '../errors/tolerance.ts'
import { RetriableException } from '../failures.ts'
import type { SourcePlugin, SourceTask } from '../plugin.ts'
import type { SourceRecord } from '../records.ts'
import { TransformChain } from '../transforms/chain.ts'
import { AtLeastOnce } from './at-least-once.ts'
import { taskReach } from './client-settings.ts'
import { ExactlyOnce, type TaskGuard } from './exactly-once.ts'
import type { SourceOffsets, SourceWrites } from './source-writes.ts'
import {
  logOf,
  logReporter,
  onceEach,
  type RunningTask,
  type TaskOptions,
  taskConfig,
  toleranceOf,
} from './task.ts'
import { note, type TaskMeasured, TaskMeasures } from './task-measures.ts'
import { TopicCreation } from './topic-creation.ts'

/** What a task needs that writes in transactions. */
export interface TaskTransactions {
  readonly transactionalId: string
  readonly guard: TaskGuard
}

export class SourceTaskLoop implements RunningTask {
  readonly ended: Promise<void>
  readonly #options: TaskOptions
  readonly #offsets: SourceOffsets
  readonly #task: SourceTask
  readonly #cluster: Cluster
  readonly #writes: SourceWrites
  readonly #keyConverter: NamedConverter
  readonly #valueConverter: NamedConverter
  readonly #headerConverter: NamedHeaderConverter
  readonly #transforms: TransformChain
  readonly #tolerance: Tolerance<SourceRecord>
  readonly #topics: TopicCreation
  readonly #measures = new TaskMeasures()
  #isPaused: boolean
  /** Its task was told to start, and must be told to stop. */
  #hasBegun = false
  #isStopping = false
  #isCancelled = false
  #failure: Error | null = null
  #wake: () => void = () => undefined

  /** `transactions`: null where offsets follow the records. Throws ConfigError, ConnectException; nothing is connected yet. */
  constructor(
    plugin: SourcePlugin,
    offsets: SourceOffsets,
    options: TaskOptions,
    transactions: TaskTransactions | null,
  ) {
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
    const counts = this.#measures.errors
    const reporter = logReporter<SourceRecord>(
      { log, counts },
      id,
      ({ topic, sourcePartition, sourceOffset }) =>
        isPlaced
          ? { topic, partition: [...sourcePartition].join(), offset: [...sourceOffset].join() }
          : null,
    )
    this.#tolerance = new Tolerance(
      worker.environment,
      toleranceOf(settings, counts),
      config['errors.log.enable'] ? [reporter] : [],
    )
    this.#cluster = new Cluster(worker.environment, {
      ...taskReach(worker, 'producer', settings),
      clientId: `connector-producer-${id.connector}-${id.task}`,
    })
    this.#topics = new TopicCreation(
      this.#cluster,
      worker.config['topic.creation.enable'] ? settings : new Map(),
    )
    this.#task = plugin.task()
    const parts = {
      ...{ cluster: this.#cluster, options, task: this.#task, tolerance: this.#tolerance, offsets },
      measures: this.#measures,
      loop: this,
      onTopic: onceEach(options.onTopic),
      onFailure: (error: Error) => {
        this.#failure ??= error
        this.#wake()
      },
    }
    this.#writes =
      transactions === null
        ? new AtLeastOnce(parts)
        : new ExactlyOnce(parts, transactions.transactionalId, transactions.guard)
    this.ended = this.#run()
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  get isCancelled(): boolean {
    return this.#isCancelled
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
    if (this.#hasBegun) void this.#stopTask()
  }

  cancel(): void {
    this.#isCancelled = true
    this.stop()
    this.#cluster.close()
  }

  measured(): TaskMeasured {
    const { taken, finished } = this.#measures
    return { ...this.#measures, type: 'source', active: taken - finished, partitions: 0, lagMax: 0 }
  }

  async #run(): Promise<void> {
    // Whoever made it hears of nothing before it has it.
    await Promise.resolve()
    const { worker, onState } = this.#options
    const { environment } = worker
    try {
      await this.#writes.open()
      await this.#offsets.catchUp()
      if (!this.#isStopping) await this.#begin()
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

  async #begin(): Promise<void> {
    const { worker, settings, onState } = this.#options
    const { environment } = worker
    this.#hasBegun = true
    await this.#task.start(settings, {
      environment,
      log: logOf(this.#options),
      settings,
      offset: (partition) => this.#offsets.offset(partition),
      transactionContext: this.#writes.transactionContext,
    })
    onState(this.#isPaused ? 'PAUSED' : 'RUNNING')
    this.#writes.begin()
  }

  async #iterate(): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    if (this.#isPaused) {
      await this.#writes.paused()
      // It may have been resumed meanwhile.
      if (!this.#isPaused || this.#isStopping) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      return
    }
    for (const record of (await this.#poll()) ?? []) {
      if (this.#isStopping) return
      await this.#send(record)
      if (this.#failure !== null) throw this.#failure
    }
    await this.#writes.polled()
  }

  async #poll(): Promise<readonly SourceRecord[] | null> {
    const { clock } = this.#options.worker.environment
    const startedMs = clock.monotonic()
    try {
      const records = await this.#task.poll()
      if (records !== null && records.length > 0) {
        const { batches, works } = this.#measures
        this.#measures.taken += records.length
        note(batches, records.length)
        note(works, clock.monotonic() - startedMs)
      }
      return records
    } catch (error) {
      if (error instanceof RetriableException) return null
      throw error
    }
  }

  async #send(record: SourceRecord): Promise<void> {
    const tolerance = this.#tolerance
    const processing = new Processing(record)
    const transformed = await this.#transforms.apply(tolerance, processing, record)
    const bytes = transformed === null ? null : await this.#toBytes(processing, transformed)
    if (transformed === null || bytes === null) return this.#writes.write(processing, null)
    const { topic, timestamp } = transformed
    await this.#topics.create(topic)
    const written = { ...bytes, topic, partition: transformed.kafkaPartition ?? undefined }
    await this.#writes.write(processing, timestamp === null ? written : { ...written, timestamp })
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

  async #stopTask(): Promise<void> {
    try {
      await this.#task.stop?.()
    } catch (error) {
      this.#options.worker.environment.log.warn('Could not stop a task', { err: error })
    }
  }

  async #close(): Promise<void> {
    if (this.#hasBegun && !this.#isStopping) await this.#stopTask()
    try {
      if (!this.#isCancelled) await this.#writes.finish(this.#failure !== null)
    } finally {
      this.#cluster.close()
    }
  }
}
