/**
 * The segments of one log in offset order, of which the last is active, and how much of them is on
 * the device: `recoveryPoint` moves only after everything below it was synced. At most one sync is
 * under way; who asks meanwhile gets the next one, which covers all that was written before it
 * began.
 */
import { type Disk, DiskError, type DiskFile } from '../environment/disk.ts'
import type { Logger, Milliseconds, Timers } from '../environment/environment.ts'
import { parentOf } from './checkpoints.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { isOutOfFiles } from './out-of-files.ts'
import type { Segment } from './segment.ts'
import { cleanedSuffix, nameOf, renameSegment, swapSuffix } from './segment-options.ts'
import { nothingAt, type ReadOptions, type ReadResult } from './segment-read.ts'
import type { AbortedTransaction } from './transaction-index.ts'

export interface SegmentsOptions {
  readonly disk: Disk
  readonly timers: Timers
  /** The partition's directory. */
  readonly directory: string
  /** They are durable before the recovery point moves: recovery finds them in the batches only above it. */
  readonly epochs: LeaderEpochs
  /** At least one, in offset order. */
  readonly list: Segment[]
  readonly recoveryPoint: number
  /** The names of files here, and that of the directory, may not be durable. */
  readonly hasNewNames: boolean
  /** No offset may be missing between two segments. */
  readonly isGapless: boolean
  readonly log: Logger
  readonly createSegment: (baseOffset: number) => Segment
}

/** What a sync covers. */
interface Taken {
  readonly segments: readonly Segment[]
  /** Those of which it takes the indexes, too. */
  readonly closed: readonly Segment[]
  readonly hasNames: boolean
  readonly isDirectoryNew: boolean
}

const nothingTaken: Taken = { segments: [], closed: [], hasNames: false, isDirectoryNew: false }

export class Segments {
  readonly list: Segment[]
  readonly #disk: Disk
  readonly #epochs: LeaderEpochs
  readonly #timers: Timers
  readonly #directory: string
  #recoveryPoint: number
  /** Written since their last sync. */
  readonly #dirty = new Set<Segment>()
  /** Rolled, or read back: their indexes are to be synced with them. */
  readonly #closed = new Set<Segment>()
  /** Files were made or removed whose names are not durable; a removed one must not come back. */
  #hasNewNames: boolean
  /** They are to be durable also where nothing was written. */
  #mustSyncNames = false
  #isDirectoryNew: boolean
  /** After it nothing is known of what is durable: no later sync may count. */
  #syncFailure: { readonly error: unknown } | null = null
  #sync: Promise<void> | null = null
  /** What it has taken, which is durable no sooner than it is done. */
  #syncing: Taken = nothingTaken
  #nextSync: Promise<void> | null = null
  /**
   * Grows with every truncation: a sync that began before one says nothing about what came after.
   */
  #truncations = 0
  #cold: Segment | null = null
  #isGapless: boolean
  readonly #log: Logger
  readonly #createSegment: (baseOffset: number) => Segment
  /** Behind these a hole was found, and logged. */
  readonly #beforeHoles = new WeakSet<Segment>()
  /** Compacted ones have taken their places. */
  readonly #replaced = new WeakSet<Segment>()

  constructor(options: SegmentsOptions) {
    this.list = options.list
    this.#disk = options.disk
    this.#epochs = options.epochs
    this.#timers = options.timers
    this.#directory = options.directory
    this.#recoveryPoint = options.recoveryPoint
    this.#hasNewNames = options.hasNewNames
    this.#isDirectoryNew = options.hasNewNames
    this.#isGapless = options.isGapless
    this.#log = options.log
    this.#createSegment = options.createSegment
  }

  get active(): Segment {
    return this.list.at(-1) as Segment
  }

  get recoveryPoint(): number {
    return this.#recoveryPoint
  }

  /** No offset may be missing: nothing was ever compacted here. */
  get isGapless(): boolean {
    return this.#isGapless
  }

  /** How often the log was cut. */
  get truncations(): number {
    return this.#truncations
  }

  get bytes(): number {
    let bytes = 0
    for (const segment of this.list) bytes += segment.size
    return bytes
  }

