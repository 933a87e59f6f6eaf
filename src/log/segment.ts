/**
 * One segment: a `.log` file of batches back to back, and its three indexes, all named by the
 * offset with which the segment begins. What is appended is queued first and written with
 * everything else of the turn. Files are opened when they are needed; indexes of a segment that was
 * there before are looked at on first use, and built again if they are missing or cannot be right.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import type { Buffers } from '../environment/buffers.ts'
import type { Disk, DiskFile } from '../environment/disk.ts'
import type { Logger, Milliseconds } from '../environment/environment.ts'
import { OffsetIndex } from './offset-index.ts'
import {
  holdsSoundBatch,
  lastOffsetOf,
  maxTimestampOf,
  peekBytes,
  plausibleBytes,
  scanBatches,
} from './scan.ts'
import { TimeIndex } from './time-index.ts'
import { TransactionIndex } from './transaction-index.ts'

export interface SegmentOptions {
  readonly disk: Disk
  readonly buffers: Buffers
  /** The partition's directory. */
  readonly directory: string
  readonly baseOffset: number
  readonly indexBytesMax: number
  readonly indexIntervalBytes: number
  readonly createdMs: Milliseconds
  readonly log: Logger
}

export interface ReadResult {
  /**
   * Whole batches, one after another; never to be changed. Each is the reader's own, from `Buffers`, and
   * may be given back there.
   */
  readonly chunks: readonly Buffer[]
  readonly bytes: number
  /**
   * Base offset of the first batch, at or below the offset asked for; that offset if there is none.
   */
  readonly firstOffset: number
  /** The offset after the last batch returned: where the next read goes on. */
  readonly nextOffset: number
}

export interface ReadOptions {
  readonly offset: number
  readonly maxBytes: number
  /** Deliver the first batch even if it alone is larger than maxBytes. */
  readonly minOneBatch: boolean
  /** Exclusive: no batch that reaches it is returned (high watermark, last stable offset). */
  readonly upToOffset: number
}

/** What stands at the end of a segment. */
export interface SegmentEnd {
  /** The offset after the last batch; the segment's base where it is empty. */
  readonly nextOffset: number
  /** Bytes of whole batches. */
  readonly size: number
}

export const segmentSuffixes = ['.log', '.index', '.timeindex', '.txnindex'] as const
export const deletedSuffix = '.deleted'

export const fileNameOf = (offset: number): string => String(offset).padStart(20, '0')

export class Segment {
  readonly baseOffset: number
  readonly createdMs: Milliseconds
  /** Bytes, those still queued included. */
  size = 0
  #maxTimestamp = -1
  #maxTimestampOffset = -1
  #isTimeKnown = true
  /** Largest timestamp of the first batch: what segment.ms counts from. -2: to be read. */
  #firstTimestamp = -1
  readonly transactionIndex: TransactionIndex
  readonly #options: SegmentOptions
  #offsetIndex: OffsetIndex | null = null
  #timeIndex: TimeIndex | null = null
  #file: DiskFile | null = null
  #writtenBytes = 0
  #queued: Buffer[] = []
  #bytesSinceIndexed = 0
  #readsUnderWay = 0
  #isClosing = false
  /** Where the last read ended: most reads go on where the one before stopped. */
  #nextReadOffset = -1
  #nextReadPosition = 0
  /** A read met damage, and it was logged. */
  #isDamageKnown = false

