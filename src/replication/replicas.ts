/**
 * The partitions that this broker hosts: made, changed and removed as the metadata says, each with its
 * log in one of the log directories, and looked after periodically (checkpoints, retention, compaction,
 * expiry of producers).
 *
 * What lives in this folder: a partition's place in the cluster over its log (`partition.ts`), those
 * who wait for its records (`parked-fetches.ts`), what fetchers need not repeat (`fetch-sessions.ts`)
 * and in which directory a new one lies (`placement.ts`). What must not: how bytes lie on disk (`log`), who leads (`metadata`), what a
 * client's message looks like beyond the fetch request that a session remembers (`handlers`).
 * Imports `protocol`, `environment` and `log`.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'
import type { CleanableLog } from '../log/compaction/cleanable-log.ts'
import { type CompactionConfig, Compactor } from '../log/compaction/compactor.ts'
import { Log } from '../log/log.ts'
import type { LogDirectory, PartitionDirectory } from '../log/log-directory.ts'
import { isOfTopic } from '../log/partition-metadata.ts'
import type { TailCache } from '../log/tail-cache.ts'
import { Partition, type PartitionState, type ReplicaConfig } from './partition.ts'
import { type PlacedPartition, Placement } from './placement.ts'
import { TopicTraffic } from './topic-traffic.ts'

/** A partition as the metadata has it; the parts of its image that replicas look at. */
export interface AssignedPartition extends PartitionState, PlacedPartition {}

export interface AssignedTopic {
  readonly name: string
  readonly id: string
  readonly partitions: readonly AssignedPartition[]
}

/** All topics of the cluster. */
export interface AssignedTopics {
  readonly byName: ReadonlyMap<string, AssignedTopic>
  readonly byId: ReadonlyMap<string, AssignedTopic>
}

export interface AssignmentChanges {
  readonly deleted: Iterable<{ readonly id: string }>
  /** With the indexes of the partitions that are new or changed. */
  readonly changed: Iterable<{
    readonly topic: AssignedTopic
    readonly partitions: readonly number[]
  }>
  /** Names of the topics whose effective settings may have changed. */
  readonly reconfigured: Iterable<string>
}

export interface ReplicasOptions {
  readonly environment: Environment
  readonly brokerId: number
  readonly directories: readonly LogDirectory[]
  readonly tailCache: TailCache | null
  /** The effective settings of a topic. */
  readonly configFor: (topic: string) => ReplicaConfig
  readonly producerIdExpirationMs: () => Milliseconds
  /** Read anew whenever it matters. */
  readonly compaction: () => CompactionConfig
  readonly intervals: {
    /** replica.high.watermark.checkpoint.interval.ms. */
    readonly checkpointMs: Milliseconds
    /** log.initial.task.delay.ms: before the first look at retention. */
    readonly firstRetentionMs: Milliseconds
    /** log.retention.check.interval.ms. */
    readonly retentionMs: Milliseconds
    /** producer.id.expiration.check.interval.ms. */
    readonly producerExpiryMs: Milliseconds
  }
}

export interface HostedTopic {
  readonly name: string
  readonly id: string
  readonly partitions: (Partition | undefined)[]
  readonly traffic: TopicTraffic
}

/** Logs are opened for so long, or so many, before others have their turn. */
const openingMsMax = 20
const openingCountMax = 64
const progressMs = 3_000

export class Replicas {
  /** Of all topics that are or were hosted here. */
  readonly traffic = new TopicTraffic(null)
  readonly #environment: Environment
  readonly #options: ReplicasOptions
  readonly #placement: Placement
  readonly #compactor: Compactor
  readonly #byName = new Map<string, HostedTopic>()
  readonly #byId = new Map<string, HostedTopic>()
  #topics: AssignedTopics = { byName: new Map(), byId: new Map() }
  readonly #duties = new Map<() => void, Timer>()
  #opening = { opened: 0, total: 0 }
  #isClosing = false
  /** Runs once for each partition that failed alone. */
  onPartitionFailure: ((partition: Partition) => void) | null = null

