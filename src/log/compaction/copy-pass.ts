/** The second pass of a compaction: writes what the filter leaves of segments into another one. */
import * as header from '../../../protocol/records/batch.ts'
import { lastOffsetOf, maxTimestampOf } from '../links.ts'
import type { Segment } from '../segment.ts'
import type { BatchFilter } from './batch-filter.ts'
import { DamagedLog } from './damaged-log.ts'
import type { Visitor } from './segment-walk.ts'

/** The size of a segment's file stays a small integer. */
const segmentBytesMax = 0x7fff_ffff

export class CopyPass implements Visitor {
  readonly #cleaned: Segment
  readonly #filter: BatchFilter
  /** Batches that stay as they are, back to back in the window, that are not written yet. */
  #window: Buffer | null = null
  #from = 0
  #to = 0
  #writtenBytes: number

  constructor(cleaned: Segment, filter: BatchFilter) {
    this.#cleaned = cleaned
    this.#filter = filter
    this.#writtenBytes = cleaned.size
  }

  batch(bytes: Buffer, at: number): boolean {
    const left = this.#filter.filter(bytes, at)
    if (left === null) return true
    const size = left === 'whole' ? header.batchBytes(bytes, at) : left.length
    if (this.#cleaned.size + size > segmentBytesMax) {
      throw new DamagedLog(`${this.#cleaned.path}.log would be too large`)
    }
    if (left === 'whole') this.#takeWhole(bytes, at, size)
    else {
      this.#queueWhole()
      this.#cleaned.queue(left)
    }
    const maxTimestamp = left === 'whole' ? maxTimestampOf(bytes, at) : maxTimestampOf(left, 0)
    this.#cleaned.note(size, lastOffsetOf(bytes, at), maxTimestamp)
    return true
  }

  isHeaderEnough(bytes: Buffer, at: number): boolean {
    return this.#filter.isHeaderEnough(bytes, at)
  }

  onWindowEnd(): number {
    this.#queueWhole()
    this.#cleaned.write()
    const written = this.#cleaned.size - this.#writtenBytes
    this.#writtenBytes = this.#cleaned.size
    return written
  }

  #takeWhole(bytes: Buffer, at: number, size: number): void {
    if (this.#window !== bytes || this.#to !== at) {
      this.#queueWhole()
      this.#window = bytes
      this.#from = at
    }
    this.#to = at + size
  }

  #queueWhole(): void {
    if (this.#window === null) return
    this.#cleaned.queue(this.#window.subarray(this.#from, this.#to))
    this.#window = null
  }
}
