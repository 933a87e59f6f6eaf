/**
 * What is in the file of a segment, and where: its offset and time index, its largest timestamp, where
 * the whole batches end, and the stretches that are damaged.
 *
 * Indexes that were there before are looked at on first use, at a cost that does not grow with the
 * segment: their size, their last entries, and whether the log agrees with these. An entry in the
 * middle is held against the log when a lookup comes upon it. Where anything disagrees, or a read
 * meets what fits nowhere, the segment is examined once: walked from front to back, its indexes
 * built again, its damage listed (`damage`).
 */
import * as header from '../../protocol/records/batch.ts'
import { type Damage, examine } from './damage.ts'
import {
  areLastThere,
  type IndexTail,
  isBatchAt,
  isRight,
  isTimeRight,
  isTimeThere,
  keepBelow,
  readTail,
  type Written,
} from './index-checks.ts'
import { type Link, lastOffsetOf, leaderEpochOf, maxTimestampOf, noLink } from './links.ts'
import type { IndexedBatch } from './offset-index.ts'
import { type BatchVisitor, findSound, hasLostSector, scanBatches } from './scan.ts'
import type { SegmentFile } from './segment-file.ts'
import { SegmentIndexes, syncIndexFiles } from './segment-indexes.ts'
import {
  nameOf,
  type OffsetRange,
  pathOf,
  type RebuildOptions,
  type SegmentEnd,
  type SegmentOptions,
} from './segment-options.ts'

/** Where a walk to an offset begins. */
export interface Start {
  readonly position: number
  readonly link: Link
  /** The entry of the index that says so, which is still to be held against the log. */
  readonly indexed: IndexedBatch | null
}

export class SegmentContents {
  readonly #options: SegmentOptions
  readonly #file: SegmentFile
  readonly #range: () => OffsetRange
  #maxTimestamp = -1
  #maxTimestampOffset = -1
  #indexes: SegmentIndexes | null = null
  /** Where the whole batches end, as of when the indexes were opened or built. */
  #end: SegmentEnd
  #damage: readonly Damage[] = []
  #isExamined = false
  #bytesSinceIndexed = 0
  /** Where the last read ended: most reads go on where the one before stopped. */
  #next: { position: number; link: Link } | null = null

  constructor(options: SegmentOptions, file: SegmentFile, range: () => OffsetRange) {
    this.#options = options
    this.#file = file
    this.#range = range
    this.#end = { nextOffset: options.baseOffset, size: 0, leaderEpoch: -1 }
  }

