/**
 * The partition log: one replica of one partition, as Kafka's files in one directory.
 *
 * Appending checks the batch, gives it its offsets and leaves it to the log's end (`log-end`), which
 * writes it with all of the turn. Reads are bounded by what is written, and come from the tail cache
 * where it reaches back far enough. One writer; everything but reads, timestamp lookups and syncs is
 * synchronous.
 *
 * In this folder: the log and its files (`segments`, `segment`, the indexes, `scan`), what opens it
 * (`recovery`, which says what becomes of damage), what checks appends (`validation`,
 * `producer-states`), what cuts it (`retention`, `leader-epochs`, `compaction/`), and the directory that holds many
 * of them (`log-directory`, `checkpoints`). Not here: topics' metadata, replication, who may read up
 * to where. It imports protocol and environment.
 *
 *     logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset <= nextOffset
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import type { Allowance } from '../../protocol/records/message-set.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { CleanableLog } from './compaction/cleanable-log.ts'
import { mustSyncAtStart } from './durability.ts'
import { type EpochEnd, LeaderEpochs } from './leader-epochs.ts'
import { isCompacted, type LogConfig } from './log-config.ts'
import type { LogDirectory } from './log-directory.ts'
import { LogEnd } from './log-end.ts'
import type { AppendResult, LogOptions } from './log-options.ts'
import { orOutOfFiles } from './out-of-files.ts'
import { PartitionDisk } from './partition-disk.ts'
import { claimDirectory } from './partition-metadata.ts'
import { checkProducers } from './producer-checks.ts'
import { rebuildProducers, rememberEarlier, restoreTransactions } from './producer-rebuild.ts'
import type { ProducerSnapshots, SnapshotEntry } from './producer-snapshot.ts'
import { ProducerStates } from './producer-states.ts'
import { type Recovered, type RecoveryOptions, recover } from './recovery.ts'
import { RecoveryPoint } from './recovery-point.ts'
import { countDeletable } from './retention.ts'
import { Segment } from './segment.ts'
import { nothingAt, type ReadOptions, type ReadResult } from './segment-read.ts'
import type { Segments } from './segments.ts'
import { Tail } from './tail-cache.ts'
import { type TakeoverSide, takePlace } from './takeover.ts'
import {
  firstAtOrAfter,
  type LookupRange,
  largestTimestamp,
  type OffsetAndTimestamp,
} from './timestamp-lookup.ts'
import type { AbortedTransaction } from './transaction-index.ts'
import { type AppendOrigin, assignOffsets, checkReplicated, validateRecords } from './validation.ts'

/** Of a log without producers, so much is read at the next start rather than a snapshot. */
const rereadBytesMax = 64 * 1024
const oneDay = () => 24 * 3600 * 1000

export class Log {
  readonly topic: string
  readonly partition: number
  /** Kafka's base64url form. */
  readonly topicId: string
  readonly directory: LogDirectory
  /**
   * Runs synchronously each time logEndOffset has moved forwards, before `written` resolves, and each time
   * logStartOffset has.
   */
  onWritten: (() => void) | null = null
  /** How compaction reaches the segments. */
  readonly cleanable: CleanableLog
  readonly #environment: Environment
  readonly #disk: PartitionDisk
  readonly #path: string
  readonly #name: string
  #config: LogConfig
  readonly #segments: Segments
  readonly #snapshots: ProducerSnapshots
  readonly #epochs: LeaderEpochs
  readonly #producers: ProducerStates
  readonly #tail: Tail | null
  readonly #end: LogEnd
  readonly #recoveryPoint: RecoveryPoint
  #logStartOffset: number
  #highWatermark: number
  #isClosed = false

  /**
   * Opens, or makes, the log of a partition in `directory`; recovers what an unclean end left.
   * Synchronous. Throws DiskError, and KafkaError INCONSISTENT_TOPIC_ID for another topic's files.
   */
  static open(options: LogOptions): Log {
    const log = new Log(options)
    options.directory.register(log)
    return log
  }

