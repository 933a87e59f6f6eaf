/**
 * The partitions that this broker hosts: made, changed and removed as the metadata says, each with its
 * log in one of the log directories, and looked after periodically (checkpoints, retention, expiry of
 * producers).
 *
 * What lives in this folder: a partition's place in the cluster over its log (`partition.ts`), those
 * who wait for its records (`parked-fetches.ts`) and what fetchers need not repeat
 * (`fetch-sessions.ts`). What must not: how bytes lie on disk (`log`), who leads (`metadata`), what a
 * client's message looks like beyond the fetch request that a session remembers (`handlers`).
 * Imports `protocol`, `environment` and `log`.
 */
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'
import { Log } from '../log/log.ts'
import type { LogDirectory, PartitionDirectory } from '../log/log-directory.ts'
import type { TailCache } from '../log/tail-cache.ts'
import { Partition, type PartitionState, type ReplicaConfig } from './partition.ts'

/** A partition as the metadata has it; the parts of its image that replicas look at. */
export interface AssignedPartition extends PartitionState {
  /** The log directory of each replica, in the order of `replicas`. */
  readonly directories: readonly string[]
}

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
  readonly producerIdExpirationMs: Milliseconds
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

interface HostedTopic {
  readonly name: string
  readonly id: string
  readonly partitions: (Partition | undefined)[]
}

const metadataTopic = '__cluster_metadata'

export class Replicas {
  readonly #environment: Environment
  readonly #options: ReplicasOptions
  readonly #directoryIds = new Map<LogDirectory, string | undefined>()
  /** Partitions of topics in each directory. */
  readonly #load = new Map<LogDirectory, number>()
  readonly #byName = new Map<string, HostedTopic>()
  readonly #byId = new Map<string, HostedTopic>()
  #topics: AssignedTopics = { byName: new Map(), byId: new Map() }
  readonly #duties = new Map<() => void, Timer>()

  constructor(options: ReplicasOptions) {
    this.#environment = options.environment
    this.#options = options
    for (const directory of options.directories) {
      this.#directoryIds.set(directory, directory.readMetaProperties()?.directoryId)
      this.#load.set(directory, 0)
    }
  }

  get directories(): readonly LogDirectory[] {
    return this.#options.directories
  }

  /** All partitions hosted here, grouped by topic. */
  *partitions(): IterableIterator<Partition> {
    for (const topic of this.#byName.values()) {
      for (const partition of topic.partitions) if (partition !== undefined) yield partition
    }
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

  /** Opens the logs on disk of partitions assigned here, recovering where needed, and starts the duties. */
  start(topics: AssignedTopics): void {
    this.#topics = topics
    const found = this.#findLogs()
    for (const topic of topics.byName.values()) this.#host(topic, topic.partitions.keys(), found)
    const { intervals } = this.#options
    this.#every(intervals.checkpointMs, intervals.checkpointMs, () => this.checkpoint())
    this.#every(intervals.firstRetentionMs, intervals.retentionMs, () => this.deleteOldSegments())
    this.#every(intervals.producerExpiryMs, intervals.producerExpiryMs, () => {
      for (const log of this.#logs()) log.expireProducers()
    })
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

  /** Directories that still work. */
  get onlineDirectories(): LogDirectory[] {
    return this.#options.directories.filter(({ failure }) => failure === null)
  }

  /** Writes recovery points, log starts and high watermarks. */
  checkpoint(): void {
    for (const directory of this.onlineDirectories) {
      this.#guarded(directory, () => directory.writeCheckpoints())
    }
  }

  /** Retention by time and size, and the removal of what DeleteRecords passed. */
  deleteOldSegments(): void {
    for (const log of this.#logs()) this.#guarded(log.directory, () => log.deleteOldSegments())
  }

  /** Ends the duties and all waiting, flushes and closes every log, and marks the shutdown as clean. */
  async close(brokerEpoch: number): Promise<void> {
    for (const timer of this.#duties.values()) timer.cancel()
    this.#duties.clear()
    await Promise.all(this.onlineDirectories.map((directory) => directory.close(brokerEpoch)))
    for (const partition of this.partitions()) partition.release()
    this.#byName.clear()
    this.#byId.clear()
  }

  /** Those that are open, on disks that work. */
  *#logs(): IterableIterator<Log> {
    for (const { isOffline, openedLog } of this.partitions()) {
      if (!isOffline && openedLog !== null) yield openedLog
    }
  }

  /** The logs on disk that belong to assigned partitions; all others are set aside. */
  #findLogs(): Map<string, LogDirectory> {
    const found = new Map<string, LogDirectory>()
    for (const directory of this.onlineDirectories) {
      this.#guarded(directory, () => {
        for (const entry of directory.partitions()) {
          if (entry.topic === metadataTopic) continue
          const key = `${entry.topic}-${entry.partition}`
          if (!this.#isAssigned(entry)) this.#setAside(directory, entry)
          else if (found.has(key)) this.#refuseSecond(directory, entry)
          else found.set(key, directory)
        }
      })
    }
    return found
  }

