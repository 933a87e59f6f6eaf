/**
 * The partition log: one replica of one partition, as Kafka's files in one directory.
 *
 * Here is how it grows, is cut and ends. Appending checks the batch, gives it its offsets and leaves it to the
 * log's end (`log-end`), which writes it with all of the turn; what is read of it is `reader`'s. One writer;
 * everything but reads, timestamp lookups and syncs is synchronous.
 *
 * In this folder: the log and its files (`segments`, `segment`, the indexes, `scan`), what opens it
 * (`log-parts`, and `recovery`, which says what becomes of damage), what checks appends (`validation`,
 * `producer-states`), what reads it (`log-reader`), what cuts it (`retention`, `truncation`, `leader-epochs`,
 * `compaction/`), and the directory that holds many of them (`log-directory`, `checkpoints`). Not here: topics'
 * metadata, replication, who may read up to where. It imports protocol and environment.
 *
 *     logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset <= nextOffset
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { CleanableLog } from './compaction/cleanable-log.ts'
import type { EpochEnd, LeaderEpochs } from './leader-epochs.ts'
import type { LogConfig } from './log-config.ts'
import type { LogDirectory } from './log-directory.ts'
import { LogEnd } from './log-end.ts'
import type { AppendResult, LogOptions } from './log-options.ts'
import { type LogParts, openParts } from './log-parts.ts'
import { LogReader } from './log-reader.ts'
import { orOutOfFiles } from './out-of-files.ts'
import { checkProducers } from './producer-checks.ts'
import type { SnapshotEntry } from './producer-snapshot.ts'
import type { ProducerStates } from './producer-states.ts'
import { RecoveryPoint } from './recovery-point.ts'
import { countDeletable } from './retention.ts'
import type { Segment } from './segment.ts'
import type { Segments } from './segments.ts'
import { type TakeoverSide, takePlace } from './takeover.ts'
import { forgetAll, forgetFrom } from './truncation.ts'
import {
  type AppendOrigin,
  assignOffsets,
  type Checking,
  checkReplicated,
  takeChecked,
  validateRecords,
} from './validation.ts'

/** Of a log without producers, so much is read at the next start rather than a snapshot. */
const rereadBytesMax = 64 * 1024

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
  /** What can be read of it. */
  readonly reader: LogReader
  /** How compaction reaches the segments. */
  readonly cleanable: CleanableLog
  readonly #environment: Environment
  #config: LogConfig
  readonly #parts: LogParts
  readonly #segments: Segments
  readonly #epochs: LeaderEpochs
  readonly #producers: ProducerStates
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
    options.directory.logs.register(log)
    return log
  }

  private constructor(options: LogOptions) {
    const { environment, directory } = options
    this.topic = options.topic
    this.partition = options.partition
    this.topicId = options.topicId
    this.#environment = environment
    this.directory = directory
    this.#config = options.config
    const config = () => this.#config
    const parts = openParts(options, config)
    const { name, disk, path, segments, snapshots, epochs, producers, tail } = parts
    const { checkpoints, segmentOptions } = parts
    this.#parts = parts
    this.#segments = segments
    this.#epochs = epochs
    this.#producers = producers
    this.#logStartOffset = parts.logStartOffset
    const isCopy = options.directoryName !== undefined
    this.#end = new LogEnd({
      environment,
      config,
      offset: parts.logEndOffset,
      ...{ name, segments, snapshots, epochs, producers, tail },
      isSyncedBeforeRoll: options.onDamage === 'refuse' && !isCopy,
      onWritten: () => {
        directory.logs.noteChange(this)
        this.onWritten?.()
      },
      onSynced: () => directory.logs.noteChange(this),
    })
    this.#recoveryPoint = new RecoveryPoint({
      ...{ config, segments, snapshots, producers },
      ...{ end: this.#end, isClosed: () => this.#isClosed },
    })
    this.#highWatermark = parts.logStartOffset
    this.updateHighWatermark(checkpoints.highWatermark)
    this.reader = new LogReader({
      ...{ log: this, environment, parts },
      checkUsable: () => this.#checkUsable(),
      written: () => this.#end.written,
    })
    this.cleanable = new CleanableLog({
      ...{ log: this, disk, path, segments, snapshots, segmentOptions },
      cleanedOffset: checkpoints.cleanedOffset,
      onReplaced: (endOffset) => tail?.dropBelow(endOffset),
    })
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
   * As leader: checks, unless that was done, assigns offsets and `leaderEpoch`, queues. Throws
   * KafkaError (RecordsRejected lists the records). The buffer is the log's until `written` has resolved.
   * `transactionVersion` is that of the transaction a marker ends; -1 where unknown.
   */
  append(
    records: Buffer,
    leaderEpoch: number,
    origin: AppendOrigin = 'client',
    transactionVersion = -1,
    { allowance, checked }: Checking = {},
  ): AppendResult {
    this.#checkUsable()
    const config = this.#config
    const now = this.#environment.clock.now()
    const bytes =
      checked === undefined
        ? validateRecords(records, { config, origin, now, name: this.#parts.name, allowance })
        : takeChecked(checked, config, now)
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
    const { end, lastOffset } = checkReplicated(records, leaderEpoch, this.#parts.name)
    if (end === 0) return this.#result(this.nextOffset, this.nextOffset - 1, -1)
    const baseOffset = header.baseOffset(records, 0)
    if (baseOffset < this.nextOffset) {
      if (this.#segments.bytes > 0 || lastOffset < this.nextOffset) {
        const message = `Offset ${baseOffset} for ${this.#parts.name}, not ${this.nextOffset} or above.`
        throw new KafkaError(errors.CORRUPT_MESSAGE, message)
      }
      this.truncateFullyAndStartAt(baseOffset, this.#logStartOffset)
    }
    const bytes = end === records.length ? records : records.subarray(0, end)
    this.#end.append(bytes, baseOffset, lastOffset)
    return this.#result(baseOffset, lastOffset, -1)
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
    if (bounded !== this.#highWatermark) this.directory.logs.noteChange(this)
    this.#highWatermark = bounded
    this.#producers.onHighWatermark(bounded)
    return bounded
  }

  /**
   * Drops everything at and after `offset`. Returns the log's new end: the base of a batch that
   * spans `offset`, else `offset`; the old end where that is lower already. Throws DiskError: where no file
   * can be opened all is as before.
   */
  truncateTo(offset: number): number {
    this.#checkUsable()
    if (offset >= this.nextOffset) return this.nextOffset
    if (offset <= (this.#segments.list[0] as Segment).baseOffset) {
      this.truncateFullyAndStartAt(offset)
      return offset
    }
    this.#end.write()
    const nextOffset = this.#segments.truncateTo(offset)
    this.#logStartOffset = Math.min(this.#logStartOffset, nextOffset)
    this.#endAt(nextOffset)
    forgetFrom(nextOffset, this.#parts, {
      logStartOffset: this.#logStartOffset,
      now: this.#environment.clock.now(),
    })
    return nextOffset
  }

  /** Drops everything; the next record gets `offset`. */
  truncateFullyAndStartAt(offset: number, logStartOffset = offset): void {
    this.#checkUsable()
    this.#segments.replaceFrom(0, offset)
    this.#logStartOffset = logStartOffset
    this.#endAt(offset)
    forgetAll(offset, this.#parts)
  }

  /**
   * DeleteRecords: moves the log start up (never down). Throws KafkaError OFFSET_OUT_OF_RANGE above
   * the high watermark.
   */
  deleteRecords(offset: number): void {
    this.#checkUsable()
    if (offset > this.#highWatermark) {
      const message = `Offset ${offset} of ${this.#parts.name} is above the high watermark.`
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
    const { snapshots } = this.#parts
    orOutOfFiles(() => {
      if (snapshots.replaceBatchesBelow(baseOffset)) return
      // The one of that segment was damaged: one of all that there is knows as much.
      snapshots.take(this.nextOffset, this.#producers.entries())
      snapshots.replaceBatchesBelow(this.nextOffset)
    })
    this.#segments.removeFirst(count, this.#config.fileDeleteDelayMs)
    snapshots.keepOnly((snapshot) => snapshot >= baseOffset)
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
      if (nextOffset > 0 && isWorthIt) this.#parts.snapshots.take(nextOffset, producers)
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
    this.directory.partitions.remove(this.#parts.disk.name, this.#config.fileDeleteDelayMs)
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
    const { tail } = this.#parts
    if (tail !== null) tail.isFilled = true
  }

  get #side(): TakeoverSide {
    return {
      ...this.#parts,
      log: this,
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

  /** The log was cut: its end, and everything that may not lie above it. */
  #endAt(offset: number): void {
    this.directory.logs.noteChange(this)
    if (this.#segments.recoveryPoint > offset) this.directory.logs.checkpointThisTurn()
    this.#end.moveBack(offset)
    this.cleanable.onTruncated(offset)
    this.updateHighWatermark(this.#highWatermark)
  }

  #startAt(offset: number): void {
    if (offset <= this.#logStartOffset) return
    this.#logStartOffset = offset
    this.directory.logs.noteChange(this)
    this.#epochs.truncateFromStart(offset)
    this.updateHighWatermark(this.#highWatermark)
    this.onWritten?.()
  }

  #abandon(): void {
    this.#isClosed = true
    const message = `${this.#parts.name} is closed`
    this.#end.abandon(() => new DiskError('EBADF', this.#parts.path, { message }))
    this.#segments.closeFiles()
    this.directory.logs.unregister(this)
  }

  #checkUsable(): void {
    const { failure } = this.directory
    if (failure === null && !this.#isClosed) return
    const why = `${this.#parts.name} is offline: ${failure?.message ?? 'the log is closed'}`
    throw new KafkaError(errors.KAFKA_STORAGE_ERROR, why, { cause: failure ?? undefined })
  }
}
