/**
 * One partition that this broker hosts: its place in the cluster (leader, epochs, in-sync set) over its
 * log. Appends enter here as leader, reads leave here bounded by the high watermark, and whoever waits
 * for records is told here, right after the bytes were written.
 *
 * While the leader is the whole in-sync set, the high watermark is the end of what is written.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import { DiskError } from '../environment/disk.ts'
import type { Log } from '../log/log.ts'
import { isDeleted, type LogConfig } from '../log/log-config.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { AppendResult } from '../log/log-options.ts'
import { OutOfFiles } from '../log/out-of-files.ts'
import { nothingAt, type ReadResult } from '../log/segment-read.ts'
import type { AppendOrigin, Checking } from '../log/validation.ts'
import type { TopicTraffic } from './topic-traffic.ts'
import { checkEpoch, type FirstBatch, type Verification, Verifications } from './verifications.ts'
import { type PartitionWatcher, PartitionWatchers } from './watchers.ts'

/** What a replica needs to know of its topic's configuration. */
export interface ReplicaConfig extends LogConfig {
  readonly minInsyncReplicas: number
}

/** Who leads, in which term, and who is in sync, as the metadata says. */
export interface PartitionState {
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  /** -1: nobody. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
}

export interface AppendOptions extends Checking {
  /** 0 and 1: this broker's copy counts; -1: the whole in-sync set must have it. */
  readonly acks: number
  readonly origin?: AppendOrigin
  /**
   * Of a batch in a transaction, where such are verified: null if nothing had to be verified as the
   * transaction was open.
   */
  readonly verification?: Verification | null
  /** That of the transaction which a marker ends. */
  readonly transactionVersion?: number
}

/** The end of a producer's transaction, for one partition. */
export interface EndOfTransaction {
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly isCommit: boolean
  /** 0 to 2: how the epoch is checked (KIP-890). */
  readonly transactionVersion: number
}

const clientsTransactionVersion = -1

/** Asked for with DeleteRecords: delete up to the high watermark. */
const upToHighWatermark = -1
const wholeInSyncSet = -1