  constructor(options: ReplicasOptions) {
    this.#environment = options.environment
    this.#options = options
    const { directories, brokerId, environment } = options
    this.#placement = new Placement(directories, brokerId, environment.log)
    const logs = () => this.#openLogsToCompact()
    this.#compactor = new Compactor({ environment, logs, config: options.compaction })
    for (const directory of directories) {
      directory.onPartitionFailure = (name, error) => this.#partitionFailed(directory, name, error)
    }
  }

  get directories(): readonly LogDirectory[] {
    return this.#options.directories
  }

  /** What compacts the logs, and what it has done. */
  get compactor(): Compactor {
    return this.#compactor
  }

  /** All partitions hosted here, grouped by topic. */
  *partitions(): IterableIterator<Partition> {
    for (const topic of this.#byName.values()) {
      for (const partition of topic.partitions) if (partition !== undefined) yield partition
    }
  }

  /** The topics that have partitions here. */
  topics(): Iterable<Readonly<HostedTopic>> {
    return this.#byName.values()
  }

  /** The partition, if it is hosted here. */
  get(topic: string, index: number): Partition | undefined {
    return this.#byName.get(topic)?.partitions[index]
  }

  getById(topicId: string, index: number): Partition | undefined {
    return this.#byId.get(topicId)?.partitions[index]
  }

