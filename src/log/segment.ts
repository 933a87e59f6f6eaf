/**
 * One segment: a `.log` file of batches back to back, and its three indexes, all named by the
 * offset with which the segment begins. What is appended is queued first and written with
 * everything else of the turn. Files are opened when they are needed.
 *
 * Indexes that were there before are looked at on first use, at a cost that does not grow with the
 * segment: their size, their last entries, and whether the log agrees with these. An entry in the
 * middle is held against the log when a lookup comes upon it. Where anything disagrees, or a read
 * meets what fits nowhere, the segment is examined once: walked from front to back, its indexes
 * built again, its damage listed (`damage`).
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import type { Milliseconds } from '../environment/environment.ts'
import { type Damage, examine } from './damage.ts'
import {
  type IndexTail,
  isBatchAt,
  isBatchIn,
  isRight,
  isTimeRight,
  readTail,
  timestampAt,
  type Written,
} from './index-checks.ts'
import {
  type Link,
  lastOffsetOf,
  leaderEpochOf,
  maxTimestampOf,
  noLink,
  peekBytes,
} from './links.ts'
import type { IndexedBatch } from './offset-index.ts'
import { type BatchVisitor, findSound, scanBatches } from './scan.ts'
import { SegmentFile } from './segment-file.ts'
import { SegmentIndexes, syncIndexFiles } from './segment-indexes.ts'
import {
  deletedSuffix,
  fileNameOf,
  nameOf,
  type RebuildOptions,
  renameSegment,
  type SegmentEnd,
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
  readonly transactionIndex: TransactionIndex
  readonly #options: SegmentOptions
  #maxTimestamp = -1
  #maxTimestampOffset = -1
  /** Largest timestamp of the first batch: what segment.ms counts from. -2: to be read. */
  #firstTimestamp = -1
  #indexes: SegmentIndexes | null = null
  /** Where the whole batches end, as of when the indexes were opened or built. */
  #end: SegmentEnd
  #damage: readonly Damage[] = []
  #isExamined = false
  readonly #file: SegmentFile
  #writtenBytes = 0
  #queued: Buffer[] = []
  #bytesSinceIndexed = 0
  /** Where the last read ended: most reads go on where the one before stopped. */
  #next: { position: number; link: Link } | null = null
  /** A read met damage, and it was logged. */
  #isDamageTold = false

  private constructor(options: SegmentOptions) {
    this.#options = options
    this.baseOffset = options.baseOffset
    this.createdMs = options.createdMs
    this.#end = { nextOffset: options.baseOffset, size: 0, leaderEpoch: -1 }
    this.#file = new SegmentFile(options.disk, options.buffers, this.#path('.log'))
    this.transactionIndex = new TransactionIndex({
      disk: options.disk,
      path: this.#path('.txnindex'),
      range: () => this,
    })
  }

  /** Makes an empty segment; its log file replaces one that is there. */
  static create(options: SegmentOptions): Segment {
    const segment = new Segment(options)
    const file = options.disk.open(segment.#path('.log'), 'create')
    if (file.size() > 0) file.truncate(0)
    file.close()
    segment.#indexes = segment.#makeIndexes()
    return segment
  }

  /** Takes over files as they are. */
  static open(options: SegmentOptions): Segment {
    const segment = new Segment(options)
    segment.size = options.disk.stat(segment.#path('.log')).size
    segment.#writtenBytes = segment.size
    segment.#firstTimestamp = segment.size === 0 ? -1 : -2
    return segment
  }

  /** Largest timestamp of all batches, -1 where there is none. */
  get maxTimestamp(): number {
    if (this.#indexes === null) this.#openIndexes()
    return this.#maxTimestamp
  }

  /** The last offset of the (first) batch that has the largest timestamp. */
  get maxTimestampOffset(): number {
    if (this.#indexes === null) this.#openIndexes()
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

  /** The leader epoch of the first batch; -1 where there is none. */
  get firstLeaderEpoch(): number {
    let epoch = -1
    this.scan(0, (buffer, at) => {
      epoch = leaderEpochOf(buffer, at)
      return false
    })
    return epoch
  }

  /** That of the last batch, as of when the segment was opened or built again. */
  get lastLeaderEpoch(): number {
    return this.#end.leaderEpoch
  }

  get isIndexFull(): boolean {
    return this.#opened.isFull
  }

  /** When the log file was last written, for a segment whose batches carry no timestamps. */
  get modifiedMs(): Milliseconds {
    return this.#options.disk.stat(this.#path('.log')).modifiedMs
  }

  /** Bytes of each of the two indexes that every segment has. */
  get indexBytes(): { readonly offsets: number; readonly times: number } {
    const { offsets, times } = this.#opened
    return { offsets: offsets.bytes, times: times.bytes }
  }

  /** A batch of `bytes` comes next: keeps the indexes. */
  note(bytes: number, lastOffset: number, maxTimestamp: number): void {
    const indexes = this.#opened
    if (this.size === 0) this.#firstTimestamp = maxTimestamp
    if (maxTimestamp > this.#maxTimestamp) {
      this.#maxTimestamp = maxTimestamp
      this.#maxTimestampOffset = lastOffset
    }
    if (this.#bytesSinceIndexed > this.#options.indexIntervalBytes) {
      indexes.offsets.append(lastOffset, this.size)
      indexes.times.append(this.#maxTimestamp, this.#maxTimestampOffset)
      this.#bytesSinceIndexed = 0
    }
    this.#bytesSinceIndexed += bytes
    this.size += bytes
    this.endOffset = lastOffset + 1
  }

  /** Takes batches that were noted; they are written by `write`. */
  queue(bytes: Buffer): void {
    this.#queued.push(bytes)
  }

  /** Hands what is queued to the operating system, in one call. Throws DiskError. */
  write(): void {
    if (this.#queued.length === 0) return
    this.#file.open().write(this.#queued, this.#writtenBytes)
    this.#queued = []
    this.#writtenBytes = this.size
  }

  /** Makes the batches written so far durable. */
  sync(): Promise<void> {
    return this.#file.sync()
  }

  syncNow(): void {
    this.#file.syncNow()
  }

  /** Makes the index files durable, once they are written. */
  syncIndexes(): Promise<void> {
    return syncIndexFiles(this.#options.disk, this.#indexOptions)
  }

  /**
   * Whole batches from the one that holds `offset` (or follows it) on, up to one that is damaged.
   * Null: the segment ends before `offset`. Rejects with KafkaError CORRUPT_MESSAGE where damage comes first.
   */
  async read(options: ReadOptions): Promise<ReadResult | null> {
    const bytes = this.#writtenBytes
    const isKnown = this.#isExamined
    let found = await this.#readFrom(options)
    if (found === 'damaged') {
      // A truncation may have taken from under the read what it saw.
      if (this.#writtenBytes < bytes) return nothingAt(options.offset)
      if (!isKnown) {
        this.#examine()
        found = await this.#readFrom(options)
      }
    }
    if (found === 'damaged') throw this.#damageAt(options.offset)
    return found
  }

  async #readFrom(options: ReadOptions): Promise<ReadResult | null | 'damaged'> {
    const { offset } = options
    if (
      this.#damage.some(({ fromOffset, toOffset }) => offset >= fromOffset && offset < toOffset)
    ) {
      return 'damaged'
    }
    const start = this.#startOf(offset)
    let { position } = start
    const { link } = start
    const endPosition = this.#soundUntil(position)
    let wanted = Math.max(options.maxBytes, 0) + this.#options.indexIntervalBytes
    while (position < endPosition) {
      const asked = Math.min(Math.max(wanted, peekBytes), endPosition - position)
      const window = await this.#file.readWindow(position, asked)
      // The file is shorter than it was.
      if (window.length < asked) return 'damaged'
      if (position === start.position && !this.#isStart(window, start)) return 'damaged'
      const isLast = position + asked === endPosition
      const taken = take({ bytes: window, isLast, endOffset: this.endOffset }, link, options)
      if (taken.kind === 'damaged') return 'damaged'
      if (taken.kind === 'limited') return nothingAt(offset)
      if (taken.kind === 'ended') return null
      if (taken.kind === 'further') {
        position += taken.start
        wanted = Math.max(wanted, taken.bytes)
        if (position > endPosition) return 'damaged'
        continue
      }
      this.#next = { position: position + taken.end, link }
      return {
        chunks: [window.subarray(taken.start, taken.end)],
        bytes: taken.end - taken.start,
        firstOffset: header.baseOffset(window, taken.start),
        nextOffset: taken.nextOffset,
      }
    }
    return null
  }

  /** Where a walk to `offset` begins: where the last read ended, else as the index says. */
  #startOf(offset: number): { position: number; link: Link; indexed: IndexedBatch | null } {
    const next = this.#next
    if (next !== null && next.link.lastOffset + 1 === offset) {
      return { position: next.position, link: { ...next.link }, indexed: null }
    }
    const indexed = this.#opened.offsets.floor(offset)
    const position = indexed?.position ?? 0
    const link = noLink(indexed === null ? this.baseOffset - 1 : -1)
    const behind = this.#damage.findLast(
      (damage) => damage.toOffset <= offset && damage.endPosition > position,
    )
    if (behind === undefined) return { position, link, indexed }
    link.lastOffset = behind.toOffset - 1
    return { position: behind.endPosition, link, indexed: null }
  }

  /** Whether a window begins with the batch that the index told of, if it did. */
  #isStart(
    window: Buffer,
    { link, indexed }: { link: Link; indexed: IndexedBatch | null },
  ): boolean {
    if (indexed === null) return true
    if (!isBatchIn(window, indexed)) return false
    link.lastOffset = header.baseOffset(window, 0) - 1
    return true
  }

  /** Up to where batches lie back to back from `position` on. */
  #soundUntil(position: number): number {
    const damage = this.#damage.find((one) => one.position >= position)
    return damage?.position ?? this.#writtenBytes
  }

  #damageAt(offset: number): KafkaError {
    const file = this.#path('.log')
    if (!this.#isDamageTold) {
      const fields = { partition: this.partition, file, offset }
      this.#options.log.error('a stored batch is damaged and cannot be read', fields)
    }
    this.#isDamageTold = true
    const message = `Offset ${offset} of ${this.partition} is not readable: ${file} is damaged.`
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
    let isRefused = false
    const counted: BatchVisitor = (buffer, at, where) => {
      isRefused = !visit(buffer, at, where)
      return !isRefused
    }
    const wasOpen = this.#file.isOpen
    let at = position
    const link = noLink()
    while (at < this.#writtenBytes) {
      at = scanBatches(this.#file.open(), at, this.#writtenBytes, counted, link)
      if (isRefused || at >= this.#writtenBytes) break
      if (!this.#isExamined) this.#examine()
      const stopped = at
      const damage = this.#damage.find((one) => one.position === stopped)
      if (damage === undefined) break
      at = damage.endPosition
      link.lastOffset = damage.toOffset - 1
    }
    if (!wasOpen) this.close()
    return Math.min(at, this.#writtenBytes)
  }

  /** A position at or before the batch that holds `offset`. */
  positionOf(offset: number): number {
    for (;;) {
      const { position, indexed } = this.#startOf(offset)
      if (indexed === null || isBatchAt(this.#written, indexed))
        return Math.min(position, this.#writtenBytes)
      if (this.#isExamined) return 0
      this.#examine()
    }
  }

  /** An offset at or before the first record with at least `timestamp`. */
  offsetOf(timestamp: number): number {
    for (;;) {
      const entry = this.#opened.times.floor(timestamp)
      if (entry === null) return this.baseOffset
      const { timestamp: expected, offset } = entry
      if (timestampAt(this.#written, this.#opened, offset) === expected) return offset
      if (this.#isExamined) return this.baseOffset
      this.#examine()
    }
  }

  /** Where the whole batches end; behind it there may be something else. */
  readEnd(): SegmentEnd {
    if (this.#indexes === null) this.#openIndexes()
    return this.#end
  }

  /**
   * Walks all of the segment: builds its indexes again, puts headers right that follow from their
   * neighbours, and lists what is damaged. Where `endOffset` is not known, damage at the end is left
   * to the caller: it lies behind what `readEnd` gives then.
   */
  examine(): void {
    this.#examine()
  }

  #examine(): void {
    this.#isExamined = true
    this.write()
    const unsettledFrom = Number.POSITIVE_INFINITY
    this.#rebuild(() => true, { mayResume: () => true, unsettledFrom })
    this.persistIndexes()
  }

  #tell({ position, endPosition, fromOffset, toOffset }: Damage): void {
    const file = this.#path('.log')
    const fields = { partition: this.partition, file, fromOffset, toOffset }
    this.#options.log.error('a stretch of a log is damaged and cannot be read', {
      ...fields,
      position,
      bytes: endPosition - position,
    })
  }

  /** What `examine` and `rebuild` have found that cannot be read. */
  get damage(): readonly Damage[] {
    return this.#damage
  }

  /**
   * Builds offset and time index again from the batches; `visit` sees each one, and may refuse it
   * and everything after it. Damage is walked over where `mayResume` says so.
   * Returns where it ended; `cut` then drops the rest.
   */
  rebuild(visit: BatchVisitor, how: RebuildOptions): SegmentEnd {
    this.#rebuild(visit, how)
    return this.#end
  }

  #rebuild(visit: BatchVisitor, how: RebuildOptions): void {
    const wasOpen = this.#file.isOpen
    const { endOffset, baseOffset } = this
    this.#indexes = this.#makeIndexes()
    this.#next = null
    this.#maxTimestamp = -1
    this.#maxTimestampOffset = -1
    this.#bytesSinceIndexed = 0
    this.size = 0
    let nextOffset = baseOffset
    let leaderEpoch = -1
    const { damage, end } = examine({
      file: this.#file.open(),
      size: this.#writtenBytes,
      baseOffset,
      endOffset,
      ...how,
      visit: (buffer, at, position) => {
        if (!visit(buffer, at, position) || lastOffsetOf(buffer, at) >= endOffset) return false
        nextOffset = lastOffsetOf(buffer, at) + 1
        leaderEpoch = leaderEpochOf(buffer, at)
        this.size = position
        this.note(header.batchBytes(buffer, at), nextOffset - 1, maxTimestampOf(buffer, at))
        return true
      },
      onMended: (position, offset) => {
        const fields = { partition: this.partition, file: this.#path('.log'), position, offset }
        this.#options.log.error('the header of a batch was damaged and is put right', fields)
      },
    })
    this.size = this.#writtenBytes
    this.endOffset = endOffset
    this.#end = { nextOffset, size: end, leaderEpoch }
    this.#damage = damage
    const tail = damage.at(-1)
    if (tail?.toOffset === Number.POSITIVE_INFINITY) {
      this.#end = { nextOffset, size: tail.position, leaderEpoch }
      this.#damage = damage.slice(0, -1)
    } else if (tail?.endPosition === end) {
      this.#end = { nextOffset: tail.toOffset, size: end, leaderEpoch }
    }
    for (const one of this.#damage) this.#tell(one)
    if (!wasOpen) this.close()
  }

  /** Gives the last batch, at `position`, this offset. Returns the offset after it. */
  moveLastBatch(position: number, offset: number): number {
    const bytes = Buffer.alloc(header.headerBytes)
    this.#file.open().read(bytes, position)
    header.setBaseOffset(bytes, 0, offset)
    this.#file.open().write([bytes.subarray(0, 8)], position)
    const indexes = this.#opened
    indexes.offsets.truncateTo(offset)
    indexes.times.truncateTo(offset)
    this.#continueFrom(readTail(this.#written, indexes))
    return lastOffsetOf(bytes, 0) + 1
  }

  /** What lies behind `end` is damaged and stays; the segment goes on with `toOffset`. */
  keepDamagedEnd(end: { nextOffset: number; size: number }, toOffset: number): void {
    const range = { position: end.size, endPosition: this.#writtenBytes }
    const damage = { ...range, fromOffset: end.nextOffset, toOffset }
    this.#damage = [...this.#damage, damage]
    this.#end = { nextOffset: toOffset, size: this.#writtenBytes, leaderEpoch: -1 }
    this.#tell(damage)
  }

  /** Whether a sound batch that can follow begins behind where the whole batches end. */
  hasSoundBatchBehind({ nextOffset, size, leaderEpoch }: SegmentEnd): boolean {
    const link = { ...noLink(nextOffset - 1), leaderEpoch }
    const { endOffset } = this
    const range = { from: size + 1, to: this.#writtenBytes }
    return findSound(this.#file.open(), { ...range, link, endOffset }) >= 0
  }

  /** Cuts the file at `size` bytes, an end that `rebuild` or `readEnd` told. */
  cut(size: number): void {
    if (size < this.#writtenBytes) this.#file.open().truncate(size)
    this.size = size
    this.#writtenBytes = size
    this.#damage = this.#damage.filter(({ position }) => position < size)
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
    this.#next = null
    this.cut(position)
    this.#opened.offsets.truncateTo(offset)
    this.#opened.times.truncateTo(offset)
    this.transactionIndex.truncateTo(offset)
    this.#continueFrom(readTail(this.#written, this.#opened))
    if (position === 0) this.#firstTimestamp = -1
    const end = base >= 0 ? Math.min(base, offset) : Math.max(nextOffset, offset)
    this.endOffset = end
    return { nextOffset: end, size: position }
  }

  /** Writes the index files, unsynced; the largest timestamp gets its entry first. */
  persistIndexes(): void {
    const indexes = this.#opened
    indexes.times.append(this.#maxTimestamp, this.#maxTimestampOffset)
    indexes.persist()
  }

  /** Closes the log file, as soon as no read or sync needs it; unless for good, the next use opens it. */
  close(isForGood = false): void {
    this.#file.close(isForGood)
  }

  /** Renames all files to `.deleted`; gives the new names. */
  markDeleted(): string[] {
    this.#queued = []
    // Compaction puts other files under its name.
    this.close(true)
    return renameSegment(this.#options.disk, this.path, { from: '', to: deletedSuffix })
  }

  get #opened(): SegmentIndexes {
    if (this.#indexes === null) this.#openIndexes()
    return this.#indexes as SegmentIndexes
  }

  #openIndexes(): void {
    const wasOpen = this.#file.isOpen
    const indexes = SegmentIndexes.open(this.#indexOptions)
    if (indexes === null || !this.#takeOver(indexes)) {
      const fields = { partition: this.partition, file: this.#path('.index') }
      const message = 'an index is missing or damaged and is built again'
      this.#options.log.warn(message, fields)
      this.#examine()
    }
    if (!wasOpen) this.close()
  }

  /** Takes over the indexes, unless they cannot be those of the log. */
  #takeOver(indexes: SegmentIndexes): boolean {
    if (!isRight(this.#written, indexes)) return false
    const tail = readTail(this.#written, indexes)
    if (!tail.isShort || !isTimeRight(this.#written, indexes, tail)) return false
    this.#indexes = indexes
    this.#continueFrom(tail)
    return true
  }

  #continueFrom(tail: IndexTail): void {
    const { from, end, nextOffset, leaderEpoch, maxTimestamp, maxTimestampOffset } = tail
    const time = this.#opened.times.last
    const isLater = maxTimestamp > (time?.timestamp ?? -1)
    this.#maxTimestamp = isLater ? maxTimestamp : (time?.timestamp ?? -1)
    this.#maxTimestampOffset = isLater ? maxTimestampOffset : (time?.offset ?? -1)
    this.#bytesSinceIndexed = end - from
    this.#end = { nextOffset, size: end, leaderEpoch }
  }

  get #written(): Written {
    const { indexIntervalBytes } = this.#options
    const { baseOffset } = this
    return { file: this.#file.open(), bytes: this.#writtenBytes, baseOffset, indexIntervalBytes }
  }

  #makeIndexes(): SegmentIndexes {
    return SegmentIndexes.make(this.#indexOptions)
  }

  get #indexOptions() {
    const { disk, baseOffset, indexBytesMax } = this.#options
    const { path, suffix } = this
    return { disk, path, suffix, baseOffset, bytesMax: indexBytesMax }
  }

  /** `topic-partition`. */
  get partition(): string {
    return nameOf(this.#options.directory)
  }

  /** Of its files, without their suffixes. */
  get path(): string {
    return `${this.#options.directory}/${fileNameOf(this.#options.baseOffset)}`
  }

  get suffix(): string {
    return this.#options.suffix ?? ''
  }

  #path(kind: string): string {
    return this.path + kind + this.suffix
  }
}