  /** The index of the segment whose range holds `offset`; 0 for one below all. */
  indexOf(offset: number): number {
    let low = 1
    let high = this.list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.list[middle] as Segment).baseOffset <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /**
   * Ends the active segment; one that begins with `baseOffset` follows it. Throws DiskError: where no
   * file can be opened all is as before.
   */
  roll(baseOffset: number): void {
    const ended = this.active
    // First what may fail and leave it the active one.
    ended.persistIndexes()
    const next = this.#createSegment(baseOffset)
    ended.endOffset = baseOffset
    this.#closed.add(ended)
    this.#dirty.add(ended)
    this.list.push(next)
    this.#hasNewNames = true
    this.#cool(ended)
  }

  /** Batches from the segment that holds the offset, or the next that has any. */
  async read(options: ReadOptions): Promise<ReadResult> {
    let segment = this.list[this.indexOf(options.offset)]
    while (segment !== undefined && segment.baseOffset < options.upToOffset) {
      // Of the segments that are not active, one stays open.
      if (segment !== this.active) this.#cool(segment)
      const found = await this.#readOne(segment, options)
      if (found === 'replaced') {
        segment = this.list[this.indexOf(options.offset)]
        continue
      }
      if (found !== null) return found
      const next = this.#after(segment)
      if (next !== undefined) this.#noteHole(segment, options.offset, next.baseOffset)
      segment = next
    }
    return nothingAt(options.offset)
  }

  /** Where the damage ends that a read of `offset` met; null where it met none. */
  endOfDamage(offset: number): number | null {
    for (const { contents } of this.list.slice(this.indexOf(offset))) {
      const end = contents.endOfDamage(offset)
      if (end !== null) return end
    }
    return null
  }

