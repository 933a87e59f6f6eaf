/**
 * One segment: a `.log` file of batches back to back, and its three indexes, all named by the
 * offset with which the segment begins. What is appended is queued first and written with
 * everything else of the turn. Files are opened when they are needed.
 *
 * Reads trust nothing that they have not seen: an entry of the index is held against the batch that it
 * tells of, and each batch against the one before. What disagrees has the segment examined once
 * (`segment-contents`); what is damaged then cannot be read, all else can.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import type { Milliseconds } from '../environment/environment.ts'
import { isBatchIn } from './index-checks.ts'
import { lastOffsetOf, leaderEpochOf, maxTimestampOf, peekBytes } from './links.ts'
import type { BatchVisitor } from './scan.ts'
import { SegmentContents, type Start } from './segment-contents.ts'
import { SegmentFile } from './segment-file.ts'
import {
  deletedSuffix,
  nameOf,
  pathOf,
  renameSegment,
  type SegmentOptions,
} from './segment-options.ts'
import { nothingAt, type ReadOptions, type ReadResult, take } from './segment-read.ts'
import { TransactionIndex } from './transaction-index.ts'

export class Segment {
  readonly baseOffset: number
  readonly createdMs: Milliseconds
  /** Bytes, those still queued included. */
  size = 0
  /** No batch reaches this offset: the base of the next segment; infinite while it is not known. */
  endOffset = Number.POSITIVE_INFINITY
  /** What recovery finds, and puts right. */
  readonly contents: SegmentContents
  readonly transactionIndex: TransactionIndex
  readonly #options: SegmentOptions
  readonly #file: SegmentFile
  /** Largest timestamp of the first batch: what segment.ms counts from. -2: to be read. */
  #firstTimestamp = -1
  /** A read met damage, and it was logged. */
  #isDamageTold = false

  private constructor(options: SegmentOptions) {
    const { disk, buffers, baseOffset, createdMs } = options
    this.#options = options
    this.baseOffset = baseOffset
    this.createdMs = createdMs
    this.#file = new SegmentFile(disk, buffers, pathOf(options, '.log'))
    const range = () => this
    this.contents = new SegmentContents(options, this.#file, range)
    this.transactionIndex = new TransactionIndex({
      disk,
      path: pathOf(options, '.txnindex'),
      range,
    })
  }

  /**
   * Makes an empty segment; its files replace those that are there. Its indexes get theirs now, as in Kafka:
   * making files is dear, and a stop may have to do it for thousands of logs. Throws DiskError.
   */
  static create(options: SegmentOptions): Segment {
    const segment = new Segment(options)
    segment.#file.makeEmpty()
    segment.contents.makeEmpty()
    segment.contents.indexes.persistIfPossible()
    return segment
  }

  /** Takes over files as they are. Throws DiskError. */
  static open(options: SegmentOptions): Segment {
    const segment = new Segment(options)
    segment.size = segment.#file.takeOver()
    segment.#firstTimestamp = segment.size === 0 ? -1 : -2
    return segment
  }

  /** Largest timestamp of all batches, -1 where there is none. */
  get maxTimestamp(): number {
    return this.contents.maxTimestamp
  }

  /** The last offset of the (first) batch that has the largest timestamp. */
  get maxTimestampOffset(): number {
    return this.contents.maxTimestampOffset
  }

  get firstTimestamp(): number {
    if (this.#firstTimestamp === -2) {
      this.#firstTimestamp = -1
      this.scan(0, (buffer, at) => {
        this.#firstTimestamp = maxTimestampOf(buffer, at)
        return false
      })
    }
    return this.#firstTimestamp
  }

  /** The leader epoch of the first batch; -1 where there is none. */
  get firstLeaderEpoch(): number {
    let epoch = -1
    this.scan(0, (buffer, at) => {
      epoch = leaderEpochOf(buffer, at)
      return false
    })
    return epoch
  }

  get isIndexFull(): boolean {
    return this.contents.indexes.isFull
  }

  /** When the log file was last written, for a segment whose batches carry no timestamps. */
  get modifiedMs(): Milliseconds {
    return this.#file.modifiedMs
  }

  /** Bytes of each of the two indexes that every segment has. */
  get indexBytes(): { readonly offsets: number; readonly times: number } {
    const { offsets, times } = this.contents.indexes
    return { offsets: offsets.bytes, times: times.bytes }
  }

  /** `topic-partition`. */
  get partition(): string {
    return nameOf(this.#options.directory)
  }

  /** Of its files, without their suffixes. */
  get path(): string {
    return pathOf(this.#options)
  }

  /** Behind the names of its files. */
  get suffix(): string {
    return this.#options.suffix ?? ''
  }

  /** A batch of `bytes` comes next: keeps the indexes. */
  note(bytes: number, lastOffset: number, maxTimestamp: number): void {
    if (this.size === 0) this.#firstTimestamp = maxTimestamp
    this.contents.note(this.size, bytes, lastOffset, maxTimestamp)
    this.size += bytes
    this.endOffset = lastOffset + 1
  }

  /** Takes batches that were noted; they are written by `write`. */
  queue(bytes: Buffer): void {
    this.#file.queue(bytes)
  }

  /** Opens the file, so that what is queued next needs no other to be written. Throws DiskError. */
  hold(): void {
    if (!this.#file.isOpen) this.#file.open()
  }

  /** Hands what is queued to the operating system, in one call. Throws DiskError. */
  write(): void {
    this.#file.write()
  }

  /** Makes the batches written so far durable. */
  sync(): Promise<void> {
    return this.#file.sync()
  }

  syncNow(): void {
    this.#file.syncNow()
  }

  /**
   * Whole batches from the one that holds `offset` (or follows it) on, up to one that is damaged.
   * Null: the segment ends before `offset`. Rejects with KafkaError CORRUPT_MESSAGE where damage comes first.
   */
  async read(options: ReadOptions): Promise<ReadResult | null> {
    const { bytes } = this.#file
    const isKnown = this.contents.isExamined
    let found = await this.#readFrom(options)
    if (found === 'damaged') {
      // A truncation may have taken from under the read what it saw.
      if (this.#file.bytes < bytes) return nothingAt(options.offset)
      if (!isKnown) {
        this.contents.examine()
        found = await this.#readFrom(options)
      }
    }
    if (found === 'damaged') throw this.#damageAt(options.offset)
    return found
  }

  async #readFrom(options: ReadOptions): Promise<ReadResult | null | 'damaged'> {
    const { offset } = options
    const { contents } = this
    if (contents.isDamagedAt(offset)) return 'damaged'
    const start = contents.startOf(offset)
    let { position } = start
    const { link } = start
    const endPosition = contents.soundUntil(position)
    // No batch is there: an entry of the index is damaged, whatever the log is.
    const isOutside = position < 0 || position >= endPosition
    if (start.indexed !== null && isOutside) return 'damaged'
    let wanted = Math.max(options.maxBytes, 0) + this.#options.indexIntervalBytes
    while (position < endPosition) {
      const asked = Math.min(Math.max(wanted, peekBytes), endPosition - position)
      const window = await this.#file.readWindow(position, asked)
      // The file is shorter than it was.
      if (window.length < asked) return 'damaged'
      if (position === start.position && !isStart(window, start)) return 'damaged'
      const isLast = position + asked === endPosition
      const taken = take({ bytes: window, isLast, endOffset: this.endOffset }, link, options)
      if (taken.kind !== 'found') this.#options.buffers.release(window)
      if (taken.kind === 'damaged') return 'damaged'
      if (taken.kind === 'limited') return nothingAt(offset)
      if (taken.kind === 'ended') return null
      if (taken.kind === 'further') {
        position += taken.start
        wanted = Math.max(wanted, taken.bytes)
        if (position > endPosition) return 'damaged'
        continue
      }
      contents.bookmark(position + taken.end, link)
      return {
        chunks: [window.subarray(taken.start, taken.end)],
        bytes: taken.end - taken.start,
        firstOffset: header.baseOffset(window, taken.start),
        nextOffset: taken.nextOffset,
      }
    }
    return null
  }

  #damageAt(offset: number): KafkaError {
    const { partition } = this
    const file = this.#file.path
    if (!this.#isDamageTold) {
      const fields = { partition, file, offset }
      this.#options.log.error('a stored batch is damaged and cannot be read', fields)
    }
    this.#isDamageTold = true
    const message = `Offset ${offset} of ${partition} is not readable: ${file} is damaged.`
    return new KafkaError(errors.CORRUPT_MESSAGE, message)
  }

  /** Fills `target` from `position` on, off the event loop; gives the bytes read. */
  readInto(target: Buffer, position: number): Promise<number> {
    return this.#file.readInto(target, position)
  }

  /**
   * Walks the batches from `position` on, synchronously, over damage; see `scanBatches`. Returns
   * where it ended.
   */
  scan(position: number, visit: BatchVisitor): number {
    return this.contents.scan(position, visit)
  }

  /** A position at or before the batch that holds `offset`. */
  positionOf(offset: number): number {
    return this.contents.positionOf(offset)
  }

  /** An offset at or before the first record with at least `timestamp`. */
  offsetOf(timestamp: number): number {
    return this.contents.offsetOf(timestamp)
  }

  /** Cuts the file at `size` bytes, an end that its contents told. */
  cut(size: number): void {
    this.contents.cut(size)
    this.size = size
  }

  /**
   * Drops the batches that reach `offset` or lie above. Nothing may be queued. Returns the new end.
   */
  truncateTo(offset: number): { nextOffset: number; size: number } {
    let nextOffset = this.baseOffset
    let base = -1
    const position = this.scan(this.positionOf(offset), (buffer, at) => {
      if (lastOffsetOf(buffer, at) >= offset) {
        base = header.baseOffset(buffer, at)
        return false
      }
      nextOffset = lastOffsetOf(buffer, at) + 1
      return true
    })
    this.cut(position)
    this.contents.truncateTo(offset)
    this.transactionIndex.truncateTo(offset)
    if (position === 0) this.#firstTimestamp = -1
    const end = base >= 0 ? Math.min(base, offset) : Math.max(nextOffset, offset)
    this.endOffset = end
    return { nextOffset: end, size: position }
  }

  /** Writes the index files, unsynced; the largest timestamp gets its entry first. */
  persistIndexes(): void {
    this.contents.persistIndexes()
  }

  /** Makes the index files durable, once they are written. */
  async syncIndexes(): Promise<void> {
    await this.transactionIndex.write()
    await this.contents.syncIndexes()
  }

  /** Closes the log file, as soon as no read or sync needs it; unless for good, the next use opens it. */
  close(isForGood = false): void {
    this.#file.close(isForGood)
  }

  /** Renames all files to `.deleted`; gives the new names. */
  markDeleted(): string[] {
    this.#file.forgetQueued()
    // Compaction puts other files under its name.
    this.close(true)
    return renameSegment(this.#options.disk, this.path, { from: '', to: deletedSuffix })
  }
}

/** Whether a window begins with the batch that the index told of, if it did. */
function isStart(window: Buffer, { link, indexed }: Start): boolean {
  if (indexed === null) return true
  if (!isBatchIn(window, indexed)) return false
  link.lastOffset = header.baseOffset(window, 0) - 1
  return true
}