  private constructor(options: LogOptions) {
    const { environment, directory, config } = options
    this.topic = options.topic
    this.partition = options.partition
    this.#environment = environment
    this.directory = directory
    this.#name = `${options.topic}-${options.partition}`
    const { directoryName } = options
    this.#disk = new PartitionDisk(directory, this.#name, directoryName)
    this.#path = `${directory.path}/${this.#name}`
    this.#config = config
    // First of all: what is kept of an earlier log of this name must not be found for this one.
    const checkpoints = directory.offsetsOf(this.#name)
    this.#disk.makeDirectory(this.#path)
    this.topicId = options.topicId
    claimDirectory(this.#disk, this.#path, this.topicId, environment.log)
    this.#epochs = new LeaderEpochs(this.#disk, this.#path)
    this.#producers = new ProducerStates(this.#name, options.producerIdExpirationMs ?? oneDay)
    const recovered = this.#recover({
      disk: this.#disk,
      directory: this.#path,
      isClean: directory.isClean,
      ...checkpoints,
      epochs: this.#epochs,
      producers: this.#producers,
      isGapless: !isCompacted(config) && checkpoints.cleanedOffset < 0 && !options.mayHaveGaps,
      mustSync: (records) => mustSyncAtStart(config, records),
      onDamage: options.onDamage ?? 'cut',
      replacedUpTo: options.replacedUpTo ?? 0,
      now: environment.clock.now(),
      log: environment.log,
      timers: environment.timers,
    })
    this.#snapshots = recovered.snapshots
    this.#logStartOffset = recovered.logStartOffset
    this.#segments = recovered.segments
    this.#tail = options.tailCache === null ? null : new Tail(options.tailCache)
    // What is copied from another log is in the cache as that log's.
    if (this.#tail !== null) this.#tail.isFilled = directoryName === undefined
    this.#end = new LogEnd({
      environment,
      name: this.#name,
      config: () => this.#config,
      offset: recovered.logEndOffset,
      segments: this.#segments,
      snapshots: this.#snapshots,
      epochs: this.#epochs,
      producers: this.#producers,
      tail: this.#tail,
      isSyncedBeforeRoll: options.onDamage === 'refuse' && directoryName === undefined,
      onWritten: () => this.onWritten?.(),
    })
    this.#recoveryPoint = new RecoveryPoint({
      ...{ config: () => this.#config, segments: this.#segments, snapshots: this.#snapshots },
      ...{ producers: this.#producers, end: this.#end, isClosed: () => this.#isClosed },
    })
    this.#highWatermark = recovered.logStartOffset
    this.updateHighWatermark(checkpoints.highWatermark)
    this.cleanable = new CleanableLog({
      log: this,
      disk: this.#disk,
      path: this.#path,
      segments: this.#segments,
      snapshots: this.#snapshots,
      cleanedOffset: checkpoints.cleanedOffset,
      segmentOptions: (baseOffset) => this.#segmentOptions(baseOffset),
      onReplaced: (endOffset) => this.#tail?.dropBelow(endOffset),
    })
  }

  /** Where it throws, no file stays open: the log may be opened once more. */
  #recover(options: Omit<RecoveryOptions, 'openSegment' | 'createSegment'>): Recovered {
    let opened: Segment[] | null = []
    const noted = (segment: Segment) => {
      opened?.push(segment)
      return segment
    }
    try {
      const recovered = recover({
        ...options,
        openSegment: (baseOffset) => noted(Segment.open(this.#segmentOptions(baseOffset))),
        createSegment: (baseOffset) => noted(Segment.create(this.#segmentOptions(baseOffset))),
      })
      restoreTransactions({ ...recovered, producers: options.producers, log: options.log })
      opened = null
      return recovered
    } catch (error) {
      for (const segment of opened ?? []) segment.close(true)
      throw error
    }
  }

  get config(): LogConfig {
    return this.#config
  }

  get logStartOffset(): number {
    return this.#logStartOffset
  }

  /** Written and readable up to here, exclusive. Appends of this turn are not in it yet. */
  get logEndOffset(): number {
    return this.#end.offset
  }

  /** The offset the next record will get: logEndOffset plus what is queued. */
  get nextOffset(): number {
    return this.#end.nextOffset
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  /** First offset of the oldest transaction that is not decided, at most the high watermark. */
  get lastStableOffset(): number {
    const unstable = this.#producers.firstUnstableOffset ?? this.#highWatermark
    return Math.min(Math.max(unstable, this.#logStartOffset), this.#highWatermark)
  }

  /** Everything below is on the device. */
  get recoveryPoint(): number {
    return this.#segments.recoveryPoint
  }

  /** Up to where it is compacted; -1: it never was. */
  get cleanedOffset(): number {
    return this.cleanable.cleanedOffset
  }

  /** Not closed, and not fenced with its directory. */
  get isUsable(): boolean {
    return !this.#isClosed && this.directory.failure === null
  }

  /** Bytes. */
  get size(): number {
    return this.#segments.bytes
  }

  get segmentCount(): number {
    return this.#segments.list.length
  }

  /** -1: none. */
  get latestLeaderEpoch(): number {
    return this.#epochs.latest
  }

  /** For DescribeProducers. */
  activeProducers(): SnapshotEntry[] {
    return this.#producers.entries()
  }

  /** Whether `producerId` has a transaction open here under this epoch. */
  hasOpenTransaction(producerId: number, producerEpoch: number): boolean {
    return this.#producers.hasOpenTransaction(producerId, producerEpoch)
  }

  /** The epoch under which `producerId` last wrote here; -1 where nothing is known of it. */
  lastProducerEpoch(producerId: number): number {
    return this.#producers.lastEpoch(producerId)
  }

  /**
   * As leader: checks, unpacking within `allowance`, assigns offsets and `leaderEpoch`, queues. Throws
   * KafkaError (RecordsRejected lists the records). The buffer is the log's until `written` has resolved.
   * `transactionVersion` is that of the transaction a marker ends; -1 where unknown.
   */
  append(
    records: Buffer,
    leaderEpoch: number,
    origin: AppendOrigin = 'client',
    transactionVersion = -1,
    allowance?: Allowance,
  ): AppendResult {
    this.#checkUsable()
    const config = this.#config
    const now = this.#environment.clock.now()
    const bytes = validateRecords(records, { config, origin, now, name: this.#name, allowance })
    const duplicate = checkProducers(this.#producers, bytes, origin, transactionVersion)
    if (duplicate !== null) {
      const { lastOffset, offsetDelta, timestamp } = duplicate
      const result = this.#result(lastOffset - offsetDelta, lastOffset, timestamp)
      return { ...result, isDuplicate: true }
    }
    const baseOffset = this.nextOffset
    const lastOffset = assignOffsets(bytes, baseOffset, leaderEpoch)
    const isStamped = config.messageTimestampType === 'LogAppendTime'
    this.#end.append(bytes, baseOffset, lastOffset)
    return this.#result(baseOffset, lastOffset, isStamped ? now : -1)
  }

  /**
   * As follower: the leader's batches as they are, but none of a later epoch than `leaderEpoch`
   * (KAFKA-18723). An empty log takes the first batch's base offset where that lies below the
   * offset asked for. Throws KafkaError CORRUPT_MESSAGE.
   */
  appendAsFollower(records: Buffer, leaderEpoch: number): AppendResult {
    this.#checkUsable()
    const { end, lastOffset } = checkReplicated(records, leaderEpoch, this.#name)
    if (end === 0) return this.#result(this.nextOffset, this.nextOffset - 1, -1)
    const baseOffset = header.baseOffset(records, 0)
    if (baseOffset < this.nextOffset) {
      if (this.#segments.bytes > 0 || lastOffset < this.nextOffset) {
        const message = `Offset ${baseOffset} for ${this.#name}, not ${this.nextOffset} or above.`
        throw new KafkaError(errors.CORRUPT_MESSAGE, message)
      }
      this.truncateFullyAndStartAt(baseOffset, this.#logStartOffset)
    }
    const bytes = end === records.length ? records : records.subarray(0, end)
    this.#end.append(bytes, baseOffset, lastOffset)
    return this.#result(baseOffset, lastOffset, -1)
  }

  /**
   * Throws KafkaError OFFSET_OUT_OF_RANGE below logStartOffset or above logEndOffset. A value, not
   * a promise, when the tail cache has it or nothing is there to read.
   */
  read(options: ReadOptions): ReadResult | Promise<ReadResult> {
    this.#checkUsable()
    const { offset, maxBytes, minOneBatch } = options
    if (offset < this.#logStartOffset || offset > this.logEndOffset) {
      throw this.#outOfRange(offset)
    }
    const upToOffset = Math.min(options.upToOffset, this.logEndOffset)
    const isAnyAllowed = maxBytes > 0 || minOneBatch
    if (offset >= upToOffset || !isAnyAllowed) return nothingAt(offset)
    const bounded = { ...options, upToOffset }
    if (this.#tail !== null && offset >= this.#tail.startOffset) {
      return this.#tail.read(bounded, this.#environment.buffers)
    }
    return this.#readDisk(bounded)
  }

  /** The offset behind the damage that a read of `offset` met; `offset` where it met none. */
  endOfDamage(offset: number): number {
    return Math.min(this.#segments.endOfDamage(offset) ?? offset, this.logEndOffset)
  }

  /** Transactions aborted in [fromOffset, upToOffset): what a read_committed fetch lists. */
  abortedTransactions(fromOffset: number, upToOffset: number): AbortedTransaction[] {
    return this.#segments.abortedTransactions(fromOffset, upToOffset)
  }

  /** The first record at or after `timestamp` (and logStartOffset), or null. */
  async offsetForTimestamp(timestamp: number): Promise<OffsetAndTimestamp | null> {
    return firstAtOrAfter(timestamp, await this.#lookupRange())
  }

  /** The record with the largest timestamp (the first of equals), or null if none has one. */
  async offsetOfMaxTimestamp(): Promise<OffsetAndTimestamp | null> {
    return largestTimestamp(await this.#lookupRange())
  }

  /** The leader epoch in force at `offset`; -1 if unknown. */
  leaderEpochAt(offset: number): number {
    return this.#epochs.epochAt(offset)
  }

  /** Where `leaderEpoch` (or the largest known below it) ends here; rules of KIP-279. */
  endOffsetFor(leaderEpoch: number): EpochEnd {
    return this.#epochs.endOffsetFor(leaderEpoch, this.logEndOffset)
  }

  /** This replica leads from here on: opens `leaderEpoch` at the log's end. */
  assignEpochStart(leaderEpoch: number, startOffset: number = this.nextOffset): void {
    this.#epochs.assign(leaderEpoch, startOffset)
  }

  /** Clamped to [logStartOffset, logEndOffset]; returns what it became. */
  updateHighWatermark(offset: number): number {
    const bounded = Math.min(Math.max(offset, this.#logStartOffset), this.logEndOffset)
    this.#highWatermark = bounded
    this.#producers.onHighWatermark(bounded)
    return bounded
  }

  /**
   * Drops everything at and after `offset`. Returns the log's new end: the base of a batch that
   * spans `offset`, else `offset`; the old end where that is lower already.
   */
  truncateTo(offset: number): number {
    this.#checkUsable()
    if (offset >= this.nextOffset) return this.nextOffset
    if (offset <= (this.#segments.list[0] as Segment).baseOffset) {
      this.truncateFullyAndStartAt(offset)
      return offset
    }
    this.#end.write()
    const index = this.#segments.indexOf(offset)
    this.#segments.removeFrom(index + 1)
    const { nextOffset } = this.#segments.active.truncateTo(offset)
    this.#logStartOffset = Math.min(this.#logStartOffset, nextOffset)
    this.#endAt(nextOffset)
    this.#epochs.truncateFromEnd(nextOffset)
    this.#epochs.persist(nextOffset, { sync: false })
    this.#snapshots.keepOnly((snapshot) => snapshot <= nextOffset)
    // One that came back would tell of producers as they never were.
    this.#segments.markNames()
    const producersFrom = rebuildProducers({
      segments: this.#segments.list,
      snapshots: this.#snapshots,
      producers: this.#producers,
      logStartOffset: this.#logStartOffset,
      rebuiltFrom: Number.POSITIVE_INFINITY,
      now: this.#environment.clock.now(),
    })
    rememberEarlier(this.#producers, this.#segments.list, producersFrom)
    return nextOffset
  }

  /** Drops everything; the next record gets `offset`. */
  truncateFullyAndStartAt(offset: number, logStartOffset = offset): void {
    this.#checkUsable()
    this.#segments.replaceFrom(0, offset)
    this.#logStartOffset = logStartOffset
    this.#endAt(offset)
    this.#epochs.clear()
    this.#epochs.persist(offset, { sync: false })
    this.#producers.clear()
    this.#snapshots.keepOnly(() => false)
  }

  /**
   * DeleteRecords: moves the log start up (never down). Throws KafkaError OFFSET_OUT_OF_RANGE above
   * the high watermark.
   */
  deleteRecords(offset: number): void {
    this.#checkUsable()
    if (offset > this.#highWatermark) {
      const message = `Offset ${offset} of ${this.#name} is above the high watermark.`
      throw new KafkaError(errors.OFFSET_OUT_OF_RANGE, message)
    }
    this.#startAt(offset)
  }

  /** Retention by time, size and log start. Returns how many segments went. Throws DiskError, and OutOfFiles. */
  deleteOldSegments(): number {
    this.#checkUsable()
    const count = countDeletable({
      segments: this.#segments.list,
      config: this.#config,
      now: this.#environment.clock.now(),
      logStartOffset: this.#logStartOffset,
      logEndOffset: this.nextOffset,
      highWatermark: this.#highWatermark,
    })
    if (count === 0) return 0
    if (count === this.#segments.list.length) orOutOfFiles(() => this.roll())
    const { baseOffset } = this.#segments.list[count] as Segment
    orOutOfFiles(() => this.#snapshots.replaceBatchesBelow(baseOffset))
    this.#segments.removeFirst(count, this.#config.fileDeleteDelayMs)
    this.#snapshots.keepOnly((snapshot) => snapshot >= baseOffset)
    this.#startAt(baseOffset)
    return count
  }

  /** Forgets producers idle for longer than producer.id.expiration.ms. */
  expireProducers(): void {
    this.#producers.expire(this.#environment.clock.now())
  }

  updateConfig(config: LogConfig): void {
    this.#config = config
  }

  /** Ends the active segment if it holds anything, and begins the next at the log's end. */
  roll(): void {
    this.#checkUsable()
    this.#end.roll()
  }

  /** Writes what is queued, makes all durable, moves the recovery point. Rejects with DiskError. */
  async flush(): Promise<void> {
    this.#checkUsable()
    await this.#end.settle()
    await this.#end.sync()
  }

  /** Moves the recovery point up where much was written since the last time. Rejects with DiskError. */
  advance(): Promise<void> {
    return this.#recoveryPoint.advance()
  }

  /**
   * Hands the operating system what `close` makes durable, all but the little that replaces other files.
   * Whether there is anything. Rejects with DiskError.
   */
  async writeOut(): Promise<boolean> {
    this.#checkUsable()
    await this.#end.settle()
    this.#segments.active.persistIndexes()
    if (this.#segments.bytes > 0) this.#epochs.write(this.nextOffset)
    return this.#segments.isDirty
  }

  /**
   * Flushes, writes indexes and the producer snapshot, closes. The log must not be used afterwards.
   * Rejects with DiskError.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    try {
      await this.writeOut()
      await this.#end.sync()
      await this.#segments.active.transactionIndex.sync()
      const { nextOffset } = this
      const producers = this.#producers.entries()
      // To read so little again costs no more than a file that says that there is nothing.
      const isWorthIt = producers.length > 0 || this.size > rereadBytesMax
      if (nextOffset > 0 && isWorthIt) this.#snapshots.take(nextOffset, producers)
    } finally {
      this.#abandon()
    }
  }

  /**
   * Renames the directory to `<topic>-<partition>.<id>-delete` and removes it after
   * file.delete.delay.ms. The log must not be used afterwards. Throws DiskError.
   */
  delete(): void {
    this.#checkUsable()
    this.#abandon()
    this.directory.removePartition(this.#disk.name, this.#config.fileDeleteDelayMs)
  }

  /** Nothing is stored from the end up to `offset`: the log goes on there. */
  skipTo(offset: number): void {
    this.#checkUsable()
    if (offset <= this.nextOffset) return
    this.#end.skipTo(offset)
    this.updateHighWatermark(this.#highWatermark)
  }

  /**
   * Takes the place of `current`, of which it has all that is readable (see `takeover`), and which serves
   * those who are reading it for a while. Throws as `takePlace`.
   */
  takePlaceOf(current: Log): void {
    takePlace(this.#side, current.#side)
    if (this.#tail !== null) this.#tail.isFilled = true
  }

  get #side(): TakeoverSide {
    return {
      log: this,
      name: this.#name,
      disk: this.#disk,
      segments: this.#segments,
      epochs: this.#epochs,
      producers: this.#producers,
      end: this.#end,
      startAt: (offset) => this.#startAt(offset),
      close: () => this.#abandon(),
    }
  }

  /** What was appended just now, or before, may still wait to be written. */
  #result(baseOffset: number, lastOffset: number, logAppendTimeMs: number): AppendResult {
    return {
      baseOffset,
      lastOffset,
      logAppendTimeMs,
      logStartOffset: this.#logStartOffset,
      isDuplicate: false,
      written: this.#end.written,
    }
  }

  async #readDisk(options: ReadOptions): Promise<ReadResult> {
    try {
      return await this.#segments.read(options)
    } catch (error) {
      // Retention may have taken the segment from under the read.
      throw options.offset < this.#logStartOffset ? this.#outOfRange(options.offset) : error
    }
  }

  #outOfRange(offset: number): KafkaError {
    const range = `[${this.#logStartOffset}, ${this.logEndOffset})`
    const message = `Offset ${offset} of ${this.#name}, which holds ${range}.`
    return new KafkaError(errors.OFFSET_OUT_OF_RANGE, message)
  }

  async #lookupRange(): Promise<LookupRange> {
    this.#checkUsable()
    await this.#end.written
    return {
      segments: this.#segments.list,
      fromOffset: this.#logStartOffset,
      upToOffset: this.logEndOffset,
      pause: async () => {
        const { timers } = this.#environment
        await new Promise<void>((resolve) => timers.nextTurn(resolve))
        this.#checkUsable()
      },
    }
  }

  /** The log was cut: its end, and everything that may not lie above it. */
  #endAt(offset: number): void {
    if (this.#segments.recoveryPoint > offset) this.directory.checkpointThisTurn()
    this.#end.moveBack(offset)
    this.cleanable.onTruncated(offset)
    this.updateHighWatermark(this.#highWatermark)
  }

  #startAt(offset: number): void {
    if (offset <= this.#logStartOffset) return
    this.#logStartOffset = offset
    this.#epochs.truncateFromStart(offset)
    this.updateHighWatermark(this.#highWatermark)
    this.onWritten?.()
  }

  #abandon(): void {
    this.#isClosed = true
    const message = `${this.#name} is closed`
    this.#end.abandon(() => new DiskError('EBADF', this.#path, { message }))
    this.#segments.closeFiles()
    this.directory.unregister(this)
  }

  #checkUsable(): void {
    const { failure } = this.directory
    if (failure === null && !this.#isClosed) return
    const why = `${this.#name} is offline: ${failure?.message ?? 'the log is closed'}`
    throw new KafkaError(errors.KAFKA_STORAGE_ERROR, why, { cause: failure ?? undefined })
  }

  #segmentOptions(baseOffset: number) {
    return {
      disk: this.#disk,
      buffers: this.#environment.buffers,
      directory: this.#path,
      baseOffset,
      indexBytesMax: this.#config.segmentIndexBytes,
      indexIntervalBytes: this.#config.indexIntervalBytes,
      createdMs: this.#environment.clock.now(),
      log: this.#environment.log,
    }
  }
}
