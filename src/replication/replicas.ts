/**
 * The partitions that this broker hosts: made, changed and removed as the metadata says, each with its
 * log in one of the log directories.
 *
 * What lives in this folder: a partition's place in the cluster over its log (`partition.ts`), those
 * who wait for its records (`parked-fetches.ts`), what fetchers need not repeat (`fetch-sessions.ts`),
 * in which directory a new one lies (`placement.ts`) and who is told (`place-notices.ts`), which were found
 * (`found-logs.ts`) and opened (`opening.ts`), which move to another (`directory-moves.ts`), and what is done to all of them now and then
 * (`upkeep.ts`). What must not: how bytes lie on disk (`log`), who leads (`metadata`), what a client's message
 * looks like beyond the fetch request that a session remembers (`handlers`).
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { CleanableLog } from '../log/compaction/cleanable-log.ts'
import { type CompactionConfig, Compactor } from '../log/compaction/compactor.ts'
import { Log } from '../log/log.ts'
import { isCompacted } from '../log/log-config.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { LogOptions } from '../log/log-options.ts'
import { isOutOfFiles, OutOfFiles, orOutOfFiles } from '../log/out-of-files.ts'
import { isTooLongForFuture } from '../log/partition-names.ts'
import type { TailCache } from '../log/tail-cache.ts'
import {
  type AssignedPartition,
  type AssignedTopic,
  type AssignedTopics,
  type AssignmentChanges,
  notHosted,
} from './assignment.ts'
import { DirectoryMoves } from './directory-moves.ts'
import { type FoundLogs, guarded, LogSearch, setAside } from './found-logs.ts'
import { Opening } from './opening.ts'
import { Partition, type ReplicaConfig } from './partition.ts'
import { type AssignDirectories, PlaceNotices } from './place-notices.ts'
import { Placement } from './placement.ts'
import { TopicTraffic } from './topic-traffic.ts'
import { Upkeep, type UpkeepIntervals } from './upkeep.ts'

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
  /** replica.alter.log.dirs.io.max.bytes.per.second, read anew whenever it matters; unlimited where absent. */
  readonly moveBytesPerSecondMax?: () => number
  /** Ids of the log directories that worked at the last start. */
  readonly directoriesBefore?: readonly string[]
  /** Where absent, nobody needs to know where partitions lie. */
  readonly assignDirectories?: AssignDirectories
  readonly intervals: UpkeepIntervals
}

