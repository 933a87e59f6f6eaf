/**
 * The `.index` file: from an offset to a byte position in the segment. An entry is 8 bytes: int32
 * offset relative to the segment's base, int32 position. It holds the last offset of a batch and
 * where that batch begins, so the batch that contains a target begins at or after the position of
 * the largest entry at or below the target.
 */
import type { Disk } from '../environment/disk.ts'
import { IndexFile } from './index-file.ts'

const entrySize = 8

export class OffsetIndex {
  readonly #file: IndexFile
  readonly #baseOffset: number
  readonly #entriesMax: number
  #lastOffset: number

  /** `storedBytes`: the size of the file as it is on disk, 0 where it is to be made. */
  constructor(disk: Disk, path: string, baseOffset: number, bytesMax: number, storedBytes: number) {
    this.#file = new IndexFile(disk, path, entrySize, Math.floor(storedBytes / entrySize))
    this.#baseOffset = baseOffset
    this.#entriesMax = Math.max(1, Math.floor(bytesMax / entrySize))
    this.#lastOffset = this.#readLastOffset()
  }

  get isFull(): boolean {
    return this.#file.count >= this.#entriesMax
  }

  get count(): number {
    return this.#file.count
  }

  /** The offset of the last entry; the segment's base where there is none. */
  get lastOffset(): number {
    return this.#lastOffset
  }

  /** The position of the last entry, 0 where there is none. */
  get lastPosition(): number {
    if (this.#file.count === 0) return 0
    const position = this.#file.int32(this.#file.count - 1, 4)
    this.#file.release()
    return position
  }

  /** Adds an entry; one that does not lie above the last is left out. */
  append(offset: number, position: number): void {
    if (this.#file.count > 0 && offset <= this.#lastOffset) return
    const view = this.#file.extend()
    const at = this.#file.tailPosition
    view.setInt32(at, offset - this.#baseOffset)
    view.setInt32(at + 4, position)
    this.#lastOffset = offset
  }

  /** A position at or before the batch that contains `offset`. */
  positionOf(offset: number): number {
    const relative = offset - this.#baseOffset
    const entry = this.#file.floor((index) => this.#file.int32(index, 0) <= relative)
    const position = entry < 0 ? 0 : this.#file.int32(entry, 4)
    this.#file.release()
    return position
  }

  /** Drops the entries at and above `offset`. */
  truncateTo(offset: number): void {
    const relative = offset - this.#baseOffset
    this.#file.truncate(this.#file.floor((index) => this.#file.int32(index, 0) < relative) + 1)
    this.#lastOffset = this.#readLastOffset()
  }

  persist(): void {
    this.#file.persist()
  }

  /**
   * False for a file that cannot be the index of a segment of `segmentBytes`: to be rebuilt. Offsets
   * and positions rise from entry to entry; a file of a broker that did not close it ends in zeros.
   */
  isSane(storedBytes: number, segmentBytes: number): boolean {
    if (storedBytes % entrySize !== 0) return false
    const entries = this.#file.readStored()
    let offset = -1
    let position = -1
    for (let at = 0; at < entries.length; at += entrySize) {
      const nextOffset = entries.readInt32BE(at)
      const nextPosition = entries.readInt32BE(at + 4)
      if (nextOffset <= offset || nextPosition <= position) return false
      offset = nextOffset
      position = nextPosition
    }
    return entries.length === storedBytes && position < Math.max(segmentBytes, 1)
  }

  #readLastOffset(): number {
    if (this.#file.count === 0) return this.#baseOffset
    const offset = this.#baseOffset + this.#file.int32(this.#file.count - 1, 0)
    this.#file.release()
    return offset
  }
}