  /** The partition, or why not: UNKNOWN_TOPIC_OR_PARTITION, or NOT_LEADER_OR_FOLLOWER where others have it. */
  find(topic: string, index: number): Partition | ErrorRow {
    return (
      this.#byName.get(topic)?.partitions[index] ??
      notHosted(this.#topics.byName.get(topic), index, errors.UNKNOWN_TOPIC_OR_PARTITION)
    )
  }

  /** As `find`, with UNKNOWN_TOPIC_ID for an id that no topic has (KIP-516). */
  findById(topicId: string, index: number): Partition | ErrorRow {
    return (
      this.#byId.get(topicId)?.partitions[index] ??
      notHosted(this.#topics.byId.get(topicId), index, errors.UNKNOWN_TOPIC_ID)
    )
  }

  /**
   * Opens the logs on disk of partitions assigned here, recovering where needed, and starts the
   * duties. Others have their turn in between; resolves early where `close` is called meanwhile.
   */
  async start(topics: AssignedTopics): Promise<void> {
    this.#topics = topics
    const found = this.#findLogs()
    for (const topic of topics.byName.values()) this.#host(topic, topic.partitions.keys(), found)
    await this.#openLogs([...this.partitions()].filter((partition) => found.has(`${partition}`)))
    if (this.#isClosing) return
    const { intervals } = this.#options
    this.#every(intervals.checkpointMs, intervals.checkpointMs, () => void this.checkpoint())
    this.#every(intervals.firstRetentionMs, intervals.retentionMs, () => this.deleteOldSegments())
    this.#every(intervals.producerExpiryMs, intervals.producerExpiryMs, () => {
      for (const partition of this.partitions()) partition.tend((log) => log.expireProducers())
    })
    this.#compactor.start()
  }

  /** How many of the logs on disk are open, while they are being opened. */
  get opening(): { readonly opened: number; readonly total: number } {
    return this.#opening
  }

  /** Makes hosted what the metadata now says; `topics` is the state after the changes. */
  apply(changes: AssignmentChanges, topics: AssignedTopics): void {
    this.#topics = topics
    for (const { id } of changes.deleted) this.#removeTopic(id)
    for (const { topic, partitions } of changes.changed) this.#host(topic, partitions)
    for (const name of changes.reconfigured) this.reconfigure(name)
  }

  /** The effective settings of a topic may have changed. */
  reconfigure(topic: string): void {
    const hosted = this.#byName.get(topic)
    if (hosted === undefined) return
    const config = this.#options.configFor(topic)
    for (const partition of hosted.partitions) partition?.updateConfig(config)
  }

  /** The settings of the broker may have changed, and with them those of every topic. */
  reconfigureAll(): void {
    for (const topic of this.#byName.keys()) this.reconfigure(topic)
  }

  /** To be told of each directory that was fenced; its partitions answer KAFKA_STORAGE_ERROR from now on. */
  directoryFailed(directory: LogDirectory): void {
    for (const partition of this.partitions()) {
      if (partition.directory === directory) partition.markOffline()
    }
  }

  /** Partitions that failed alone, on disks that work. */
  get failedPartitions(): Partition[] {
    return [...this.partitions()].filter(({ failure }) => failure !== null)
  }

  /** Directories that still work. */
  get onlineDirectories(): LogDirectory[] {
    return this.#options.directories.filter(({ failure }) => failure === null)
  }

  /**
   * Writes recovery points, log starts and high watermarks, as far as they have changed, off the
   * event loop. Never rejects.
   */
  async checkpoint(): Promise<void> {
    const writing = this.onlineDirectories.map((directory) =>
      directory.checkpoint().catch((error: unknown) => directory.reportCheckpointError(error)),
    )
    await Promise.all(writing)
  }

  /**
   * Resolves when what `deleteRecords` has deleted stays deleted, whatever happens. Rejects with
   * DiskError.
   */
  async persistLogStarts(): Promise<void> {
    await Promise.all(this.onlineDirectories.map((directory) => directory.checkpoint()))
  }

  /** Retention by time and size, and the removal of what DeleteRecords passed. */
  deleteOldSegments(): void {
    for (const partition of this.partitions()) partition.tend((log) => log.deleteOldSegments())
  }

  /** Lets a `start` that is under way end after the partition it is at. */
  endStart(): void {
    this.#isClosing = true
  }

  /** Ends the duties and all waiting, flushes and closes every log, and marks the shutdown as clean. */
  async close(brokerEpoch: number): Promise<void> {
    this.#isClosing = true
    for (const timer of this.#duties.values()) timer.cancel()
    this.#duties.clear()
    await this.#compactor.stop()
    await Promise.all(this.#options.directories.map((directory) => directory.close(brokerEpoch)))
    for (const partition of this.partitions()) partition.release()
    this.#byName.clear()
    this.#byId.clear()
  }

  *#openLogsToCompact(): IterableIterator<CleanableLog> {
    for (const partition of this.partitions()) {
      const log = partition.openedLog
      if (log !== null && !partition.isOffline) yield log.cleanable
    }
  }

  /** The directories of the logs on disk that belong to assigned partitions; all others are set aside. */
  #findLogs(): Map<string, LogDirectory> {
    const found = new Map<string, LogDirectory>()
    for (const directory of this.onlineDirectories) {
      this.#guarded(directory, () => {
        for (const entry of directory.partitions()) {
          if (!this.#isAssigned(entry, directory.isClean)) {
            if (entry.isDirectory) this.#setAside(directory, entry.name)
          } else if (found.has(entry.name)) this.#refuseSecond(directory, entry)
          else found.set(entry.name, directory)
        }
      })
    }
    for (const directory of this.onlineDirectories) this.#findMissing(directory, found)
    return found
  }

