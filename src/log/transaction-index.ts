/**
 * The `.txnindex` file: the aborted transactions of a segment, in the order of their markers. An
 * entry is 34 bytes: int16 version 0, int64 producer id, int64 first offset, int64 last offset (the
 * marker's), int64 last stable offset when the marker was written. A segment without aborted
 * transactions has no such file. Written at once, or as soon as a file can be opened: transactions
 * abort rarely, and recovery rebuilds it. Synced when the segment ends, before the recovery point passes it,
 * and when the log is closed: below the recovery point and after a clean close nothing is rebuilt.
 *
 * The file of a segment that was there before is read on first use. What cannot be right, or may be
 * missing, is asked for again of `restore`, which finds it in the batches.
 */
import { decode, encode } from '../../protocol/codec.ts'
import { MalformedError } from '../../protocol/reader.ts'
import { type AbortedTxn, abortedTxn } from '../../protocol/state/aborted-transaction.ts'
import type { Disk, DiskFile } from '../environment/disk.ts'
import { parentOf, readFileIfReadable, syncAndClose } from './checkpoints.ts'
import { isOutOfFiles } from './out-of-files.ts'
import type { OffsetRange } from './segment-options.ts'

export type AbortedTransaction = AbortedTxn

const entrySize = 34

export interface TransactionIndexOptions {
  readonly disk: Disk
  readonly path: string
  readonly range: () => OffsetRange
}

/**
 * Given the entries of the file (null: it is damaged), those that the batches have; null if there is
 * no reason to doubt the file.
 */
export type RestoreTransactions = (
  stored: readonly AbortedTransaction[] | null,
) => AbortedTransaction[] | null

export class TransactionIndex {
  /** To be set for a segment that was there before. */
  restore: RestoreTransactions | null = null
  readonly #options: TransactionIndexOptions
  /** Read on first use. */
  #entries: AbortedTransaction[] | null = null
  /** How many of them the file has. */
  #written = 0
  /** How often the file was written here, and how many of these writes are durable. */
  #writes = 0
  #durable = 0

  constructor(options: TransactionIndexOptions) {
    this.#options = options
  }

  get entries(): readonly AbortedTransaction[] {
    return this.#known
  }

  /** Looks at the file now, not on first use: one that is damaged is told of, and restored. */
  check(): void {
    const bytes = readFileIfReadable(this.#options.disk, this.#options.path)
    if (bytes !== null && this.#decode(bytes) === null) this.#entries ??= this.#read()
  }

  /** From here on `append` opens no file to read. Throws DiskError. */
  prepare(): void {
    this.#entries ??= this.#read()
  }

  /** Where no file can be opened now, `write` or `sync` has to follow. */
  append(transaction: AbortedTransaction): void {
    const { producerId, firstOffset, lastOffset, lastStableOffset } = transaction
    this.#known.push({ producerId, firstOffset, lastOffset, lastStableOffset })
    this.#writeIfPossible()
  }

  /** Writes what the file does not have yet, as soon as it can be opened. Rejects with DiskError. */
  write(): Promise<void> {
    const { disk, path } = this.#options
    return disk.openWhenPossible(path, () => this.#write())
  }

  /**
   * Makes durable what was added here: a file that lacks its last entries looks as one that never had
   * them. Rejects with DiskError.
   */
  async sync(): Promise<void> {
    const { disk, path } = this.#options
    if (!this.#isUnsynced) return
    let writes = 0
    const file = await disk.openWhenPossible(path, () => {
      const opened = this.#openToSync()
      writes = this.#writes
      return opened
    })
    if (file !== null) {
      await syncAndClose(file)
      await disk.syncDirectoryAsync(parentOf(path))
    }
    this.#durable = Math.max(this.#durable, writes)
  }

  /** As `sync`, blocking, but for the names of the directory. Whether they are to be synced. Throws DiskError. */
  syncNow(): boolean {
    if (!this.#isUnsynced) return false
    const file = this.#openToSync()
    try {
      file?.syncNow()
    } finally {
      file?.close()
    }
    this.#durable = this.#writes
    return true
  }

  /**
   * Adds to `into` the transactions that overlap [fromOffset, upToOffset). True: no later segment
   * can add to it.
   */
  collect(fromOffset: number, upToOffset: number, into: AbortedTransaction[]): boolean {
    for (const entry of this.entries) {
      if (entry.lastOffset >= fromOffset && entry.firstOffset < upToOffset) into.push(entry)
      if (entry.lastStableOffset >= upToOffset) return true
    }
    return false
  }

  /** Drops the transactions whose marker lies at or above `offset`. */
  truncateTo(offset: number): void {
    const entries = this.#known
    const kept = entries.filter((entry) => entry.lastOffset < offset)
    if (kept.length < entries.length) this.#replace(kept)
  }

  /** Nothing is known any more; all is to be appended again. */
  clear(): void {
    this.#replace([])
  }

  get #isUnsynced(): boolean {
    return this.#durable < this.#writes || this.#written < (this.#entries?.length ?? 0)
  }

  /** With all that there is to write; null where there is no file. */
  #openToSync(): DiskFile | null {
    const { disk, path } = this.#options
    this.#write()
    return disk.exists(path) ? disk.open(path, 'write') : null
  }

  get #known(): AbortedTransaction[] {
    this.#entries ??= this.#read()
    return this.#entries
  }

  #read(): AbortedTransaction[] {
    const { disk, path } = this.#options
    const bytes = readFileIfReadable(disk, path)
    const stored = bytes === null || bytes.length === 0 ? [] : this.#decode(bytes)
    const restored = this.restore?.(stored) ?? null
    if (restored !== null && (restored.length > 0 || bytes !== null)) {
      this.#replace(restored)
      this.#keep()
    } else this.#written = stored?.length ?? 0
    return restored ?? stored ?? []
  }

  /** Makes durable what was restored: nobody syncs the segment any more. */
  #keep(): void {
    const { disk, path } = this.#options
    try {
      if (this.syncNow()) disk.syncDirectory(parentOf(path))
    } catch (error) {
      if (!isOutOfFiles(error)) throw error
    }
  }

