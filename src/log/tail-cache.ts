/**
 * The newest batches of all logs, kept by reference as they arrived, so that consumers and followers
 * that keep up never touch the disk. One budget of bytes serves all logs, and the oldest entry goes
 * first whichever log it belongs to. What a log has here is always one run up to its end.
 *
 *     log A:          [a1][a2]    [a3]        each log's `Tail` lists its own, in offset order;
 *     log B:   [b1]           [b2]            all entries form one queue in order of arrival
 *     queue:   b1 -> a1 -> a2 -> b2 -> a3     and leave it at the front
 */
import * as header from '../../protocol/records/batch.ts'
import { lastOffsetOf } from './scan.ts'
import type { ReadOptions, ReadResult } from './segment.ts'

interface Entry {
  readonly tail: Tail
  readonly baseOffset: number
  readonly lastOffset: number
  bytes: Buffer
  next: Entry | null
  isDropped: boolean
}

/** What an entry costs beside its bytes: the objects around them. */
const entryOverheadBytes = 200

const nothing = Buffer.alloc(0)

export class TailCache {
  readonly bytesMax: number
  #bytes = 0
  #oldest: Entry | null = null
  #newest: Entry | null = null

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Takes an entry in and drops the oldest ones that no longer fit. */
  insert(entry: Entry): void {
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.next = entry
    this.#newest = entry
    this.#bytes += entry.bytes.length + entryOverheadBytes
    while (this.#bytes > this.bytesMax && this.#oldest !== null) {
      const oldest: Entry = this.#oldest
      if (!oldest.isDropped) {
        oldest.tail.dropOldest()
        this.release(oldest)
      }
      this.#oldest = oldest.next
      if (this.#oldest === null) this.#newest = null
    }
  }

  /** The entry does not count any more and lets go of its bytes; it leaves the queue in its turn. */
  release(entry: Entry): void {
    entry.isDropped = true
    this.#bytes -= entry.bytes.length + entryOverheadBytes
    entry.bytes = nothing
  }
}

/** The run of batches of one log. */
export class Tail {
  readonly #cache: TailCache
  #entries: Entry[] = []
  #head = 0

  constructor(cache: TailCache) {
    this.#cache = cache
  }

  /** Everything from here to the log's end is here; the largest number where there is nothing. */
  get startOffset(): number {
    return this.#entries[this.#head]?.baseOffset ?? Number.MAX_SAFE_INTEGER
  }

  /**
   * Takes whole batches that follow those already here. A small slice of a large chunk (many requests
   * arrive in one) is copied, since keeping it would keep the whole chunk.
   */
  add(baseOffset: number, lastOffset: number, bytes: Buffer): void {
    if (bytes.length + entryOverheadBytes > this.#cache.bytesMax) {
      this.clear()
      return
    }
    const kept = bytes.buffer.byteLength > bytes.length * 2 ? Buffer.from(bytes) : bytes
    const entry: Entry = {
      tail: this,
      baseOffset,
      lastOffset,
      bytes: kept,
      next: null,
      isDropped: false,
    }
    this.#entries.push(entry)
    this.#cache.insert(entry)
  }

  /** Calls `visit` with each entry from the one that holds `offset` on, until it answers false. */
  visit(
    offset: number,
    visit: (bytes: Buffer, baseOffset: number, lastOffset: number) => boolean,
  ): void {
    let low = this.#head
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle] as Entry).lastOffset < offset) low = middle + 1
      else high = middle
    }
    for (let index = low; index < this.#entries.length; index++) {
      const entry = this.#entries[index] as Entry
      if (!visit(entry.bytes, entry.baseOffset, entry.lastOffset)) return
    }
  }

  /** Forgets everything: the log was truncated or closed. */
  clear(): void {
    for (let index = this.#head; index < this.#entries.length; index++) {
      this.#cache.release(this.#entries[index] as Entry)
    }
    this.#entries = []
    this.#head = 0
  }

  /** The cache's budget is used up and this log's first entry is the oldest of all. */
  dropOldest(): void {
    this.#head++
    if (this.#head < 1024 || this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }
}

/** Whole batches from the one that holds `offset` on, as far as the limits allow; no copies. */
export function readTail(tail: Tail, options: ReadOptions): ReadResult {
  const { offset, maxBytes, minOneBatch, upToOffset } = options
  const chunks: Buffer[] = []
  let bytes = 0
  let firstOffset = offset
  let nextOffset = offset
  tail.visit(offset, (entry, entryBase, entryLast) => {
    const isWhole = entryBase >= nextOffset && entryLast < upToOffset
    if (isWhole && bytes + entry.length <= maxBytes) {
      if (bytes === 0) firstOffset = entryBase
      chunks.push(entry)
      bytes += entry.length
      nextOffset = entryLast + 1
      return true
    }
    let start = 0
    let end = 0
    while (end < entry.length) {
      const size = header.batchBytes(entry, end)
      const lastOffset = lastOffsetOf(entry, end)
      if (lastOffset < offset) {
        start = end + size
      } else {
        const taken = bytes + end - start
        const isAllowed = taken + size <= maxBytes || (taken === 0 && minOneBatch)
        if (lastOffset >= upToOffset || !isAllowed) break
        if (taken === 0) firstOffset = header.baseOffset(entry, end)
        nextOffset = lastOffset + 1
      }
      end += size
    }
    if (end > start) chunks.push(entry.subarray(start, end))
    bytes += end - start
    return end === entry.length
  })
  return { chunks, bytes, firstOffset, nextOffset }
}
