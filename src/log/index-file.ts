/**
 * Fixed-size entries in rising order: what `.index` and `.timeindex` files are. Entries gather in
 * memory and reach the file in larger pieces, at a roll and at a clean close, so appending costs no
 * system call; after a crash they are rebuilt from the batches. Entries already in the file
 * are not kept in memory: a lookup there is a binary search with small reads of the page cache.
 *
 * The operating file of a live Kafka broker is preallocated and has a tail of zeros; a broker that
 * closed in good order has trimmed it.
 */
import type { Disk, DiskFile } from '../environment/disk.ts'
import { isOutOfFiles } from './out-of-files.ts'

const entriesMin = 64

/** Entries of one file kept in memory: for thousands of large segments even indexes add up. */
const tailBytesMax = 64 * 1024

export class IndexFile {
  readonly path: string
  readonly entrySize: number
  /** Entries, in the file and in memory. */
  count: number
  readonly #disk: Disk
  #stored: number
  #tail: Buffer | null = null
  #view: DataView | null = null
  #file: DiskFile | null = null
  readonly #scratch: DataView
  /** Where in the view that `#entry` gave the entry begins. */
  #base = 0
  /** The file is not there, or holds something else. */
  #isFileOld: boolean

  /** `storedBytes`: of the entries that the file holds, and nothing else; -1 where it is to be made. */
  constructor(disk: Disk, path: string, entrySize: number, storedBytes: number) {
    this.path = path
    this.entrySize = entrySize
    this.count = Math.max(storedBytes, 0) / entrySize
    this.#disk = disk
    this.#stored = this.count
    this.#isFileOld = storedBytes < 0
    this.#scratch = new DataView(new ArrayBuffer(entrySize))
  }

  /**
   * Makes room for one more entry at the end and gives the view to fill it through; it begins at
   * `(count before the call - entries in the file) * entrySize`, which `tailPosition` tells.
   */
  extend(): DataView {
    if ((this.count - this.#stored) * this.entrySize >= tailBytesMax) this.#persistIfPossible()
    const needed = (this.count + 1 - this.#stored) * this.entrySize
    if (this.#tail === null || this.#tail.length < needed) {
      const grown = Buffer.alloc(Math.max(needed * 2, entriesMin * this.entrySize))
      this.#tail?.copy(grown)
      this.#tail = grown
      this.#view = new DataView(grown.buffer, grown.byteOffset, grown.length)
    }
    this.count++
    return this.#view as DataView
  }

  /** Of all entries. */
  get bytes(): number {
    return this.count * this.entrySize
  }

  /** Where the last entry lies in the view that `extend` gave. */
  get tailPosition(): number {
    return (this.count - 1 - this.#stored) * this.entrySize
  }

  int32(entry: number, at: number): number {
    return this.#entry(entry).getInt32(this.#base + at)
  }

  int64(entry: number, at: number): number {
    const view = this.#entry(entry)
    const position = this.#base + at
    return view.getInt32(position) * 2 ** 32 + view.getUint32(position + 4)
  }

  /**
   * The largest entry for which `isAtMost` holds, or -1; it must hold for a prefix of the entries.
   */
  floor(isAtMost: (entry: number) => boolean): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAtMost(middle)) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The entries that the file holds, in one read. */
  readStored(): DataView {
    const stored = new DataView(new ArrayBuffer(this.#stored * this.entrySize))
    const file = this.#disk.open(this.path, 'read')
    try {
      file.read(new Uint8Array(stored.buffer), 0)
    } finally {
      file.close()
    }
    return stored
  }

  /** Ends a series of reads (`int32`, `int64`, `floor`): no descriptor stays open. */
  release(): void {
    this.#file?.close()
    this.#file = null
  }

  /** Keeps the first `count` entries. Throws DiskError; where the file cannot be opened all is as before. */
  truncate(count: number): void {
    if (count >= this.count) return
    this.release()
    if (count < this.#stored) {
      const file = this.#disk.open(this.path, 'write')
      this.#stored = count
      try {
        file.truncate(count * this.entrySize)
      } finally {
        file.close()
      }
    }
    this.count = count
  }

  /**
   * Writes what the file does not have yet, unsynced; makes the file if there is none, and trims
   * it.
   */
  persist(): void {
    this.release()
    if (this.count === this.#stored && !this.#isFileOld) return
    const file = this.#disk.open(this.path, 'create')
    try {
      const bytes = (this.count - this.#stored) * this.entrySize
      if (bytes > 0) {
        const tail = this.#tail as Buffer
        file.write([tail.subarray(0, bytes)], this.#stored * this.entrySize)
      }
      if (file.size() !== this.bytes) file.truncate(this.bytes)
    } finally {
      file.close()
    }
    this.#isFileOld = false
    this.#stored = this.count
    this.#tail = null
    this.#view = null
  }

  /** The batch of the entry is noted already; what cannot be written now stays in memory. */
  #persistIfPossible(): void {
    try {
      this.persist()
    } catch (error) {
      if (!isOutOfFiles(error)) throw error
    }
  }

  #entry(entry: number): DataView {
    if (entry >= this.#stored) {
      this.#base = (entry - this.#stored) * this.entrySize
      return this.#view as DataView
    }
    this.#base = 0
    this.#file ??= this.#disk.open(this.path, 'read')
    this.#file.read(new Uint8Array(this.#scratch.buffer), entry * this.entrySize)
    return this.#scratch
  }
}