  private constructor(options: SegmentOptions) {
    this.#options = options
    this.baseOffset = options.baseOffset
    this.createdMs = options.createdMs
    this.transactionIndex = new TransactionIndex(options.disk, this.#path('.txnindex'))
  }

  /** Makes an empty segment; its log file replaces one that is there. */
  static create(options: SegmentOptions): Segment {
    const segment = new Segment(options)
    const file = options.disk.open(segment.#path('.log'), 'create')
    if (file.size() > 0) file.truncate(0)
    file.close()
    segment.#newIndexes()
    return segment
  }

  /** Takes over files as they are, trusting them. */
  static open(options: SegmentOptions): Segment {
    const segment = new Segment(options)
    segment.size = options.disk.stat(segment.#path('.log')).size
    segment.#writtenBytes = segment.size
    segment.#isTimeKnown = segment.size === 0
    segment.#firstTimestamp = segment.size === 0 ? -1 : -2
    return segment
  }

  /** Largest timestamp of all batches, -1 where there is none. */
  get maxTimestamp(): number {
    if (!this.#isTimeKnown) this.readEnd()
    return this.#maxTimestamp
  }

  /** The last offset of the (first) batch that has the largest timestamp. */
  get maxTimestampOffset(): number {
    if (!this.#isTimeKnown) this.readEnd()
    return this.#maxTimestampOffset
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

  get isIndexFull(): boolean {
    return this.#offsets.isFull || this.#times.isFull
  }

  /** When the log file was last written, for a segment whose batches carry no timestamps. */
  get modifiedMs(): Milliseconds {
    return this.#options.disk.stat(this.#path('.log')).modifiedMs
  }

  /** A batch of `bytes` comes next: keeps the indexes. */
  note(bytes: number, lastOffset: number, maxTimestamp: number): void {
    if (this.size === 0) this.#firstTimestamp = maxTimestamp
    if (maxTimestamp > this.#maxTimestamp) {
      this.#maxTimestamp = maxTimestamp
      this.#maxTimestampOffset = lastOffset
    }
    if (this.#bytesSinceIndexed > this.#options.indexIntervalBytes) {
      this.#offsets.append(lastOffset, this.size)
      this.#times.append(this.#maxTimestamp, this.#maxTimestampOffset)
      this.#bytesSinceIndexed = 0
    }
    this.#bytesSinceIndexed += bytes
    this.size += bytes
  }

  /** Takes batches that were noted; they are written by `write`. */
  queue(bytes: Buffer): void {
    this.#queued.push(bytes)
  }

  /** Hands what is queued to the operating system, in one call. Throws DiskError. */
  write(): void {
    if (this.#queued.length === 0) return
    this.#open().write(this.#queued, this.#writtenBytes)
    this.#queued = []
    this.#writtenBytes = this.size
  }

  /** Makes the batches written so far durable. */
  async sync(): Promise<void> {
    const file = this.#open()
    this.#readsUnderWay++
    try {
      await file.sync()
    } finally {
      this.#readsUnderWay--
      this.#closeIfIdle()
    }
  }

  /** Makes the index files durable, once they are written. */
  async syncIndexes(): Promise<void> {
    for (const suffix of ['.index', '.timeindex', '.txnindex']) {
      const path = this.#path(suffix)
      if (!this.#options.disk.exists(path)) continue
      const file = this.#options.disk.open(path, 'write')
      try {
        await file.sync()
      } finally {
        file.close()
      }
    }
  }

  /**
   * Whole batches from the one that holds `offset` (or follows it) on, up to one that is damaged.
   * Null: there is none here, or the first does not fit; the segment then ends before `offset`, or
   * the caller's limits say no. Rejects with KafkaError CORRUPT_MESSAGE where damage comes first.
   */
  async read(options: ReadOptions): Promise<ReadResult | null> {
    const { offset } = options
    const isNext = offset === this.#nextReadOffset
    const position = isNext ? this.#nextReadPosition : this.positionOf(offset)
    const bytes = this.#writtenBytes
    let found = await this.#readFrom(position, options, !isNext)
    // It may have been the index that pointed to no batch.
    if (found === 'damaged' && position > 0) found = await this.#readFrom(0, options, false)
    if (found !== 'damaged') return found
    // A truncation may have taken from under the read what it saw.
    if (this.#writtenBytes < bytes) return null
    throw this.#damageBefore(offset)
  }

  async #readFrom(
    from: number,
    options: ReadOptions,
    isIndexed: boolean,
  ): Promise<ReadResult | null | 'damaged'> {
    const { offset, maxBytes } = options
    let position = from
    let wanted = Math.max(maxBytes, 0) + this.#options.indexIntervalBytes
    while (position + peekBytes <= this.#writtenBytes) {
      const asked = Math.min(Math.max(wanted, peekBytes), this.#writtenBytes - position)
      const window = await this.#readWindow(position, asked)
      if (window.length < peekBytes) return 'damaged'
      // What an index entry points to begins at or below the offset it was looked up for.
      const isAbove = header.baseOffset(window, 0) > offset
      if (isIndexed && position === from && from > 0 && isAbove) return 'damaged'
      const start = firstAtOrAbove(window, offset)
      if (start < 0) return 'damaged'
      if (start + peekBytes <= window.length) {
        const found = takeBatches(window, start, options)
        if (found.end > start) {
          this.#nextReadOffset = found.nextOffset
          this.#nextReadPosition = position + found.end
          return {
            chunks: [window.subarray(start, found.end)],
            bytes: found.end - start,
            firstOffset: header.baseOffset(window, start),
            nextOffset: found.nextOffset,
          }
        }
        if (found.isComplete) return null
        // The file is shorter than it was.
        if (window.length < asked) return 'damaged'
        // The batch is not whole in the window: the next one begins with it and is large enough.
        wanted = plausibleBytes(window, start)
        if (wanted === 0 || position + start + wanted > this.#writtenBytes) return 'damaged'
      } else if (start === 0) {
        return 'damaged'
      }
      position += start
    }
    return position === this.#writtenBytes ? null : 'damaged'
  }

  #damageBefore(offset: number): KafkaError {
    const { directory, log } = this.#options
    const partition = directory.slice(directory.lastIndexOf('/') + 1)
    const file = this.#path('.log')
    if (!this.#isDamageKnown) {
      log.error('a stored batch is damaged and cannot be read', { partition, file, offset })
    }
    this.#isDamageKnown = true
    const message = `Offset ${offset} of ${partition} is not readable: ${file} is damaged.`
    return new KafkaError(errors.CORRUPT_MESSAGE, message)
  }

  /** Whether a sound batch of at least this offset and epoch begins behind `position`. */
  hasSoundBatchBehind(position: number, offset: number, leaderEpoch: number): boolean {
    const rest = Buffer.alloc(Math.max(0, this.#writtenBytes - position - 1))
    if (rest.length === 0) return false
    const bytes = this.#open().read(rest, position + 1)
    return holdsSoundBatch(rest.subarray(0, bytes), offset, leaderEpoch)
  }

  /**
   * Walks the batches from `position` on, synchronously; see `scanBatches`. Returns where it ended.
   */
  scan(position: number, visit: (buffer: Buffer, at: number, position: number) => boolean): number {
    if (position >= this.#writtenBytes) return this.#writtenBytes
    const wasOpen = this.#file !== null
    const end = scanBatches(this.#open(), position, this.#writtenBytes, visit)
    if (!wasOpen) this.close()
    return end
  }

  /** A position at or before the batch that holds `offset`. */
  positionOf(offset: number): number {
    const position = this.#offsets.positionOf(offset)
    return position >= 0 && position < this.#writtenBytes ? position : 0
  }

  /** An offset at or before the first record with at least `timestamp`. */
  offsetOf(timestamp: number): number {
    return this.#times.offsetOf(timestamp)
  }

  /** Where the segment ends and what its largest timestamp is, from the last index entries on. */
  readEnd(): SegmentEnd {
    const times = this.#times
    this.#maxTimestamp = times.lastTimestamp
    this.#maxTimestampOffset = times.lastTimestamp < 0 ? -1 : times.lastOffset
    const from = this.#offsets.lastPosition
    let nextOffset = this.baseOffset
    const size = this.scan(from, (buffer, at) => {
      nextOffset = lastOffsetOf(buffer, at) + 1
      if (maxTimestampOf(buffer, at) > this.#maxTimestamp) {
        this.#maxTimestamp = maxTimestampOf(buffer, at)
        this.#maxTimestampOffset = nextOffset - 1
      }
      return true
    })
    this.#isTimeKnown = true
    this.#bytesSinceIndexed = size - from
    return { nextOffset, size }
  }

  /**
   * Builds offset and time index again from the batches; `visit` sees each one, and may refuse it
   * and everything after it. Returns where it ended; `cut` then drops the rest.
   */
  rebuild(visit: (buffer: Buffer, at: number) => boolean): SegmentEnd {
    this.#newIndexes()
    this.size = 0
    this.#maxTimestamp = -1
    this.#maxTimestampOffset = -1
    this.#bytesSinceIndexed = 0
    let nextOffset = this.baseOffset
    const size = this.scan(0, (buffer, at) => {
      if (!visit(buffer, at)) return false
      nextOffset = lastOffsetOf(buffer, at) + 1
      this.note(header.batchBytes(buffer, at), nextOffset - 1, maxTimestampOf(buffer, at))
      return true
    })
    this.#isTimeKnown = true
    this.size = this.#writtenBytes
    return { nextOffset, size }
  }

  /** Cuts the file at `size` bytes, an end that `rebuild` or `readEnd` told. */
  cut(size: number): void {
    if (size < this.#writtenBytes) this.#open().truncate(size)
    this.size = size
    this.#writtenBytes = size
  }

  /**
   * Drops the batches that reach `offset` or lie above. Nothing may be queued. Returns the new end.
   */
  truncateTo(offset: number): SegmentEnd {
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
    this.#open().truncate(position)
    this.size = position
    this.#writtenBytes = position
    this.#nextReadOffset = -1
    this.#offsets.truncateTo(offset)
    this.#times.truncateTo(offset)
    this.transactionIndex.truncateTo(offset)
    this.readEnd()
    if (position === 0) this.#firstTimestamp = -1
    const end = base >= 0 ? Math.min(base, offset) : Math.max(nextOffset, offset)
    return { nextOffset: end, size: position }
  }

  /** Writes the index files, unsynced; the largest timestamp gets its entry first. */
  persistIndexes(): void {
    this.#times.append(this.maxTimestamp, this.maxTimestampOffset)
    this.#offsets.persist()
    this.#times.persist()
  }

  /**
   * Closes the log file, as soon as no read or sync needs it. It is opened again when it is needed.
   */
  close(): void {
    this.#isClosing = true
    this.#closeIfIdle()
  }

  /** Renames all files to `.deleted`; gives the new names. */
  markDeleted(): string[] {
    this.#queued = []
    this.close()
    const renamed: string[] = []
    for (const suffix of segmentSuffixes) {
      const path = this.#path(suffix)
      if (!this.#options.disk.exists(path)) continue
      this.#options.disk.rename(path, path + deletedSuffix)
      renamed.push(path + deletedSuffix)
    }
    return renamed
  }

  get #offsets(): OffsetIndex {
    if (this.#offsetIndex === null) this.#openIndexes()
    return this.#offsetIndex as OffsetIndex
  }

  get #times(): TimeIndex {
    if (this.#timeIndex === null) this.#openIndexes()
    return this.#timeIndex as TimeIndex
  }

  #openIndexes(): void {
    const { disk, baseOffset, directory, indexBytesMax, log } = this.#options
    const [offsetPath, timePath] = [this.#path('.index'), this.#path('.timeindex')]
    const offsetBytes = disk.exists(offsetPath) ? disk.stat(offsetPath).size : -1
    const timeBytes = disk.exists(timePath) ? disk.stat(timePath).size : -1
    if (offsetBytes >= 0 && timeBytes >= 0) {
      const offsets = new OffsetIndex(disk, offsetPath, baseOffset, indexBytesMax, offsetBytes)
      const times = new TimeIndex(disk, timePath, baseOffset, indexBytesMax, timeBytes)
      if (offsets.isSane(offsetBytes, this.size) && times.isSane(timeBytes)) {
        this.#offsetIndex = offsets
        this.#timeIndex = times
        return
      }
    }
    const partition = directory.slice(directory.lastIndexOf('/') + 1)
    log.warn('an index is missing or damaged and is built again', { partition, file: offsetPath })
    this.rebuild(() => true)
    this.persistIndexes()
  }

  #newIndexes(): void {
    const { disk, baseOffset, indexBytesMax } = this.#options
    this.#offsetIndex = new OffsetIndex(disk, this.#path('.index'), baseOffset, indexBytesMax, 0)
    this.#timeIndex = new TimeIndex(disk, this.#path('.timeindex'), baseOffset, indexBytesMax, 0)
  }

  async #readWindow(position: number, wanted: number): Promise<Buffer> {
    const window = this.#options.buffers.take(wanted)
    const file = this.#open()
    this.#readsUnderWay++
    try {
      return window.subarray(0, await file.readAsync(window, position))
    } finally {
      this.#readsUnderWay--
      this.#closeIfIdle()
    }
  }

  #open(): DiskFile {
    this.#isClosing = false
    this.#file ??= this.#options.disk.open(this.#path('.log'), 'write')
    return this.#file
  }

  #closeIfIdle(): void {
    if (!this.#isClosing || this.#readsUnderWay > 0 || this.#file === null) return
    this.#file.close()
    this.#file = null
  }

  #path(suffix: string): string {
    return `${this.#options.directory}/${fileNameOf(this.#options.baseOffset)}${suffix}`
  }
}

/**
 * Where in `window` the first batch begins that holds `offset` or lies above it; beyond the
 * window's end where that begins later, -1 where damage lies before it.
 */
const firstAtOrAbove = (window: Buffer, offset: number): number => {
  let at = 0
  while (at + peekBytes <= window.length) {
    const bytes = plausibleBytes(window, at)
    if (bytes === 0) return -1
    if (lastOffsetOf(window, at) >= offset) return at
    at += bytes
  }
  return at
}

interface Taken {
  readonly end: number
  readonly nextOffset: number
  /** Nothing more could be taken even from a larger window. */
  readonly isComplete: boolean
}

/** How many whole batches from `start` on, up to one that is damaged, the limits allow. */
const takeBatches = (
  window: Buffer,
  start: number,
  limits: { maxBytes: number; minOneBatch: boolean; upToOffset: number },
): Taken => {
  let at = start
  let nextOffset = -1
  while (at + peekBytes <= window.length) {
    const size = plausibleBytes(window, at)
    if (size === 0) break
    const isFirst = at === start
    if (lastOffsetOf(window, at) >= limits.upToOffset) {
      return { end: at, nextOffset, isComplete: true }
    }
    if (at + size - start > limits.maxBytes && !(isFirst && limits.minOneBatch)) {
      return { end: at, nextOffset, isComplete: true }
    }
    if (at + size > window.length) break
    nextOffset = lastOffsetOf(window, at) + 1
    at += size
  }
  return { end: at, nextOffset, isComplete: false }
}

export const nothingAt = (offset: number): ReadResult => ({
  chunks: [],
  bytes: 0,
  firstOffset: offset,
  nextOffset: offset,
})