  async #readOne(segment: Segment, options: ReadOptions): Promise<ReadResult | null | 'replaced'> {
    try {
      const found = await segment.read(options)
      if (found !== null) return found
    } catch (error) {
      if (!this.#replaced.has(segment)) throw error
    } finally {
      // Another was rolled or read meanwhile.
      if (segment !== this.active && segment !== this.#cold) segment.close()
    }
    return this.#replaced.has(segment) ? 'replaced' : null
  }

  /** `segment` ends before `fromOffset`, from which on records are missing. */
  #noteHole(segment: Segment, fromOffset: number, toOffset: number): void {
    if (!this.#isGapless || fromOffset >= toOffset || this.#beforeHoles.has(segment)) return
    this.#beforeHoles.add(segment)
    const partition = nameOf(this.#directory)
    const fields = { partition, fromOffset, toOffset }
    this.#log.error('records are missing between two segments', fields)
  }

  /** Transactions aborted in [fromOffset, upToOffset). */
  abortedTransactions(fromOffset: number, upToOffset: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (let index = this.indexOf(fromOffset); index < this.list.length; index++) {
      const { transactionIndex } = this.list[index] as Segment
      if (transactionIndex.collect(fromOffset, upToOffset, found)) break
    }
    return found
  }

  /** Something was written that no sync has covered. */
  get isDirty(): boolean {
    return this.#dirty.size > 0
  }

  markDirty(segment: Segment): void {
    this.#dirty.add(segment)
  }

  /** What was read back may be in the page cache only, and so may the indexes that were made of it. */
  markReadBack(segment: Segment): void {
    this.#dirty.add(segment)
    if (segment !== this.active) this.#closed.add(segment)
  }

  /** The directory got its name again: as `markNames`. */
  markDirectory(): void {
    this.#isDirectoryNew = true
    this.markNames()
  }

  /** Another file of the directory was replaced: the next sync makes that durable, too. */
  markNames(): void {
    this.#hasNewNames = true
    this.#mustSyncNames = true
  }

  /** Takes the first `count` out of the list and removes their files after `delayMs`. */
  removeFirst(count: number, delayMs: Milliseconds): Segment[] {
    return this.#discard(this.list.splice(0, count), delayMs)
  }

  /** Takes all from `index` on out of the list and removes their files at once. */
  removeFrom(index: number): void {
    // From the end: what comes back after a power loss is then still in a row.
    this.#discard(this.list.splice(index).reverse(), 0)
    this.#hasNewNames = true
  }

  /**
   * Drops the segments from `index` on; an empty one at `baseOffset` takes their place. Throws DiskError:
   * where no file can be opened all is as before.
   */
  replaceFrom(index: number, baseOffset: number): void {
    this.#checkFiles(1)
    this.removeFrom(index)
    this.list.push(this.#createSegment(baseOffset))
  }

  /**
   * Drops all at and after `offset`, which lies above the first base; gives where the log ends now: below
   * it, where a batch spans it. Throws DiskError: where no file can be opened all is as before.
   */
  truncateTo(offset: number): number {
    // The log and one of its indexes.
    this.#checkFiles(2)
    this.removeFrom(this.indexOf(offset) + 1)
    return this.active.truncateTo(offset).nextOffset
  }

  /** In the middle of a change it would be too late to find out. Throws DiskError. */
  #checkFiles(count: number): void {
    const files: DiskFile[] = []
    try {
      while (files.length < count) files.push(this.#disk.open(`${this.active.path}.log`, 'read'))
    } finally {
      for (const file of files) file.close()
    }
  }

  /**
   * The cleaned files of `by`, which are durable, take the place of the segments they were made from;
   * those go after `delayMs`. False: they do not lie here in a row any more. Throws DiskError; what is
   * done by then is finished, or undone, when the log is opened next. Where no file can be opened all is as
   * before.
   */
  replace(
    replaced: readonly Segment[],
    by: { readonly path: string; readonly open: () => Segment; readonly delayMs: Milliseconds },
  ): boolean {
    const index = this.list.indexOf(replaced[0] as Segment)
    const isInRow = replaced.every((segment, at) => this.list[index + at] === segment)
    if (index < 0 || !isInRow || replaced.includes(this.active)) return false
    renameSegment(this.#disk, by.path, { from: cleanedSuffix, to: swapSuffix })
    try {
      // From here on there is no way back, and nothing goes before that is certain.
      this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      const back = { from: swapSuffix, to: cleanedSuffix }
      if (isOutOfFiles(error)) renameSegment(this.#disk, by.path, back)
      throw error
    }
    for (const segment of replaced) this.#replaced.add(segment)
    this.#discard([...replaced], by.delayMs)
    renameSegment(this.#disk, by.path, { from: swapSuffix, to: '' })
    const { endOffset } = replaced.at(-1) as Segment
    const segment = by.open()
    segment.endOffset = endOffset
    this.list.splice(index, replaced.length, segment)
    this.#isGapless = false
    return true
  }

  /** The log ends at `offset` now. */
  onTruncated(offset: number): void {
    this.#truncations++
    this.#recoveryPoint = Math.min(this.#recoveryPoint, offset)
    for (const segment of this.list.slice(-1)) this.#dirty.add(segment)
  }

  /**
   * Makes durable all that was handed to the operating system before this call, which is everything
   * below `endOffset`, and moves the recovery point there. Rejects with DiskError.
   */
  sync(endOffset: () => number): Promise<void> {
    if (this.#sync === null) {
      this.#sync = this.#run(endOffset).finally(() => {
        this.#sync = null
      })
      return this.#sync
    }
    if (this.#nextSync === null) {
      const current = this.#sync
      this.#nextSync = current
        .catch(() => {})
        .then(() => {
          this.#nextSync = null
          return this.sync(endOffset)
        })
    }
    return this.#nextSync
  }

  /** As `sync`, blocking: for what is found at start, and what must be durable before a roll. Throws DiskError. */
  syncNow(endOffset: number): void {
    if (this.#syncFailure !== null) throw this.#syncFailure.error
    this.#takeBack()
    // What else is in an index is held against the log by whoever looks there.
    for (const { transactionIndex } of [...this.#closed, this.active]) {
      if (transactionIndex.syncNow()) this.#hasNewNames = true
    }
    this.#syncNames()
    for (const segment of this.#dirty) segment.syncNow()
    this.#dirty.clear()
    this.#recoveryPoint = Math.max(this.#recoveryPoint, endOffset)
  }

  /** Closes the files that nobody reads or syncs now; they are opened again when they are needed. */
  closeIdle(): void {
    for (const segment of this.list) segment.close()
  }

  closeFiles(): void {
    for (const segment of this.list) segment.close(true)
  }

  async #run(endOffset: () => number): Promise<void> {
    if (this.#syncFailure !== null) throw this.#syncFailure.error
    const offset = endOffset()
    const truncations = this.#truncations
    try {
      await this.#syncDirty(offset)
    } catch (error) {
      this.#syncFailure ??= { error }
      throw error
    } finally {
      this.#syncing = nothingTaken
    }
    if (truncations === this.#truncations) {
      this.#recoveryPoint = Math.max(this.#recoveryPoint, offset)
    }
  }

  /** The files first, then their names: nothing is said of them before both are durable. */
  async #syncDirty(endOffset: number): Promise<void> {
    const dirty = [...this.#dirty]
    const closed = [...this.#closed]
    this.#dirty.clear()
    this.#closed.clear()
    this.#syncing = { ...nothingTaken, segments: dirty, closed }
    const [isReplaced] = await Promise.all([
      // Nobody has to know of epochs without records.
      this.bytes > 0 && this.#epochs.sync(endOffset),
      ...dirty.map((segment) => this.#unlessGone(segment, segment.sync())),
      ...closed.map((segment) => this.#unlessGone(segment, segment.syncIndexes())),
    ])
    if (isReplaced) this.markNames()
    if (!this.#hasNewNames || (dirty.length === 0 && !this.#mustSyncNames)) return
    const isDirectoryNew = this.#takeNames()
    this.#syncing = { segments: dirty, closed, hasNames: true, isDirectoryNew }
    await Promise.all([
      this.#disk.syncDirectoryAsync(this.#directory),
      isDirectoryNew ? this.#disk.syncDirectoryAsync(parentOf(this.#directory)) : undefined,
    ])
  }

  /** Of a segment that went while its sync waited for a file nothing has to be durable any more. */
  async #unlessGone(segment: Segment, synced: Promise<void>): Promise<void> {
    try {
      await synced
    } catch (error) {
      if (this.list.includes(segment)) throw error
    }
  }

  /** Who cannot wait for the sync under way syncs as well what that has taken. */
  #takeBack(): void {
    const { segments, closed, hasNames, isDirectoryNew } = this.#syncing
    for (const segment of segments) if (this.list.includes(segment)) this.#dirty.add(segment)
    for (const segment of closed) if (this.list.includes(segment)) this.#closed.add(segment)
    this.#hasNewNames ||= hasNames
    this.#isDirectoryNew ||= isDirectoryNew
  }

  #syncNames(): void {
    if (!this.#hasNewNames) return
    this.#disk.syncDirectory(this.#directory)
    if (this.#isDirectoryNew) this.#disk.syncDirectory(parentOf(this.#directory))
    this.#takeNames()
  }

  /** They are about to be synced; whether that of the directory is among them. */
  #takeNames(): boolean {
    const isDirectoryNew = this.#isDirectoryNew
    this.#hasNewNames = false
    this.#mustSyncNames = false
    this.#isDirectoryNew = false
    return isDirectoryNew
  }

  /** The one that follows `segment`, which may have been deleted meanwhile. */
  #after(segment: Segment): Segment | undefined {
    const index = this.indexOf(segment.baseOffset)
    const found = this.list[index] as Segment
    return found.baseOffset > segment.baseOffset ? found : this.list[index + 1]
  }

  #discard(segments: Segment[], delayMs: Milliseconds): Segment[] {
    const paths: string[] = []
    for (const segment of segments) {
      this.#dirty.delete(segment)
      this.#closed.delete(segment)
      paths.push(...segment.markDeleted())
    }
    const remove = () => {
      for (const path of paths) this.#disk.remove(path)
    }
    if (delayMs <= 0) remove()
    else this.#timers.after(delayMs, () => this.#quietly(remove))
    return segments
  }

  /** In a timer there is nobody to throw to; the disk has told its directory, which is fenced. */
  #quietly(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
    }
  }

  #cool(segment: Segment): void {
    if (this.#cold === segment) return
    this.#cold?.close()
    this.#cold = segment
  }
}
