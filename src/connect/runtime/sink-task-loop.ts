/**
 * Runs a sink task: reads its share of the topics as a member of the connector's group, has records
 * converted (`sink-conversion.ts`), hands them over, and commits what the task has made safe.
 *
 * Offsets: `current` is what was handed over, `committed` what the group's offsets say. Before a commit
 * the task may lower what is to be committed; where it fails (`flush` threw), reading goes back to
 * `committed`, and the records come again. What was polled but not taken (RetriableException) waits as a
 * batch while all partitions are paused, so that nothing comes behind it and membership is kept.
 */
import { Cluster } from '../../client/cluster.ts'
import { Consumer } from '../../client/consumer.ts'
import type { PartitionRecords } from '../../client/fetcher.ts'
import { nameOf } from '../../client/topic-partition.ts'
import type { ConsumedRecord } from '../errors/consumed-record.ts'
import { DeadLetterQueue } from '../errors/dead-letters.ts'
import { ErrantRecords } from '../errors/errant-records.ts'
import { type ErrorReporter, Tolerance } from '../errors/tolerance.ts'
import { ConnectException, RetriableException } from '../failures.ts'
import { javaPattern } from '../java-pattern.ts'
import type { PartitionOffset, SinkPlugin, SinkTask, TopicPartition } from '../plugin.ts'
import type { JsonRecord, SinkRecord } from '../records.ts'
import { topicsOf } from '../validation.ts'
import {
  producerOptions,
  sinkClientId,
  sinkConsumerSettings,
  taskReach,
} from './client-settings.ts'
import { limitedTo } from './pause.ts'
import { SinkContext } from './sink-context.ts'
import { SinkConversion } from './sink-conversion.ts'
import {
  logReporter,
  onceEach,
  type RunningTask,
  type TaskOptions,
  taskConfig,
  toleranceOf,
} from './task.ts'
import { note, type TaskMeasured, TaskMeasures } from './task-measures.ts'

type Offsets = Map<string, PartitionOffset>

/** Topics that match `topics.regex` are looked for so often. */
const topicsCheckMs = 30_000
/** Where nothing but control records was read, that is committed after so long. */
const passedMsMax = 1_000
/** A poll that begins just behind a wake-up does not hear it: no longer than this it waits for nothing. */
const pollMsMax = 500

export class SinkTaskLoop implements RunningTask {
  readonly ended: Promise<void>
  readonly #options: TaskOptions
  readonly #task: SinkTask
  readonly #cluster: Cluster
  readonly #consumer: Consumer
  readonly #recordsMax: number
  readonly #conversion: SinkConversion
  readonly #context: SinkContext
  readonly #onTopic: (topic: string) => void
  readonly #measures = new TaskMeasures()
  #tolerance: Tolerance<ConsumedRecord> | null = null
  #errant: ErrantRecords | null = null
  #deadLetters: DeadLetterQueue | null = null
  readonly #current: Offsets = new Map()
  readonly #committed: Offsets = new Map()
  /** Behind the records of the batch. */
  readonly #polled: Offsets = new Map()
  #batch: SinkRecord[] = []
  #isRedelivering = false
  #isPaused: boolean
  #isStopping = false
  #isCancelled = false
  #hasStopped = false
  #nextCommitMs = 0
  #topicsCheckedMs = Number.NEGATIVE_INFINITY