export interface HostedTopic {
  readonly name: string
  readonly id: string
  readonly partitions: (Partition | undefined)[]
  readonly traffic: TopicTraffic
}

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
  readonly #opening: Opening
  #opened: Promise<void> = Promise.resolve()
  /** What is done to all logs now and then. */
  readonly upkeep: Upkeep
  /** Partitions on their way to another log directory. */
  readonly moves: DirectoryMoves
  /** Tells the metadata where partitions lie, once `begin` was called: what is committed must reach `apply`. */
  readonly places: PlaceNotices
  /** Runs once for each partition that failed alone. */
  onPartitionFailure: ((partition: Partition) => void) | null = null

  constructor(options: ReplicasOptions) {
    this.#environment = options.environment
    this.#options = options
    const { directories, brokerId, environment } = options
    const { directoriesBefore = [] } = options
    const { log } = environment
    this.#placement = new Placement({ directories, directoriesBefore, brokerId, log })
    this.places = new PlaceNotices({
      environment,
      assign: options.assignDirectories ?? (async () => []),
      idOf: (directory) => this.#placement.idOf(directory),
    })
    const logs = () => this.#openLogsToCompact()
    this.#compactor = new Compactor({ environment, logs, config: options.compaction })
    this.#opening = new Opening(environment)
    this.upkeep = new Upkeep({
      environment,
      intervals: options.intervals,
      partitions: () => this.partitions(),
      partition: (topic, index) => this.get(topic, index),
      directories: () => this.onlineDirectories,
    })
    this.moves = new DirectoryMoves({
      environment,
      bytesPerSecondMax: options.moveBytesPerSecondMax ?? (() => Number.MAX_VALUE),
      open: (...where) => this.#openNext(...where),
      assign: (partition, directory) => this.#assign(partition, directory),
      onMoved: (partition, log) => this.#moved(partition, log),
    })
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
   * Takes in what is on disk of the partitions assigned here, and starts the duties. Logs that were not
   * closed in good order, or are gone, are opened, and recovered, by then. Others are opened behind, or as
   * soon as they are asked for: see `opened`. Resolves early where `close` is called meanwhile.
   */
  async start(topics: AssignedTopics): Promise<void> {
    this.#topics = topics
    let found = this.#findLogs()
    while (found === null) {
      await this.#opening.untilFilesWereClosed()
      if (this.#opening.isEnded) return
      found = this.#findLogs()
    }
    for (const topic of topics.byName.values()) this.#host(topic, topic.partitions.keys(), found)
    this.#placement.tellLost()
    const stored = [...this.partitions()].filter(({ isUnopened }) => isUnopened)
    const behind = await this.#opening.openDue(stored)
    if (this.#opening.isEnded) return
    for (const { topic, partition: index, directory, directoryName } of found.copies) {
      const partition = this.get(topic, index)
      if (partition?.open() !== true || partition.openedLog === null) continue
      this.moves.resume(partition, directory, directoryName)
    }
    this.upkeep.start()
    this.#compactor.start()
    this.#opened = this.#opening.openBehind(behind)
  }

  /** Resolves when all logs on disk are open, as far as they can be, once `start` has resolved. */
  get opened(): Promise<void> {
    return this.#opened
  }

  /** How many of the logs on disk are open, while they are being opened. */
  get opening(): Opening['progress'] {
    return this.#opening.progress
  }

  /** Makes hosted what the metadata now says; `topics` is the state after the changes. */
  apply(changes: AssignmentChanges, topics: AssignedTopics): void {
    this.#topics = topics
    for (const { id } of changes.deleted) this.#removeTopic(id)
    for (const { topic, partitions } of changes.changed) this.#host(topic, partitions)
    for (const name of changes.reconfigured) this.reconfigure(name)
  }

  /**
   * AlterReplicaLogDirs: the partition is to lie in the directory `path`; one that is not here yet, once it
   * is. Gives what is against it: INVALID_TOPIC_EXCEPTION, LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR,
   * UNKNOWN_TOPIC_OR_PARTITION or REPLICA_NOT_AVAILABLE; or NONE.
   */
  moveTo(path: string, topic: string, index: number): ErrorRow {
    if (isTooLongForFuture(topic, index)) return errors.INVALID_TOPIC_EXCEPTION
    const directory = this.directories.find((one) => one.path === path)
    if (directory === undefined) return errors.LOG_DIR_NOT_FOUND
    if (directory.failure !== null) return errors.KAFKA_STORAGE_ERROR
    const partition = this.find(topic, index)
    if (!(partition instanceof Partition)) {
      this.#placement.prefer(`${topic}-${index}`, directory)
      const isElsewhere = partition === errors.NOT_LEADER_OR_FOLLOWER
      return isElsewhere ? errors.REPLICA_NOT_AVAILABLE : partition
    }
    if (partition.isOffline) return errors.KAFKA_STORAGE_ERROR
    if (this.moves.nextOf(partition)?.directory === directory) return errors.NONE
    this.moves.giveUp(partition)
    if (partition.directory === directory) return errors.NONE
    return this.#beginMove(partition, directory)
  }

  /** While a directory is out of use, a copy may lie in it already. */
  #beginMove(partition: Partition, directory: LogDirectory): ErrorRow {
    if (this.onlineDirectories.length < this.directories.length) return errors.KAFKA_STORAGE_ERROR
    try {
      if (partition.storedLog !== null) this.moves.begin(partition, directory)
      else {
        // It has no files yet.
        if (partition.directory !== null) this.#placement.remove(partition.directory)
        this.#place(partition, directory, false)
        this.moves.tellPlace(partition)
      }
      return errors.NONE
    } catch (error) {
      if (error instanceof KafkaError) return error.error
      if (error instanceof DiskError) return errors.KAFKA_STORAGE_ERROR
      throw error
    }
  }

  async #assign(partition: Partition, directory: LogDirectory): Promise<void> {
    const { topicId, index } = partition
    this.places.forget(partition)
    const directoryId = this.#placement.idOf(directory)
    if (directoryId === undefined) return
    const [error] =
      (await this.#options.assignDirectories?.([{ topicId, index, directoryId }])) ?? []
    if (error !== undefined && error !== errors.NONE) throw new KafkaError(error)
  }

  /** The effective settings of a topic may have changed. */
  reconfigure(topic: string): void {
    const hosted = this.#byName.get(topic)
    if (hosted === undefined) return
    const config = this.#options.configFor(topic)
    for (const partition of hosted.partitions) {
      if (partition === undefined) continue
      partition.updateConfig(config)
      this.moves.updateConfig(partition)
    }
  }

  /** The settings of the broker may have changed, and with them those of every topic. */
  reconfigureAll(): void {
    this.moves.rateChanged()
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
   * Resolves when what `deleteRecords` has deleted stays deleted, whatever happens. Rejects with
   * DiskError.
   */
  async persistLogStarts(): Promise<void> {
    await Promise.all(this.onlineDirectories.map((directory) => directory.logs.checkpoint()))
  }

  /** Lets a `start` that is under way end after the partition it is at. */
  endStart(): void {
    this.#opening.end()
  }

  /** Ends the duties and all waiting, flushes and closes every log, and marks the shutdown as clean. */
  async close(brokerEpoch: number): Promise<void> {
    this.#opening.end()
    const upkeep = this.upkeep.stop()
    await Promise.all([this.moves.stop(), this.#compactor.stop(), this.#opened, upkeep])
    await Promise.all(this.#options.directories.map((directory) => directory.close(brokerEpoch)))
    for (const partition of this.partitions()) partition.release()
    this.#byName.clear()
    this.#byId.clear()
  }

  *#openLogsToCompact(): IterableIterator<CleanableLog> {
    for (const { partitions } of this.#byName.values()) {
      for (const partition of partitions) {
        if (partition === undefined) continue
        // So are all of the topic, and there may be very many of them.
        if (!isCompacted(partition.config)) break
        const log = partition.openedLog
        if (log !== null && !partition.isOffline) yield log.cleanable
      }
    }
  }

  #host(topic: AssignedTopic, indexes: Iterable<number>, found?: FoundLogs): void {
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
      const isOnDisk = found?.places.has(`${partition}`) === true
      const directory = this.#directoryFor(`${partition}`, assigned, found)
      this.#place(partition, directory, isOnDisk)
      if (directory === undefined) this.#tellMissed(partition, assigned, found)
      else if (!this.#placement.isNamed(directory, assigned)) this.places.add(partition)
    }
  }

  /** Only the start finds out: after it the directories are those of this one. */
  #tellMissed(partition: Partition, assigned: AssignedPartition, found?: FoundLogs): void {
    if (found === undefined || found.incomplete.has(`${partition}`)) return
    const directoryId = this.#placement.missedBy(assigned)
    if (directoryId === null || this.#placement.isCalled(directoryId, assigned)) return
    this.places.addMissed(partition, directoryId)
  }

  /** For the partition `name`; `found`: at the start. */
  #directoryFor(
    name: string,
    assigned: AssignedPartition,
    found: FoundLogs | undefined,
  ): LogDirectory | undefined {
    if (found === undefined) return this.#placement.choose(name, assigned)
    if (found.incomplete.has(name)) return undefined
    return found.places.get(name) ?? this.#placement.chooseUnlessLost(name, assigned)
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
    this.#placement.add(directory)
    const options = this.#logOptions(partition, directory)
    const open = () => orOutOfFiles(() => Log.open({ ...options, config: partition.config }))
    const openPlaced = () => {
      try {
        return open()
      } catch (error) {
        const isOfOtherTopic =
          error instanceof KafkaError && error.error === errors.INCONSISTENT_TOPIC_ID
        if (!isOfOtherTopic || isOnDisk) throw error
        setAside(directory, this.#environment.log, `${partition}`)
        return open()
      }
    }
    partition.place(directory, openPlaced, isOnDisk)
  }

  #logOptions(partition: Partition, directory: LogDirectory): LogOptions {
    const { topic, topicId, index, config } = partition
    const { environment, tailCache, producerIdExpirationMs } = this.#options
    const of = { topic, partition: index, topicId, config }
    return { environment, directory, ...of, tailCache, producerIdExpirationMs }
  }

  /** The log that is to take the place of the partition's. */
  #openNext(partition: Partition, directory: LogDirectory, directoryName: string): Log {
    const options = this.#logOptions(partition, directory)
    const mayHaveGaps = partition.log.cleanedOffset >= 0
    // The log itself has what the copy lacks.
    return Log.open({ ...options, directoryName, mayHaveGaps, onDamage: 'refuse' })
  }

  #moved(partition: Partition, log: Log): void {
    if (partition.directory !== null) this.#placement.remove(partition.directory)
    this.#place(partition, log.directory, true)
    partition.replaceLog(log)
  }

  /** Null where no file can be opened now. */
  #findLogs(): FoundLogs | null {
    const directories = this.onlineDirectories
    const search = new LogSearch({
      directories,
      areAllOnline: directories.length === this.directories.length,
      placement: this.#placement,
      brokerId: this.#options.brokerId,
      log: this.#environment.log,
      topic: (name) => this.#topics.byName.get(name),
    })
    try {
      return search.run()
    } catch (error) {
      if (!isOutOfFiles(error) && !(error instanceof OutOfFiles)) throw error
      return null
    }
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
    this.moves.giveUp(partition, { isGone: true })
    this.places.forget(partition)
    const log = partition.release()
    if (directory === null) return
    this.#placement.remove(directory)
    if (directory.failure !== null) return
    guarded(directory, this.#environment.log, () => {
      if (log !== null) log.delete()
      // It may be there and have refused to be opened.
      else if (directory.partitions.has(`${partition}`)) {
        directory.partitions.remove(`${partition}`, config.fileDeleteDelayMs)
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
}