  #isAssigned({ topic, partition, topicId }: PartitionDirectory): boolean {
    const assigned = this.#topics.byName.get(topic)
    if (assigned === undefined || (topicId !== null && topicId !== assigned.id)) return false
    return assigned.partitions[partition]?.replicas.includes(this.#options.brokerId) ?? false
  }

  /** No topic of the cluster knows this directory: keeps it under Kafka's name for strays. */
  #setAside(directory: LogDirectory, { name, topic, partition }: PartitionDirectory): void {
    const unique = this.#environment.random.bytes(16).toString('hex')
    const stray = `${topic}-${partition}.${unique}-stray`
    directory.disk.rename(`${directory.path}/${name}`, `${directory.path}/${stray}`)
    const fields = { directory: directory.path, name, renamedTo: stray }
    this.#environment.log.warn('partition on disk belongs to no topic; set aside', fields)
  }

  #refuseSecond(directory: LogDirectory, { name }: PartitionDirectory): void {
    const message = 'partition is in two log directories; the second one is left unused'
    this.#environment.log.error(message, { directory: directory.path, name })
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
      const directory = found?.get(`${topic.name}-${index}`)
      this.#place(partition, directory ?? this.#choose(assigned))
      // What is on disk is recovered now; what is not is made when it is needed.
      if (directory !== undefined) this.#guarded(directory, () => partition.log)
    }
  }

  #hostTopic({ name, id }: AssignedTopic): HostedTopic {
    const hosted: HostedTopic = { name, id, partitions: [] }
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
    })
    // Without holes, however the partitions come.
    while (topic.partitions.length < index) topic.partitions.push(undefined)
    topic.partitions[index] = partition
    return partition
  }

  /** The directory that the metadata names, else the one with the fewest partitions; undefined: all failed. */
  #choose(assigned: AssignedPartition): LogDirectory | undefined {
    const named = assigned.directories[assigned.replicas.indexOf(this.#options.brokerId)]
    let chosen: LogDirectory | undefined
    for (const directory of this.#options.directories) {
      if (directory.failure !== null) continue
      if (named !== undefined && this.#directoryIds.get(directory) === named) return directory
      if (chosen === undefined || this.#loadOf(directory) < this.#loadOf(chosen)) chosen = directory
    }
    return chosen
  }

  #loadOf(directory: LogDirectory): number {
    return this.#load.get(directory) ?? 0
  }

  #place(partition: Partition, directory: LogDirectory | undefined): void {
    if (directory === undefined) return
    const { topic, topicId, index } = partition
    const { environment, tailCache, producerIdExpirationMs } = this.#options
    this.#load.set(directory, this.#loadOf(directory) + 1)
    partition.place(directory, () =>
      Log.open({
        environment,
        directory,
        topic,
        partition: index,
        topicId,
        config: partition.config,
        tailCache,
        producerIdExpirationMs,
      }),
    )
  }

  #removeTopic(id: string): void {
    const hosted = this.#byId.get(id)
    if (hosted === undefined) return
    this.#byId.delete(id)
    this.#byName.delete(hosted.name)
    for (const partition of hosted.partitions) if (partition !== undefined) this.#delete(partition)
  }

  #delete(partition: Partition): void {
    const { directory } = partition
    const log = partition.release()
    if (directory === null) return
    this.#load.set(directory, this.#loadOf(directory) - 1)
    if (log !== null && directory.failure === null) this.#guarded(directory, () => log.delete())
  }

  /** Runs what a failing disk may end; the directory has fenced itself by then, and said so. */
  #guarded(directory: LogDirectory, run: () => unknown): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      const fields = { directory: directory.path, err: error }
      this.#environment.log.warn('work on a log directory was given up', fields)
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