  /** Null where an entry cannot be of this segment. */
  #decode(bytes: Buffer): AbortedTransaction[] | null {
    const { baseOffset, endOffset } = this.#options.range()
    if (bytes.length % entrySize !== 0) return null
    const entries: AbortedTransaction[] = []
    let lastOffset = baseOffset - 1
    let lastStableOffset = 0
    try {
      for (let at = 0; at < bytes.length; at += entrySize) {
        if (bytes.readInt16BE(at) !== 0) return null
        const entry = decodeEntry(bytes.subarray(at, at + entrySize))
        if (entry.producerId < 0 || entry.firstOffset < 0) return null
        if (entry.lastOffset <= lastOffset || entry.lastOffset >= endOffset) return null
        if (entry.firstOffset >= entry.lastOffset) return null
        if (entry.lastStableOffset < lastStableOffset) return null
        if (entry.lastStableOffset > entry.lastOffset + 1) return null
        lastOffset = entry.lastOffset
        lastStableOffset = entry.lastStableOffset
        entries.push(entry)
      }
    } catch (error) {
      // An int64 beyond what a number holds.
      if (error instanceof MalformedError || error instanceof RangeError) return null
      throw error
    }
    return entries
  }

  #replace(entries: AbortedTransaction[]): void {
    this.#options.disk.remove(this.#options.path)
    this.#entries = entries
    this.#written = 0
    this.#writeIfPossible()
  }

  #writeIfPossible(): void {
    try {
      this.#write()
    } catch (error) {
      if (!isOutOfFiles(error)) throw error
    }
  }

  #write(): void {
    const { disk, path } = this.#options
    const entries = this.#entries ?? []
    if (this.#written === entries.length) return
    const file = disk.open(path, 'create')
    this.#writes++
    try {
      file.write(entries.slice(this.#written).map(encodeEntry), this.#written * entrySize)
    } finally {
      file.close()
    }
    this.#written = entries.length
  }
}

const encodeEntry = (transaction: AbortedTransaction): Buffer =>
  Buffer.concat([Buffer.alloc(2), encode(abortedTxn, 0, transaction)])

const decodeEntry = (entry: Buffer): AbortedTransaction => decode(abortedTxn, 0, entry.subarray(2))