  /** Throws ConfigError, ConnectException; nothing is connected yet. */
  constructor(plugin: SinkPlugin, options: TaskOptions) {
    const { worker, settings, id } = options
    this.#options = options
    this.#isPaused = options.isPaused
    this.#onTopic = onceEach(options.onTopic)
    this.#conversion = new SinkConversion(worker, settings, this.#onTopic)
    const { options: consumer, recordsMax } = sinkConsumerSettings(
      settings,
      id.connector,
      worker.settings,
    )
    this.#recordsMax = recordsMax
    this.#cluster = new Cluster(worker.environment, {
      ...taskReach(worker, 'consumer', settings),
      clientId: `${sinkClientId(id.connector)}${id.task}`,
    })
    this.#consumer = new Consumer(this.#cluster, consumer)
    this.#context = new SinkContext(options, {
      assignment: () => this.#consumer.assignment,
      wake: () => this.#consumer.wakeUp(),
      setPaused: (partition, isPaused) => this.#setPaused(partition, isPaused),
      reporter: () => this.#errant,
    })
    this.#task = plugin.task()
    this.ended = this.#run()
  }

  setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return
    this.#isPaused = isPaused
    this.#pauseAsNeeded()
    if (isPaused) this.#context.requestCommit()
    this.#options.onState(isPaused ? 'PAUSED' : 'RUNNING')
    this.#consumer.wakeUp()
  }

  stop(): void {
    this.#isStopping = true
    this.#tolerance?.stop()
    this.#consumer.wakeUp()
  }

  cancel(): void {
    this.#isCancelled = true
    this.stop()
    this.#cluster.close()
  }

  measured(): TaskMeasured {
    const { assignment } = this.#consumer
    const lags = assignment.map((partition) => {
      const committed = this.#committed.get(nameOf(partition))?.offset
      const position = this.#consumer.position(partition)
      if (committed === undefined || position === undefined) return 0
      return Math.max(0, position - committed)
    })
    const active = lags.reduce((sum, lag) => sum + lag, 0)
    const lagMax = Math.max(0, ...lags)
    return { ...this.#measures, type: 'sink', active, partitions: assignment.length, lagMax }
  }

  async #run(): Promise<void> {
    // Whoever made it hears of nothing before it has it.
    await Promise.resolve()
    let failure: unknown = null
    try {
      await this.#start()
      this.#options.onState(this.#isPaused ? 'PAUSED' : 'RUNNING')
      while (!this.#isStopping) await this.#iterate()
    } catch (error) {
      failure = error
    }
    const closing = await this.#close().catch((error: unknown) => error)
    const { log } = this.#options.worker.environment
    if (closing !== undefined) log.warn('A sink task did not close well', { err: closing })
    // What a stop or a loss of the client cuts short is no failure of the task.
    if (failure === null || this.#isCancelled || this.#isStopping)
      this.#options.onState('UNASSIGNED')
    else this.#options.onState('FAILED', failure)
  }

  async #start(): Promise<void> {
    const { settings, id, worker } = this.#options
    const { environment } = worker
    const config = taskConfig(settings)
    const reporters: ErrorReporter<ConsumedRecord>[] = []
    const topic = config['errors.deadletterqueue.topic.name']
    if (topic !== '') {
      this.#deadLetters = await DeadLetterQueue.open(this.#cluster, {
        topic,
        replicationFactor: config['errors.deadletterqueue.topic.replication.factor'],
        hasContextHeaders: config['errors.deadletterqueue.context.headers.enable'],
        connector: id.connector,
        task: id.task,
        producer: producerOptions(settings, worker.settings),
        counts: this.#measures.errors,
      })
      reporters.push(this.#deadLetters.report)
    }
    const { onRefused } = this.#options
    if (onRefused !== undefined)
      reporters.push(async ({ original, error }) => onRefused(original, error))
    if (config['errors.log.enable']) {
      const isPlaced = config['errors.log.include.messages']
      reporters.push(
        logReporter(
          { log: environment.log, counts: this.#measures.errors },
          id,
          ({ topic: from, partition, offset, timestamp }) =>
            isPlaced ? { topic: from, partition, offset, timestamp } : null,
        ),
      )
    }
    const tolerance = toleranceOf(settings, this.#measures.errors)
    this.#tolerance = new Tolerance(environment, tolerance, reporters)
    if (reporters.length > 0)
      this.#errant = new ErrantRecords(this.#tolerance, this.#conversion.toBytes)
    this.#nextCommitMs = this.#now + this.#commitIntervalMs
    await this.#subscribe()
    await this.#task.start(settings, this.#context)
  }

  get #now(): number {
    return this.#options.worker.environment.clock.monotonic()
  }

  get #commitIntervalMs(): number {
    return this.#options.worker.config['offset.flush.interval.ms']
  }

  /** Again and again where topics are named by a pattern. */
  async #subscribe(): Promise<void> {
    const pattern = (this.#options.settings.get('topics.regex') ?? '').trim()
    const isFirst = this.#topicsCheckedMs === Number.NEGATIVE_INFINITY
    if (!isFirst && (pattern === '' || this.#now - this.#topicsCheckedMs < topicsCheckMs)) return
    this.#topicsCheckedMs = this.#now
    let topics = topicsOf(this.#options.settings)
    if (pattern !== '') {
      const matches = javaPattern(pattern)
      const all = await this.#cluster.allTopics()
      topics = all
        .filter(({ name, isInternal }) => !isInternal && matches.test(name))
        .map(({ name }) => name)
    }
    if (topics.join() === this.#topics.join()) return
    this.#topics = topics
    this.#consumer.subscribe(topics, {
      onAssigned: (partitions) => this.#assigned(partitions),
      onRevoked: (partitions, isLost) => this.#revoked(partitions, isLost),
    })
  }
  #topics: readonly string[] = []

  async #iterate(): Promise<void> {
    await this.#subscribe()
    if (this.#context.takeCommitRequest() || this.#now >= this.#nextCommitMs) {
      await this.#commit(this.#consumer.assignment, false)
      this.#nextCommitMs = this.#now + this.#commitIntervalMs
    }
    this.#rewind()
    const leftMs = Math.max(0, this.#nextCommitMs - this.#now)
    const timeoutMs = Math.min(leftMs, this.#context.takeTimeout() ?? leftMs, pollMsMax)
    const polled = await this.#consumer.poll({ timeoutMs, recordsMax: this.#recordsMax })
    // What the task has asked for meanwhile, as partitions came and went, holds for what was polled too.
    const rewound = this.#rewind()
    const takenBefore = this.#measures.taken
    for (const partition of polled)
      if (!rewound.has(nameOf(partition))) await this.#convert(partition)
    this.#notePositions()
    const taken = this.#measures.taken - takenBefore
    if (taken > 0) note(this.#measures.batches, taken)
    await this.#deliver()
  }

  async #convert(polled: PartitionRecords): Promise<void> {
    const { topic, partition, records, nextOffset } = polled
    this.#measures.taken += records.length
    const first = records[0]
    if (first !== undefined) this.#begin({ topic, partition, offset: first.offset })
    for (const record of records.slice(this.#takenAsJson(polled))) {
      const consumed = { ...record, topic, partition }
      try {
        const converted = await this.#conversion.convert(this.#tolerance!, consumed)
        if (converted === null) continue
        this.#errant?.remember(converted, consumed)
        this.#batch.push(converted)
      } catch (cause) {
        const at = `${nameOf(polled)} at offset ${record.offset}`
        throw new ConnectException(`${at}: the record cannot be read`, { cause })
      }
    }
    this.#polled.set(nameOf(polled), { topic, partition, offset: nextOffset })
  }

  /** How many of the first the task has taken with their values as they are. */
  #takenAsJson({ topic, partition, records }: PartitionRecords): number {
    if (!this.#conversion.keepsJson) return 0
    // Nothing may come before what waits for `put`.
    if (this.#task.takeJson === undefined || this.#batch.length > 0) return 0
    const given: JsonRecord[] = []
    for (const record of records) {
      if (record.value === null) break
      const known = this.#conversion.withoutValue({ topic, partition }, record)
      if (known === null) break
      given.push({ record: known, json: record.value })
    }
    if (given.length === 0) return 0
    const taken = this.#task.takeJson({ topic, partition }, given)
    if (taken > 0) this.#onTopic(topic)
    this.#measures.given += taken
    return taken
  }

  async #deliver(): Promise<void> {
    const startedMs = this.#now
    try {
      await this.#task.put(this.#batch)
      this.#errant?.throwIfExceeded()
    } catch (error) {
      if (!(error instanceof RetriableException))
        throw new ConnectException('Exiting WorkerSinkTask due to unrecoverable exception.', {
          cause: error,
        })
      const { log } = this.#options.worker.environment
      log.warn('A sink task asks for the same records again', { reason: error.message })
      this.#isRedelivering = true
      this.#pauseAsNeeded()
      return
    }
    this.#measures.given += this.#batch.length
    if (this.#polled.size > 0) note(this.#measures.works, this.#now - startedMs)
    for (const [name, offset] of this.#polled) this.#current.set(name, offset)
    this.#polled.clear()
    this.#batch = []
    if (!this.#isRedelivering) return
    this.#isRedelivering = false
    this.#pauseAsNeeded()
  }

  /** `isClosing`: the partitions go, to another member or with the task. */
  async #commit(partitions: readonly TopicPartition[], isClosing: boolean): Promise<void> {
    const { worker } = this.#options
    const { log } = worker.environment
    // What the task has given up is not to be committed as if it were safe.
    this.#rewind()
    await this.#errant?.settled()
    const offsets = partitions.flatMap((partition) => this.#current.get(nameOf(partition)) ?? [])
    if (offsets.length === 0 && !isClosing) return
    let allowed: readonly PartitionOffset[] = []
    const startedMs = this.#now
    try {
      if (offsets.length > 0) allowed = await this.#preCommit(offsets)
    } catch (error) {
      log.error('A sink task cannot commit: it reads the records again', { err: error })
      this.#measures.commitsFailed++
      if (!isClosing) this.#goBack(offsets)
      return
    } finally {
      if (isClosing) await this.#task.close?.(partitions)
    }
    const committable = allowed.filter((given) => {
      const current = this.#current.get(nameOf(given))
      return (
        offsets.some((offset) => nameOf(offset) === nameOf(given)) &&
        current !== undefined &&
        given.offset <= current.offset &&
        this.#committed.get(nameOf(given))?.offset !== given.offset
      )
    })
    if (committable.length === 0 || this.#isCancelled) return
    try {
      const limitMs = worker.config['offset.flush.timeout.ms']
      const message = `Timed out after ${limitMs} ms (offset.flush.timeout.ms)`
      await limitedTo(worker.environment, limitMs, this.#consumer.commit(committable), message)
      for (const offset of committable) this.#committed.set(nameOf(offset), offset)
      note(this.#measures.commits, this.#now - startedMs)
    } catch (error) {
      this.#measures.commitsFailed++
      // The next commit makes up for it; of partitions that are gone, whoever has them now.
      log.warn('Offsets of a sink task could not be committed', { reason: String(error) })
    }
  }

  async #preCommit(offsets: readonly PartitionOffset[]): Promise<readonly PartitionOffset[]> {
    if (this.#task.preCommit !== undefined) return this.#task.preCommit(offsets)
    await this.#task.flush?.(offsets)
    return offsets
  }

  #goBack(offsets: readonly PartitionOffset[]): void {
    for (const { topic, partition } of offsets) {
      const name = nameOf({ topic, partition })
      const committed = this.#committed.get(name)
      if (committed === undefined) continue
      this.#consumer.seek({ topic, partition }, committed.offset)
      this.#current.set(name, committed)
      this.#polled.delete(name)
    }
    const gone = new Set(offsets.map(nameOf))
    this.#batch = this.#batch.filter((record) => !gone.has(originOf(record)))
  }

  /** Where the task itself says to go on. Answers the names of these partitions. */
  #rewind(): ReadonlySet<string> {
    const rewound = new Set<string>()
    const assigned = new Set(this.#consumer.assignment.map(nameOf))
    for (const offset of this.#context.takeOffsets()) {
      const name = nameOf(offset)
      if (!assigned.has(name)) continue
      this.#consumer.seek(offset, offset.offset)
      this.#committed.set(name, offset)
      this.#current.set(name, offset)
      this.#polled.delete(name)
      rewound.add(name)
    }
    return rewound
  }

  /** Where reading began is as good as committed. */
  #begin(offset: PartitionOffset): void {
    const name = nameOf(offset)
    if (!this.#committed.has(name)) this.#committed.set(name, offset)
    if (!this.#current.has(name)) this.#current.set(name, offset)
  }

  #notePositions(): void {
    const { assignment } = this.#consumer
    const offsetIn = (offsets: Offsets, partition: TopicPartition) =>
      offsets.get(nameOf(partition))?.offset
    const isCommitted = assignment.every(
      (partition) => offsetIn(this.#current, partition) === offsetIn(this.#committed, partition),
    )
    let hasPassed = false
    for (const partition of assignment) {
      const offset = this.#consumer.position(partition)
      if (offset === undefined || this.#polled.has(nameOf(partition))) continue
      const current = offsetIn(this.#current, partition)
      if (current === undefined) this.#begin({ ...partition, offset })
      else if (offset > current) {
        // Only control records and the like lie in between.
        this.#current.set(nameOf(partition), { ...partition, offset })
        hasPassed = true
      }
    }
    // A commit then has nothing else to do; without it the partition would look as if something waited in it.
    if (hasPassed && isCommitted)
      this.#nextCommitMs = Math.min(this.#nextCommitMs, this.#now + passedMsMax)
  }

  async #assigned(partitions: readonly TopicPartition[]): Promise<void> {
    if (this.#isRedelivering && this.#batch.length === 0) this.#isRedelivering = false
    this.#pauseAsNeeded()
    if (partitions.length === 0) return
    await this.#task.open?.(partitions)
    this.#rewind()
  }

  async #revoked(partitions: readonly TopicPartition[], isLost: boolean): Promise<void> {
    if (this.#hasStopped) return
    if (isLost) {
      this.#errant?.forget()
      await this.#task.close?.(partitions)
    } else await this.#commit(partitions, true)
    const gone = new Set(partitions.map(nameOf))
    for (const offsets of [this.#current, this.#committed, this.#polled])
      for (const name of gone) offsets.delete(name)
    this.#batch = this.#batch.filter((record) => !gone.has(originOf(record)))
    this.#context.forgetPauses(gone)
  }

  #setPaused(partition: TopicPartition, isPaused: boolean): void {
    if (isPaused) this.#consumer.pause(partition)
    else if (!this.#isPaused && !this.#isRedelivering) this.#consumer.resume(partition)
  }

  /** By the user, for a redelivery, or by the task. */
  #pauseAsNeeded(): void {
    for (const partition of this.#consumer.assignment) {
      const isPaused =
        this.#isPaused || this.#isRedelivering || this.#context.isPausedByTask(partition)
      if (isPaused) this.#consumer.pause(partition)
      else this.#consumer.resume(partition)
    }
  }

  async #close(): Promise<void> {
    try {
      if (!this.#isCancelled) await this.#revoked(this.#consumer.assignment, false)
    } finally {
      this.#hasStopped = true
      try {
        await this.#task.stop?.()
      } finally {
        if (!this.#isCancelled) {
          await this.#deadLetters?.close()
          await this.#consumer.close()
        }
        this.#cluster.close()
      }
    }
  }
}

function originOf(record: SinkRecord): string {
  return nameOf({ topic: record.originalTopic, partition: record.originalKafkaPartition })
}