export class Partition {
  readonly topic: string
  readonly topicId: string
  readonly index: number
  /** Of all partitions of the topic here. */
  readonly traffic: TopicTraffic
  readonly #brokerId: number
  #config: ReplicaConfig
  #state: PartitionState = {
    replicas: [],
    isr: [],
    leader: -1,
    leaderEpoch: -1,
    partitionEpoch: -1,
  }
  #directory: LogDirectory | null = null
  #log: Log | null = null
  #open: (() => Log) | null = null
  /** There were files of it at the start. */
  #isStored = false
  /** Why this partition alone cannot be used, or null. */
  #failure: Error | null = null
  /** The promise of the newest append, that its failure is seen once however many share it. */
  #written: Promise<void> | null = null
  readonly #verifications: Verifications
  readonly #watchers = new PartitionWatchers()

  constructor(options: {
    topic: string
    topicId: string
    index: number
    brokerId: number
    config: ReplicaConfig
    traffic: TopicTraffic
  }) {
    this.topic = options.topic
    this.topicId = options.topicId
    this.index = options.index
    this.#brokerId = options.brokerId
    this.#config = options.config
    this.traffic = options.traffic
    this.#verifications = new Verifications(`${this}`)
  }

  /**
   * The local replica. It is opened when it is first needed, so that a partition costs no files before
   * it has records or a reader, and a start need not wait for it. Throws KafkaError KAFKA_STORAGE_ERROR
   * where the partition has no directory or cannot be opened: it is offline then, unless it is that no
   * file can be opened now.
   */
  get log(): Log {
    return this.#log ?? this.#openLog()
  }

  /** The local replica if it is open: for those who look after what there is. */
  get openedLog(): Log | null {
    return this.#log
  }

  /** The local replica, unless it has no files yet. Throws as `log`. */
  get storedLog(): Log | null {
    return this.#log ?? (this.#isStored ? this.#openLog() : null)
  }

  /** There are files of it, and nobody has looked into them since the start. */
  get isUnopened(): boolean {
    return this.#log === null && this.#isStored
  }

  /** Opens the local replica, unless it has no files yet. False: it cannot be opened. */
  open(): boolean {
    try {
      void this.storedLog
      return true
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      return false
    }
  }

  /** The log directory it was given; null: none was left to give. */
  get directory(): LogDirectory | null {
    return this.#directory
  }

  get config(): ReplicaConfig {
    return this.#config
  }

  get state(): PartitionState {
    return this.#state
  }

  get leaderEpoch(): number {
    return this.#state.leaderEpoch
  }

  get isLeader(): boolean {
    return this.#state.leader === this.#brokerId
  }

  /** Its disk or its own files failed, or no disk could be given to it. */
  get isOffline(): boolean {
    return this.#directory === null || this.#failure !== null || this.#directory.failure !== null
  }

  /** Why this partition alone is offline, or null. */
  get failure(): Error | null {
    return this.#failure
  }

  // All four are 0 where there are no files yet, and throw as `log` where those that are there cannot be
  // opened: nobody must take such a log for an empty one.

  get logStartOffset(): number {
    return this.storedLog?.logStartOffset ?? 0
  }

  get logEndOffset(): number {
    return this.storedLog?.logEndOffset ?? 0
  }

  get highWatermark(): number {
    return this.storedLog?.highWatermark ?? 0
  }

  get lastStableOffset(): number {
    return this.storedLog?.lastStableOffset ?? 0
  }

  /**
   * Why a request that must meet the leader of `currentLeaderEpoch` (-1: any) is refused, or null:
   * KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH or NOT_LEADER_OR_FOLLOWER (KIP-320).
   */
  leaderError(currentLeaderEpoch = -1): ErrorRow | null {
    if (this.isOffline || (this.isUnopened && !this.open())) return errors.KAFKA_STORAGE_ERROR
    if (currentLeaderEpoch !== -1) {
      if (currentLeaderEpoch < this.#state.leaderEpoch) return errors.FENCED_LEADER_EPOCH
      if (currentLeaderEpoch > this.#state.leaderEpoch) return errors.UNKNOWN_LEADER_EPOCH
    }
    return this.isLeader ? null : errors.NOT_LEADER_OR_FOLLOWER
  }

  /**
   * Gives the partition its place on disk, and how to open, or make, its log there. `isStored`: its files
   * are there.
   */
  place(directory: LogDirectory, open: () => Log, isStored: boolean): void {
    this.#directory = directory
    this.#open = open
    this.#isStored = isStored
  }

  /** The log that has taken the place of the one until now is the local replica from here on. */
  replaceLog(log: Log): void {
    this.#log = log
    log.onWritten = () => this.#advance()
    this.#advance()
  }

  /** Takes what the metadata says; older partition epochs are ignored. */
  updateState(state: PartitionState): void {
    if (state.partitionEpoch < this.#state.partitionEpoch) return
    const before = this.#state
    this.#state = state
    this.#becomeWhatStateSays(before.leaderEpoch)
    if (before.leader === state.leader && before.leaderEpoch === state.leaderEpoch) return
    this.#verifications.clear()
    this.#watchers.changed()
  }

  updateConfig(config: ReplicaConfig): void {
    this.#config = config
    this.#log?.updateConfig(config)
  }

  /** The directory of the log was fenced. */
  markOffline(): void {
    this.#watchers.changed()
  }

  /** Nothing more is read from the files of this partition, or written to them. */
  fail(error: Error): void {
    if (this.#failure !== null || this.#directory === null) return
    this.#failure = error
    this.#directory.failPartition(this.toString(), error)
    this.#watchers.changed()
  }

  /**
   * Runs what looks after the log. What it fails with, other than an answer, ends the partition, or
   * the directory has ended with it.
   */
  tend(work: (log: Log) => void): void {
    if (this.isOffline || (this.isUnopened && !this.open()) || this.#log === null) return
    try {
      work(this.#log)
    } catch (error) {
      this.#noteFailure(error)
    }
  }

  /** The partition is no longer here: ends all waiting and hands its log to whoever removes it. */
  release(): Log | null {
    const log = this.#log
    this.#log = null
    this.#open = null
    this.#isStored = false
    this.#directory = null
    if (log !== null) log.onWritten = null
    this.#watchers.changed()
    return log
  }

  /**
   * Appends as leader. The caller answers once `written` of the result has resolved. Throws KafkaError:
   * the rows of `leaderError`, NOT_ENOUGH_REPLICAS, or what the log has against the records.
   */
  append(records: Buffer, options: AppendOptions): AppendResult {
    this.traffic.countProduce()
    try {
      const appended = this.#appendAsLeader(records, options)
      const { baseOffset, lastOffset } = appended
      this.traffic.countAppended(lastOffset - baseOffset + 1, records.length)
      return appended
    } catch (error) {
      this.traffic.countRefused(error, records.length)
      throw error
    }
  }

  #appendAsLeader(records: Buffer, options: AppendOptions): AppendResult {
    const error = this.leaderError()
    if (error !== null) throw new KafkaError(error)
    if (options.acks === wholeInSyncSet) this.#checkInSyncReplicas()
    const { verification } = options
    if (verification !== undefined) this.#verifications.check(records, verification, this.log)
    const appended = this.#append(this.log, records, options)
    if (appended.isDuplicate) return appended
    this.#watchers.appended(records.length)
    if (verification !== undefined) this.#verifications.onAppended(header.producerId(records, 0))
    return appended
  }

  /**
   * Begins to verify that a batch may open a transaction here; null where it is open already. Throws
   * KafkaError: the rows of `leaderError`, INVALID_PRODUCER_EPOCH.
   */
  startVerification(batch: FirstBatch): Verification | null {
    const error = this.leaderError()
    if (error !== null) throw new KafkaError(error)
    const { log } = this
    checkEpoch(log, batch.producerId, batch.producerEpoch)
    if (log.hasOpenTransaction(batch.producerId, batch.producerEpoch)) return null
    return this.#verifications.begin(batch)
  }

  /**
   * Appends the marker that ends a transaction; one that was appended before may be appended again. Throws
   * KafkaError: as `append`, and INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
   */
  appendMarker(end: EndOfTransaction, timestamp: number): AppendResult {
    const { producerId: id, producerEpoch: epoch, coordinatorEpoch } = end
    const type = end.isCommit ? 'commit' : 'abort'
    const records = [{ type, value: { coordinatorEpoch } } as const]
    const marker = encodeControlBatch({ records, timestamp, producer: { id, epoch } })
    const { transactionVersion } = end
    const options = { acks: wholeInSyncSet, origin: 'coordinator', transactionVersion } as const
    const appended = this.append(marker, options)
    this.#verifications.onMarker(id, epoch)
    return appended
  }

  /** What a failed append leaves in memory, producers' sequences above all, holds no more. */
  #append(log: Log, records: Buffer, options: AppendOptions): AppendResult {
    const { origin, transactionVersion = clientsTransactionVersion } = options
    const { leaderEpoch } = this.#state
    try {
      const appended = log.append(records, leaderEpoch, origin, transactionVersion, options)
      if (appended.written !== this.#written) {
        this.#written = appended.written
        appended.written.catch((error: unknown) => {
          if (this.#log === log) this.#noteFailure(error)
        })
      }
      return appended
    } catch (error) {
      this.#noteFailure(error)
      throw error
    }
  }

  #checkInSyncReplicas(): void {
    const { isr, replicas } = this.#state
    const required = Math.min(this.#config.minInsyncReplicas, replicas.length)
    if (isr.length >= required) return
    const message = `${this} has ${isr.length} in-sync replicas; acks=all needs ${required}`
    throw new KafkaError(errors.NOT_ENOUGH_REPLICAS, message)
  }

  /** The end, exclusive, of what a consumer may see. */
  readableOffset(isReadCommitted: boolean): number {
    return isReadCommitted ? this.lastStableOffset : this.highWatermark
  }

  /** Whether `offset` lies neither in the log nor at its end: OFFSET_OUT_OF_RANGE. */
  isOutOfRange(offset: number): boolean {
    return offset < this.logStartOffset || offset > this.logEndOffset
  }

  /**
   * Batches from `offset` up to what a consumer may see; at once where they are in memory. The offset
   * must be in range. May throw, or reject with, DiskError.
   */
  read(
    offset: number,
    options: { maxBytes: number; minOneBatch: boolean; isReadCommitted: boolean },
  ): ReadResult | Promise<ReadResult> {
    const upToOffset = this.readableOffset(options.isReadCommitted)
    const { maxBytes, minOneBatch } = options
    if (offset >= upToOffset || (maxBytes <= 0 && !minOneBatch)) return nothingAt(offset)
    return this.log.reader.read({ offset, maxBytes, minOneBatch, upToOffset })
  }

  /**
   * The end of the log's common history with a fetcher whose last record before `fetchOffset` has
   * `lastFetchedEpoch`, where it ends before `fetchOffset`; else null (KIP-595). Throws KafkaError
   * OFFSET_OUT_OF_RANGE where the log knows nothing of such an epoch.
   */
  divergence(
    fetchOffset: number,
    lastFetchedEpoch: number,
  ): { epoch: number; endOffset: number } | null {
    const { leaderEpoch: epoch, endOffset } = this.log.endOffsetFor(lastFetchedEpoch)
    if (endOffset === -1 || epoch === -1) throw new KafkaError(errors.OFFSET_OUT_OF_RANGE)
    return epoch < lastFetchedEpoch || endOffset < fetchOffset ? { epoch, endOffset } : null
  }

  /**
   * Deletes the records before `offset` (-1: before the high watermark); returns the new start of the
   * log. Throws KafkaError: the rows of `leaderError`, POLICY_VIOLATION, OFFSET_OUT_OF_RANGE.
   */
  deleteRecords(offset: number): number {
    const error = this.leaderError()
    if (error !== null) throw new KafkaError(error)
    if (!isDeleted(this.#config)) {
      const message = `cleanup.policy of topic ${this.topic} does not allow records to be deleted`
      throw new KafkaError(errors.POLICY_VIOLATION, message)
    }
    const target = offset === upToHighWatermark ? this.highWatermark : offset
    if (target < 0 || target > this.highWatermark) {
      const message = `offset ${target} of ${this} is not below its high watermark`
      throw new KafkaError(errors.OFFSET_OUT_OF_RANGE, message)
    }
    this.log.deleteRecords(target)
    return this.logStartOffset
  }

  watch(watcher: PartitionWatcher): void {
    this.#watchers.add(watcher)
  }

  unwatch(watcher: PartitionWatcher): void {
    this.#watchers.delete(watcher)
  }

  /** How many each append has to tell. */
  get watcherCount(): number {
    return this.#watchers.size
  }

  toString(): string {
    return `${this.topic}-${this.index}`
  }

  #openLog(): Log {
    if (this.#open === null || this.isOffline) throw new KafkaError(errors.KAFKA_STORAGE_ERROR)
    let log: Log
    try {
      log = this.#open()
    } catch (error) {
      if (error instanceof OutOfFiles) throw error
      if (error instanceof Error) this.#failUnlessFenced(error)
      const message = `${this} cannot be opened: ${(error as Error).message}`
      throw new KafkaError(errors.KAFKA_STORAGE_ERROR, message, { cause: error })
    }
    this.#log = log
    log.onWritten = () => this.#advance()
    this.#becomeWhatStateSays(-1)
    return log
  }

  #becomeWhatStateSays(leaderEpochBefore: number): void {
    const log = this.#log
    if (log === null || this.isOffline || !this.isLeader) return
    if (this.#state.leaderEpoch !== leaderEpochBefore) {
      log.assignEpochStart(this.#state.leaderEpoch)
    }
    this.#advance()
  }

  #noteFailure(error: unknown): void {
    if (error instanceof OutOfFiles) return
    const cause = error instanceof KafkaError ? error.cause : error
    if (cause instanceof DiskError) this.#failUnlessFenced(cause)
    else if (!(error instanceof KafkaError)) throw error
  }

  /** Where the whole directory failed, that was told already. */
  #failUnlessFenced(error: Error): void {
    if (this.#directory?.failure === null) this.fail(error)
  }

  /** Moves the high watermark to what the in-sync set has, and tells those who wait. */
  #advance(): void {
    const log = this.#log
    if (log === null || !this.isLeader || this.#state.isr.length > 1) return
    this.#watchers.startAt(log.logStartOffset)
    const before = log.highWatermark
    if (log.updateHighWatermark(log.logEndOffset) !== before) this.#watchers.readable(log)
  }
}
