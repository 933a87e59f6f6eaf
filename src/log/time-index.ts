/**
 * The `.timeindex` file: from a timestamp to an offset. An entry is 12 bytes: int64 largest
 * timestamp so far, int32 offset (relative to the segment's base) of the batch that has it.
 * Timestamps rise strictly from entry to entry, so a record with a timestamp of at least T lies at
 * or above the offset of the largest entry at or below T.
 */
import type { Disk } from '../environment/disk.ts'
import { IndexFile } from './index-file.ts'

const entrySize = 12

/** What an entry says: the batch that holds `offset` has the largest timestamp so far. */
export interface IndexedTimestamp {
  readonly timestamp: number
  readonly offset: number
}

export class TimeIndex {
  readonly #file: IndexFile
  readonly #baseOffset: number
  readonly #entriesMax: number
  #lastTimestamp = -1
  #lastOffset: number

  /** `storedBytes`: the size of the file as it is on disk, -1 where it is to be made. */
  constructor(disk: Disk, path: string, baseOffset: number, bytesMax: number, storedBytes: number) {
    this.#file = new IndexFile(disk, path, entrySize, storedBytes)
    this.#baseOffset = baseOffset
    this.#entriesMax = Math.max(2, Math.floor(bytesMax / entrySize))
    this.#lastOffset = baseOffset
    this.#readLast()
  }

  /** Whether a file of so many bytes can be one. */
  static isSize(bytes: number): boolean {
    return bytes >= 0 && bytes % entrySize === 0
  }

  /** One entry stays free for the one that a roll forces in. */
  get isFull(): boolean {
    return this.#file.count >= this.#entriesMax - 1
  }

  get count(): number {
    return this.#file.count
  }

  get bytes(): number {
    return this.#file.bytes
  }

  /** Adds an entry if it rises in both. */
  append(timestamp: number, offset: number): void {
    if (timestamp < 0 || timestamp <= this.#lastTimestamp) return
    if (this.#file.count > 0 && offset < this.#lastOffset) return
    const view = this.#file.extend()
    const at = this.#file.tailPosition
    view.setInt32(at, Math.floor(timestamp / 2 ** 32))
    view.setUint32(at + 4, timestamp % 2 ** 32)
    view.setInt32(at + 8, offset - this.#baseOffset)
    this.#lastTimestamp = timestamp
    this.#lastOffset = offset
  }

  /** The largest entry at or below `timestamp`; null where there is none. */
  floor(timestamp: number): IndexedTimestamp | null {
    const entry = this.#file.floor((index) => this.#file.int64(index, 0) <= timestamp)
    const found = entry < 0 ? null : this.#entry(entry)
    this.#file.release()
    return found
  }

  get last(): IndexedTimestamp | null {
    if (this.#file.count === 0) return null
    return { timestamp: this.#lastTimestamp, offset: this.#lastOffset }
  }

  /** Whether the entries in the file rise, all of them, as a search expects. */
  get isInOrder(): boolean {
    if (this.#file.count > this.#entriesMax) return false
    const entries = this.#file.readStored()
    let timestamp = -1n
    let offset = 0
    for (let at = 0; at < entries.byteLength; at += entrySize) {
      if (entries.getBigInt64(at) <= timestamp || entries.getInt32(at + 8) < offset) return false
      timestamp = entries.getBigInt64(at)
      offset = entries.getInt32(at + 8)
    }
    return true
  }

  /** Drops the entries at and above `offset`. */
  truncateTo(offset: number): void {
    const relative = offset - this.#baseOffset
    this.#file.truncate(this.#file.floor((index) => this.#file.int32(index, 8) < relative) + 1)
    this.#readLast()
  }

  persist(): void {
    this.#file.persist()
  }

  #entry(index: number): IndexedTimestamp {
    const offset = this.#baseOffset + this.#file.int32(index, 8)
    return { timestamp: this.#file.int64(index, 0), offset }
  }

  #readLast(): void {
    const last = this.#file.count - 1
    this.#lastTimestamp = last < 0 ? -1 : this.#file.int64(last, 0)
    this.#lastOffset = this.#baseOffset + (last < 0 ? 0 : this.#file.int32(last, 8))
    this.#file.release()
  }
}
