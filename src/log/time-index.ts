/**
 * The `.timeindex` file: from a timestamp to an offset. An entry is 12 bytes: int64 largest
 * timestamp so far, int32 offset (relative to the segment's base) of the batch that has it.
 * Timestamps rise strictly from entry to entry, so a record with a timestamp of at least T lies at
 * or above the offset of the largest entry at or below T.
 */
import type { Disk } from '../environment/disk.ts'
import { IndexFile } from './index-file.ts'

const entrySize = 12

export class TimeIndex {
  readonly #file: IndexFile
  readonly #baseOffset: number
  readonly #entriesMax: number
  #lastTimestamp = -1
  #lastOffset: number

  /** `storedBytes`: the size of the file as it is on disk, 0 where it is to be made. */
  constructor(disk: Disk, path: string, baseOffset: number, bytesMax: number, storedBytes: number) {
    this.#file = new IndexFile(disk, path, entrySize, Math.floor(storedBytes / entrySize))
    this.#baseOffset = baseOffset
    this.#entriesMax = Math.max(2, Math.floor(bytesMax / entrySize))
    this.#lastOffset = baseOffset
    this.#readLast()
  }

  /** One entry stays free for the one that a roll forces in. */
  get isFull(): boolean {
    return this.#file.count >= this.#entriesMax - 1
  }

  get count(): number {
    return this.#file.count
  }

  /** -1 where there is no entry. */
  get lastTimestamp(): number {
    return this.#lastTimestamp
  }

  get lastOffset(): number {
    return this.#lastOffset
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

  /** The offset from which on a record with at least `timestamp` is to be looked for. */
  offsetOf(timestamp: number): number {
    const entry = this.#file.floor((index) => this.#file.int64(index, 0) <= timestamp)
    const relative = entry < 0 ? 0 : this.#file.int32(entry, 8)
    this.#file.release()
    return this.#baseOffset + relative
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

  /** False for a file that cannot be right, its entries falling somewhere: to be rebuilt. */
  isSane(storedBytes: number): boolean {
    if (storedBytes % entrySize !== 0) return false
    const entries = this.#file.readStored()
    let timestamp = -1
    let offset = 0
    for (let at = 0; at < entries.length; at += entrySize) {
      const nextTimestamp = entries.readInt32BE(at) * 2 ** 32 + entries.readUInt32BE(at + 4)
      const nextOffset = entries.readInt32BE(at + 8)
      if (nextTimestamp < timestamp || nextOffset < offset) return false
      timestamp = nextTimestamp
      offset = nextOffset
    }
    // A file of a broker that did not close it is all zeros, if nothing else.
    return entries.length === storedBytes && (entries.length === 0 || timestamp > 0)
  }

  #readLast(): void {
    const last = this.#file.count - 1
    this.#lastTimestamp = last < 0 ? -1 : this.#file.int64(last, 0)
    this.#lastOffset = this.#baseOffset + (last < 0 ? 0 : this.#file.int32(last, 8))
    this.#file.release()
  }
}
