/**
 * The `.index` file: from an offset to a byte position in the segment. An entry is 8 bytes: int32
 * offset relative to the segment's base, int32 position. It holds the last offset of a batch and
 * where that batch begins, so the batch that contains a target begins at or after the position of
 * the largest entry at or below the target.
 */
import type { Disk } from '../environment/disk.ts'
import { IndexFile } from './index-file.ts'

const entrySize = 8

/** What an entry says: the batch that ends with `lastOffset` begins at `position`. */
export interface IndexedBatch {
  readonly lastOffset: number
  readonly position: number
}

export class OffsetIndex {
  readonly #file: IndexFile
  readonly #baseOffset: number
  readonly #entriesMax: number
  #lastOffset = -1
  #lastPosition = 0

  /** `storedBytes`: the size of the file as it is on disk, -1 where it is to be made. */
  constructor(disk: Disk, path: string, baseOffset: number, bytesMax: number, storedBytes: number) {
    this.#file = new IndexFile(disk, path, entrySize, storedBytes)
    this.#baseOffset = baseOffset
    this.#entriesMax = Math.max(1, Math.floor(bytesMax / entrySize))
    this.#readLast()
  }

  /** Whether a file of so many bytes can be one. */
  static isSize(bytes: number): boolean {
    return bytes >= 0 && bytes % entrySize === 0
  }

  get isFull(): boolean {
    return this.#file.count >= this.#entriesMax
  }

  get count(): number {
    return this.#file.count
  }

  get bytes(): number {
    return this.#file.bytes
  }

  /** Adds an entry; one that does not lie above the last is left out. */
  append(offset: number, position: number): void {
    if (this.#file.count > 0 && offset <= this.#lastOffset) return
    const view = this.#file.extend()
    const at = this.#file.tailPosition
    view.setInt32(at, offset - this.#baseOffset)
    view.setInt32(at + 4, position)
    this.#lastOffset = offset
    this.#lastPosition = position
  }

  /** The largest entry at or below `offset`; null where there is none. */
  floor(offset: number): IndexedBatch | null {
    if (offset >= this.#lastOffset) return this.last
    const relative = offset - this.#baseOffset
    const entry = this.#file.floor((index) => this.#file.int32(index, 0) <= relative)
    const found = entry < 0 ? null : this.#entry(entry)
    this.#file.release()
    return found
  }

  get last(): IndexedBatch | null {
    if (this.#file.count === 0) return null
    return { lastOffset: this.#lastOffset, position: this.#lastPosition }
  }

  /** Whether the entries in the file rise, all of them, as a search expects. */
  get isInOrder(): boolean {
    if (this.#file.count > this.#entriesMax) return false
    const entries = this.#file.readStored()
    let [offset, position] = [-1, -1]
    for (let at = 0; at < entries.byteLength; at += entrySize) {
      if (entries.getInt32(at) <= offset || entries.getInt32(at + 4) <= position) return false
      offset = entries.getInt32(at)
      position = entries.getInt32(at + 4)
    }
    return true
  }

  /** Drops the entries at and above `offset`. */
  truncateTo(offset: number): void {
    const relative = offset - this.#baseOffset
    this.#file.truncate(this.#file.floor((index) => this.#file.int32(index, 0) < relative) + 1)
    this.#readLast()
  }

  persist(): void {
    this.#file.persist()
  }

  #entry(index: number): IndexedBatch {
    const lastOffset = this.#baseOffset + this.#file.int32(index, 0)
    return { lastOffset, position: this.#file.int32(index, 4) }
  }

  #readLast(): void {
    const last = this.#file.count - 1
    this.#lastOffset = last < 0 ? -1 : this.#baseOffset + this.#file.int32(last, 0)
    this.#lastPosition = last < 0 ? 0 : this.#file.int32(last, 4)
    this.#file.release()
  }
}