  /**
   * A partition whose directory was taken away keeps its place, and is opened with the others: that says
   * what is lost. Those found elsewhere were moved.
   */
  #findMissing(directory: LogDirectory, found: Map<string, LogDirectory>): void {
    for (const missing of directory.missing()) {
      const { name, endOffset } = missing
      const entry = { ...missing, isDirectory: true, topicId: null }
      const isMissed = !found.has(name) && this.#isAssigned(entry, directory.isClean)
      if (isMissed && directory.isClean) found.set(name, directory)
      else directory.forgetMissing(name)
      if (!isMissed || directory.isClean) continue
      const fields = { partition: name, directory: directory.path, endOffset }
      const message =
        'a partition held records, and nothing of it is there after a crash: it is empty'
      this.#environment.log.warn(message, fields)
    }
  }

  async #openLogs(partitions: readonly Partition[]): Promise<void> {
    const { clock, timers, log } = this.#environment
    this.#opening = { opened: 0, total: partitions.length }
    const startMs = clock.monotonic()
    let bytes = 0
    let sliceMs = startMs
    let toldMs = startMs
    for (const partition of partitions) {
      if (this.#isClosing) return
      this.#open(partition)
      bytes += partition.openedLog?.size ?? 0
      const { opened, total } = this.#opening
      this.#opening = { opened: opened + 1, total }
      const nowMs = clock.monotonic()
      if (nowMs - toldMs >= progressMs) {
        toldMs = nowMs
        const seconds = Math.round((nowMs - startMs) / 1000)
        const fields = { opened: opened + 1, total, bytes, seconds }
        log.info(`opening logs: ${opened + 1} of ${total} partitions`, fields)
      }
      if (nowMs - sliceMs < openingMsMax && this.#opening.opened % openingCountMax !== 0) continue
      await new Promise<void>((resolve) => timers.nextTurn(resolve))
      sliceMs = clock.monotonic()
    }
  }

  /** Where it cannot be opened, the partition is offline and has said so. */
  #open(partition: Partition): void {
    try {
      void partition.log
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
    }
  }

  /**
   * A crash may leave the directory of a topic that was deleted, and made again under its name. After a
   * clean shutdown there is none: another id is damage then, and the partition is offline with it.
   */
  #isAssigned({ topic, partition, topicId }: PartitionDirectory, isClean: boolean): boolean {
    const assigned = this.#topics.byName.get(topic)
    if (assigned === undefined) return false
    const isOfThis = isOfTopic(topicId, assigned.id)
    if (isOfThis && topicId !== null && topicId !== assigned.id) {
      const fields = { partition: `${topic}-${partition}`, topicId }
      this.#environment.log.warn('partition.metadata is damaged and is written anew', fields)
    }
    if (!isClean && !isOfThis) return false
    return assigned.partitions[partition]?.replicas.includes(this.#options.brokerId) ?? false
  }

  /** No topic of the cluster knows this directory: keeps it under Kafka's name for strays. */
  #setAside(directory: LogDirectory, name: string): void {
    const { log } = this.#environment
    try {
      const renamedTo = directory.setAside(name)
      const fields = { partition: name, directory: directory.path, renamedTo }
      log.warn('partition on disk belongs to no topic of the cluster; set aside', fields)
    } catch (err) {
      if (!(err instanceof DiskError) || directory.failure !== null) throw err
      const fields = { partition: name, directory: directory.path, err }
      log.warn('partition on disk belongs to no topic of the cluster, and stays', fields)
    }
  }

  #refuseSecond(directory: LogDirectory, { name }: PartitionDirectory): void {
    const message = 'partition is in two log directories; the second one is left unused'
    this.#environment.log.error(message, { partition: name, directory: directory.path })
  }

  #host(
    topic: AssignedTopic,
    indexes: Iterable<number>,
    found?: ReadonlyMap<string, LogDirectory>,
  ): void {
    let hosted = this.#byId.get(topic.id)
    const config = this.#options.configFor(topic.name)
    for (const index of indexes) {
      const assigned = topic.partitions[index]
      const existing = hosted?.partitions[index]
      if (assigned === undefined || !assigned.replicas.includes(this.#options.brokerId)) {
        if (hosted !== undefined && existing !== undefined) {
          hosted.partitions[index] = undefined
          this.#delete(existing)
        }
        continue
      }
      if (existing !== undefined) {
        existing.updateState(assigned)
        continue
      }
      hosted ??= this.#hostTopic(topic)
      const partition = this.#create(hosted, index, config)
      partition.updateState(assigned)
      const directory =
        found === undefined
          ? this.#placement.choose(assigned)
          : (found.get(`${partition}`) ??
            this.#placement.chooseUnlessLost(`${partition}`, assigned))
      this.#place(partition, directory, found?.has(`${partition}`) === true)
    }
  }

  #hostTopic({ name, id }: AssignedTopic): HostedTopic {
    const traffic = new TopicTraffic(this.traffic)
    const hosted: HostedTopic = { name, id, partitions: [], traffic }
    this.#byName.set(name, hosted)
    this.#byId.set(id, hosted)
    return hosted
  }

  #create(topic: HostedTopic, index: number, config: ReplicaConfig): Partition {
    const { brokerId } = this.#options
    const partition = new Partition({
      topic: topic.name,
      topicId: topic.id,
      index,
      brokerId,
      config,
      traffic: topic.traffic,
    })
    // Without holes, however the partitions come.
    while (topic.partitions.length < index) topic.partitions.push(undefined)
    topic.partitions[index] = partition
    return partition
  }

  /** `isOnDisk`: its files were found there at the start. */
  #place(partition: Partition, directory: LogDirectory | undefined, isOnDisk: boolean): void {
    if (directory === undefined) return
    const { topic, topicId, index } = partition
    const { environment, tailCache, producerIdExpirationMs } = this.#options
    this.#placement.add(directory)
    const open = () =>
      Log.open({
        environment,
        directory,
        topic,
        partition: index,
        topicId,
        config: partition.config,
        tailCache,
        producerIdExpirationMs,
      })
    partition.place(directory, () => {
      try {
        return open()
      } catch (error) {
        const isOfOtherTopic =
          error instanceof KafkaError && error.error === errors.INCONSISTENT_TOPIC_ID
        if (!isOfOtherTopic || isOnDisk) throw error
        this.#setAside(directory, `${partition}`)
        return open()
      }
    })
  }

  #removeTopic(id: string): void {
    const hosted = this.#byId.get(id)
    if (hosted === undefined) return
    this.#byId.delete(id)
    this.#byName.delete(hosted.name)
    for (const partition of hosted.partitions) if (partition !== undefined) this.#delete(partition)
  }

  #delete(partition: Partition): void {
    const { directory, config } = partition
    const log = partition.release()
    if (directory === null) return
    this.#placement.remove(directory)
    if (directory.failure !== null) return
    this.#guarded(directory, () => {
      if (log !== null) log.delete()
      // It may be there and have refused to be opened.
      else if (directory.has(`${partition}`)) {
        directory.removePartition(`${partition}`, config.fileDeleteDelayMs)
      }
    })
  }

  #partitionFailed(directory: LogDirectory, name: string, error: Error): void {
    const dash = name.lastIndexOf('-')
    const partition = this.get(name.slice(0, dash), Number(name.slice(dash + 1)))
    if (partition?.directory !== directory) return
    partition.fail(error)
    this.onPartitionFailure?.(partition)
  }

  /** Runs what a failing disk may end; where the directory has failed by then, it has said so. */
  #guarded(directory: LogDirectory, run: () => void): void {
    try {
      run()
    } catch (err) {
      if (!(err instanceof DiskError)) throw err
      if (directory.failure !== null) return
      const fields = { directory: directory.path, err }
      this.#environment.log.error('work on a log directory was given up', fields)
    }
  }

  #every(firstMs: Milliseconds, intervalMs: Milliseconds, duty: () => void): void {
    const run = () => {
      this.#duties.set(run, this.#environment.timers.after(intervalMs, run))
      duty()
    }
    this.#duties.set(run, this.#environment.timers.after(firstMs, run))
  }
}

function notHosted(
  topic: AssignedTopic | undefined,
  index: number,
  unknownTopic: ErrorRow,
): ErrorRow {
  if (topic === undefined) return unknownTopic
  return topic.partitions[index] === undefined
    ? errors.UNKNOWN_TOPIC_OR_PARTITION
    : errors.NOT_LEADER_OR_FOLLOWER
}