  /** Makes empty indexes, which replace those that are there. */
  makeEmpty(): void {
    this.#indexes = SegmentIndexes.make(this.#indexOptions)
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

  /** That of the last batch, as of when the segment was opened or built again. */
  get lastLeaderEpoch(): number {
    return this.#end.leaderEpoch
  }

  /** What cannot be read, as far as the segment was examined or built again. */
  get damage(): readonly Damage[] {
    return this.#damage
  }

  /** All of it was walked once. */
  get isExamined(): boolean {
    return this.#isExamined
  }

  /** Offset and time index; opened, and checked, on first use. */
  get indexes(): SegmentIndexes {
    if (this.#indexes === null) this.#openIndexes()
    return this.#indexes as SegmentIndexes
  }

  /** A batch of `bytes` comes at `position`: keeps the indexes. */
  note(position: number, bytes: number, lastOffset: number, maxTimestamp: number): void {
    const { indexes } = this
    if (maxTimestamp > this.#maxTimestamp) {
      this.#maxTimestamp = maxTimestamp
      this.#maxTimestampOffset = lastOffset
    }
    if (this.#bytesSinceIndexed > this.#options.indexIntervalBytes) {
      indexes.offsets.append(lastOffset, position)
      indexes.times.append(this.#maxTimestamp, this.#maxTimestampOffset)
      this.#bytesSinceIndexed = 0
    }
    this.#bytesSinceIndexed += bytes
  }

  /** Where a walk to `offset` begins: where the last read ended, else as the index says. */
  startOf(offset: number): Start {
    const next = this.#next
    if (next !== null && next.link.lastOffset + 1 === offset) {
      return { position: next.position, link: { ...next.link }, indexed: null }
    }
    const indexed = this.indexes.offsets.floor(offset)
    const position = indexed?.position ?? 0
    const link = noLink(indexed === null ? this.#options.baseOffset - 1 : -1)
    const behind = this.#damage.findLast(
      (damage) => damage.toOffset <= offset && damage.endPosition > position,
    )
    if (behind === undefined) return { position, link, indexed }
    link.lastOffset = behind.toOffset - 1
    return { position: behind.endPosition, link, indexed: null }
  }

  /** A read ended at `position`, behind the batch that `link` tells of. */
  bookmark(position: number, link: Link): void {
    this.#next = { position, link }
  }

  /** Whether `offset` lies in a damaged stretch. */
  isDamagedAt(offset: number): boolean {
    return this.#damage.some(
      ({ fromOffset, toOffset }) => offset >= fromOffset && offset < toOffset,
    )
  }

  /** The end of the first damaged stretch that reaches behind `offset`; null where none does. */
  endOfDamage(offset: number): number | null {
    return this.#damage.find(({ toOffset }) => toOffset > offset)?.toOffset ?? null
  }

  /** Up to where batches lie back to back from `position` on. */
  soundUntil(position: number): number {
    const damage = this.#damage.find((one) => one.position >= position)
    return damage?.position ?? this.#file.bytes
  }

  /** See `Segment`. */
  scan(position: number, visit: BatchVisitor): number {
    let isRefused = false
    const counted: BatchVisitor = (buffer, at, where) => {
      isRefused = !visit(buffer, at, where)
      return !isRefused
    }
    return this.#briefly(() => {
      const link = noLink()
      let at = position
      while (at < this.#file.bytes) {
        at = scanBatches(this.#file.open(), at, this.#file.bytes, counted, link)
        if (isRefused || at >= this.#file.bytes) break
        if (!this.#isExamined) this.examine()
        const stopped = at
        const damage = this.#damage.find((one) => one.position === stopped)
        if (damage === undefined) break
        at = damage.endPosition
        link.lastOffset = damage.toOffset - 1
      }
      return Math.min(at, this.#file.bytes)
    })
  }

  /** A position at or before the batch that holds `offset`. */
  positionOf(offset: number): number {
    return this.#briefly(() => {
      for (;;) {
        const { position, indexed } = this.startOf(offset)
        if (indexed === null || isBatchAt(this.#written, indexed)) {
          return Math.min(position, this.#file.bytes)
        }
        if (this.#isExamined) return 0
        this.examine()
      }
    })
  }

  /** An offset at or before the first record with at least `timestamp`. */
  offsetOf(timestamp: number): number {
    return this.#briefly(() => {
      for (;;) {
        const entry = this.indexes.times.floor(timestamp)
        if (entry === null) return this.#options.baseOffset
        if (isTimeThere(this.#written, this.indexes, entry)) return entry.offset
        if (this.#isExamined) return this.#options.baseOffset
        this.examine()
      }
    })
  }

  /** Where the whole batches end; behind it there may be something else. */
  readEnd(): SegmentEnd {
    if (this.#indexes === null) this.#openIndexes()
    return this.#end
  }

  /**
   * Walks all of the segment: builds its indexes again, puts headers right that follow from their
   * neighbours, and lists what is damaged. Where the range has no end, damage at the end is left to
   * the caller: it lies behind what `readEnd` gives then.
   */
  examine(): void {
    this.#isExamined = true
    this.#file.write()
    const unsettledFrom = Number.POSITIVE_INFINITY
    this.rebuild(() => true, { mayResume: () => true, unsettledFrom })
    this.persistIndexes()
  }

  /**
   * Builds offset and time index again from the batches; `visit` sees each one, and may refuse it
   * and everything after it. Damage is walked over where `mayResume` says so.
   * Returns where it ended; `cut` then drops the rest. It may begin where `resumeBelow` said.
   */
  rebuild(visit: BatchVisitor, how: RebuildOptions): SegmentEnd {
    const wasOpen = this.#file.isOpen
    const { baseOffset, endOffset } = this.#range()
    if (how.from === undefined) this.makeEmpty()
    const time = how.from === undefined ? null : this.indexes.times.last
    this.#next = null
    this.#maxTimestamp = time?.timestamp ?? -1
    this.#maxTimestampOffset = time?.offset ?? -1
    this.#bytesSinceIndexed = 0
    let nextOffset = how.from?.offset ?? baseOffset
    let leaderEpoch = -1
    const { damage, end } = examine({
      file: this.#file.open(),
      size: this.#file.bytes,
      baseOffset,
      endOffset,
      ...how,
      visit: (buffer, at, position) => {
        const lastOffset = lastOffsetOf(buffer, at)
        if (!visit(buffer, at, position) || lastOffset >= endOffset) return false
        nextOffset = lastOffset + 1
        leaderEpoch = leaderEpochOf(buffer, at)
        const bytes = header.batchBytes(buffer, at)
        this.note(position, bytes, lastOffset, maxTimestampOf(buffer, at))
        return true
      },
      onMended: (position, offset) => {
        const fields = { partition: this.#partition, file: this.#file.path, position, offset }
        this.#options.log.error('the header of a batch was damaged and is put right', fields)
      },
    })
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
    if (!wasOpen) this.#file.close()
    return this.#end
  }

  /**
   * Keeps of the indexes what lies below `offset`, where a sound batch is where the last entry left says it
   * is: a walk may begin there. Null: there is none, and all is to be built again.
   */
  resumeBelow(offset: number): Required<RebuildOptions>['from'] | null {
    return this.#briefly(() => {
      const indexes = SegmentIndexes.open(this.#indexOptions)
      const from = indexes === null ? null : keepBelow(this.#written, indexes, offset)
      if (from !== null) this.#indexes = indexes
      return from
    })
  }

  /** Gives the last batch, at `position`, this offset. Returns the offset after it. */
  moveLastBatch(position: number, offset: number): number {
    const bytes = Buffer.alloc(header.headerBytes)
    this.#file.open().read(bytes, position)
    header.setBaseOffset(bytes, 0, offset)
    this.#file.open().write([bytes.subarray(0, 8)], position)
    this.truncateTo(offset)
    return lastOffsetOf(bytes, 0) + 1
  }

  /** What lies behind `end` is damaged and stays; the segment goes on with `toOffset`. */
  keepDamagedEnd(end: { nextOffset: number; size: number }, toOffset: number): void {
    const range = { position: end.size, endPosition: this.#file.bytes }
    const damage = { ...range, fromOffset: end.nextOffset, toOffset }
    this.#damage = [...this.#damage, damage]
    this.#end = { nextOffset: toOffset, size: this.#file.bytes, leaderEpoch: -1 }
    this.#tell(damage)
  }

  /**
   * Where a sound batch that can follow begins behind where the whole batches end; -1: nowhere.
   * `ofAnyEpoch`: also one that only its epoch keeps from following, or that of a batch before it, which no
   * checksum covers.
   */
  soundBatchBehind(end: SegmentEnd, { ofAnyEpoch = false } = {}): number {
    const { nextOffset, size, leaderEpoch } = end
    const link = { ...noLink(nextOffset - 1), leaderEpoch: ofAnyEpoch ? -1 : leaderEpoch }
    const { endOffset } = this.#range()
    const range = { from: ofAnyEpoch ? size : size + 1, to: this.#file.bytes }
    return findSound(this.#file.open(), { ...range, link, endOffset })
  }

  /** Whether a part of what lies in [from, to) was never written; see `hasLostSector`. */
  hasLostSector(from: number, to: number): boolean {
    return hasLostSector(this.#file.open(), from, to)
  }

  /** Cuts the file at `size` bytes. */
  cut(size: number): void {
    this.#file.cut(size)
    this.#damage = this.#damage.filter(({ position }) => position < size)
  }

  /** The file was cut, or changed, from `offset` on: what the indexes say of it goes. */
  truncateTo(offset: number): void {
    const { indexes } = this
    this.#next = null
    indexes.offsets.truncateTo(offset)
    indexes.times.truncateTo(offset)
    // These are other entries than those that were last when the indexes were opened.
    if (areLastThere(this.#written, indexes)) this.#continueFrom(readTail(this.#written, indexes))
    else this.examine()
  }

  /** Writes the index files, unsynced; the largest timestamp gets its entry first. */
  persistIndexes(): void {
    const { indexes } = this
    indexes.times.append(this.#maxTimestamp, this.#maxTimestampOffset)
    indexes.persist()
  }

  /** Makes the index files durable, once they are written. */
  syncIndexes(): Promise<void> {
    return syncIndexFiles(this.#options.disk, this.#indexOptions)
  }

  #openIndexes(): void {
    this.#briefly(() => {
      const indexes = SegmentIndexes.open(this.#indexOptions)
      if (indexes !== null && this.#takeOver(indexes)) return
      const fields = { partition: this.#partition, file: pathOf(this.#options, '.index') }
      const message = 'an index is missing or damaged and is built again'
      this.#options.log.warn(message, fields)
      this.examine()
    })
  }

  /** A file that is not open is closed again. */
  #briefly<T>(work: () => T): T {
    const wasOpen = this.#file.isOpen
    try {
      return work()
    } finally {
      if (!wasOpen) this.#file.close()
    }
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
    const time = this.indexes.times.last
    const isLater = maxTimestamp > (time?.timestamp ?? -1)
    this.#maxTimestamp = isLater ? maxTimestamp : (time?.timestamp ?? -1)
    this.#maxTimestampOffset = isLater ? maxTimestampOffset : (time?.offset ?? -1)
    this.#bytesSinceIndexed = end - from
    this.#end = { nextOffset, size: end, leaderEpoch }
  }

  #tell({ position, endPosition, fromOffset, toOffset }: Damage): void {
    const fields = { partition: this.#partition, file: this.#file.path, fromOffset, toOffset }
    this.#options.log.error('a stretch of a log is damaged and cannot be read', {
      ...fields,
      position,
      bytes: endPosition - position,
    })
  }

  get #written(): Written {
    const { baseOffset, indexIntervalBytes } = this.#options
    return { file: this.#file.open(), bytes: this.#file.bytes, baseOffset, indexIntervalBytes }
  }

  get #partition(): string {
    return nameOf(this.#options.directory)
  }

  get #indexOptions() {
    const { disk, baseOffset, indexBytesMax, suffix = '' } = this.#options
    return { disk, path: pathOf(this.#options), suffix, baseOffset, bytesMax: indexBytesMax }
  }
}
