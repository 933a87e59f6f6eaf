/**
 * The first pass of a compaction: learns which records of the dirty part are the last of their keys.
 * Aborted records make no other superfluous, and those below the dirty part are passed for their
 * transactions only.
 */
import * as header from '../../../protocol/records/batch.ts'
import { lastOffsetOf } from '../links.ts'
import { nextRecord, openForCompaction } from './batch-filter.ts'
import type { LastOffsets } from './last-offsets.ts'
import type { Visitor } from './segment-walk.ts'
import { TransactionWalk } from './transaction-walk.ts'

export class KeyPass implements Visitor {
  readonly transactions = new TransactionWalk()
  /** Up to here all keys are known. */
  mappedUpTo: number
  /** No tombstone was met, and every batch could be opened. */
  isPlain = true
  readonly #lastOffsets: LastOffsets
  readonly #fromOffset: number

  constructor(lastOffsets: LastOffsets, dirty: { fromOffset: number; upToOffset: number }) {
    this.#lastOffsets = lastOffsets
    this.#fromOffset = dirty.fromOffset
    this.mappedUpTo = dirty.upToOffset
  }

  /** False: there is no room for more keys. Throws DamagedLog. */
  batch(bytes: Buffer, at: number): boolean {
    if (header.magic(bytes, at) !== 2) return this.#passUnopened(bytes, at)
    if (header.isControl(bytes, at)) {
      this.transactions.passMarker(bytes, at)
      return true
    }
    const isAborted = this.transactions.passBatch(bytes, at)
    const lastOffset = header.lastOffset(bytes, at)
    if (lastOffset < this.#fromOffset) return true
    if (!isAborted) return this.#learn(bytes, at)
    // The second pass, for which it is aborted as well, takes it out for that.
    this.#lastOffsets.putUnknown(header.baseOffset(bytes, at), lastOffset)
    return true
  }

  #learn(bytes: Buffer, at: number): boolean {
    const cursor = openForCompaction(bytes, at)
    if (cursor === null) return this.#passUnopened(bytes, at)
    const lastOffsets = this.#lastOffsets
    const lastOffset = header.lastOffset(bytes, at)
    let before = header.baseOffset(bytes, at) - 1
    while (nextRecord(cursor, bytes, at)) {
      const { offset, keyLength } = cursor
      if (offset <= before || offset > lastOffset) lastOffsets.distrustBits()
      before = offset
      if (cursor.valueLength < 0) this.isPlain = false
      if (keyLength < 0 || offset < this.#fromOffset) continue
      if (lastOffsets.put(cursor.bytes, cursor.keyAt, keyLength, offset)) continue
      this.mappedUpTo = offset
      return false
    }
    return true
  }

  #passUnopened(bytes: Buffer, at: number): boolean {
    this.isPlain = false
    this.#lastOffsets.putUnknown(header.baseOffset(bytes, at), lastOffsetOf(bytes, at))
    return true
  }
}
