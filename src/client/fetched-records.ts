/**
 * From the bytes of a Fetch answer to records. Batches are opened one by one, when their records are
 * asked for. Records before the position are left out (an answer begins with the whole batch that the
 * position lies in), so are control records, and for a reader of committed records those of
 * transactions that were aborted.
 */
import * as header from '../../protocol/records/batch.ts'
import { readMessageSet } from '../../protocol/records/message-set.ts'
import { type BatchRecord, readBatch } from '../../protocol/records/record.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** The type of a control record is the second int16 of its key: 0 aborts, 1 commits. */
const abortMarker = 0

export class FetchedRecords {
  readonly #bytes: Buffer
  readonly #aborted: AbortedTransaction[]
  readonly #abortedNow = new Set<number>()
  #at = 0
  /** The offset after the last record handed out. */
  position: number
  /** In which the last batch that was opened was written; null before one was. */
  leaderEpoch: number | null = null

  /** `aborted`: null where uncommitted records are wanted too. */
  constructor(bytes: Buffer, position: number, aborted: readonly AbortedTransaction[] | null) {
    this.#bytes = bytes
    this.position = position
    this.#aborted = [...(aborted ?? [])].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Bytes not yet opened. */
  get remainingBytes(): number {
    return this.#bytes.length - this.#at
  }

  /**
   * The offset after everything in these bytes. It needs no record to be opened, so the next fetch can
   * start while these still wait.
   */
  endOffset(): number {
    let end = this.position
    let at = this.#at
    for (;;) {
      const bytes = header.entryBytes(this.#bytes, at, this.#bytes.length)
      if (bytes === null) return end
      const isBatch = header.magic(this.#bytes, at) === 2
      const last = isBatch ? header.lastOffset(this.#bytes, at) : header.baseOffset(this.#bytes, at)
      end = Math.max(end, last + 1)
      at += bytes
    }
  }

  /** The records of the next batch that has any to hand out, or null at the end. Throws CorruptRecords. */
  next(): BatchRecord[] | null {
    for (;;) {
      const at = this.#at
      const bytes = header.entryBytes(this.#bytes, at, this.#bytes.length)
      if (bytes === null) {
        this.#at = this.#bytes.length
        return null
      }
      this.#at += bytes
      const records = this.#open(at, bytes).filter(({ offset }) => offset >= this.position)
      const last = records.at(-1)?.offset ?? -1
      const isBatch = header.magic(this.#bytes, at) === 2
      const lastOffset = isBatch ? header.lastOffset(this.#bytes, at) : last
      this.leaderEpoch = isBatch
        ? header.partitionLeaderEpoch(this.#bytes, at)
        : header.noLeaderEpoch
      this.position = Math.max(this.position, lastOffset + 1)
      if (records.length > 0) return records
    }
  }

  #open(at: number, bytes: number): BatchRecord[] {
    if (header.magic(this.#bytes, at) < 2)
      return readMessageSet(this.#bytes, at, at + bytes).messages.map((message) => ({
        offset: message.offset,
        timestamp: message.timestamp,
        key: message.key,
        value: message.value,
        headers: [],
      }))
    header.checkCrc(this.#bytes, at)
    const producerId = header.producerId(this.#bytes, at)
    this.#beginAborted(header.lastOffset(this.#bytes, at))
    if (header.isControl(this.#bytes, at)) {
      const marker = readBatch(this.#bytes, at).records[0]?.key?.readInt16BE(2)
      if (marker === abortMarker) this.#abortedNow.delete(producerId)
      return []
    }
    if (header.isTransactional(this.#bytes, at) && this.#abortedNow.has(producerId)) return []
    return readBatch(this.#bytes, at).records
  }

  #beginAborted(upTo: number): void {
    while (this.#aborted.length > 0 && this.#aborted[0]!.firstOffset <= upTo)
      this.#abortedNow.add(this.#aborted.shift()!.producerId)
  }
}
