/**
 * The `.txnindex` file: the aborted transactions of a segment, in the order of their markers. An
 * entry is 34 bytes: int16 version 0, int64 producer id, int64 first offset, int64 last offset (the
 * marker's), int64 last stable offset when the marker was written. A segment without aborted
 * transactions has no such file. Written at once: transactions abort rarely, and recovery rebuilds
 * it.
 */
import { decode, encode } from '../../protocol/codec.ts'
import { type AbortedTxn, abortedTxn } from '../../protocol/state/aborted-transaction.ts'
import { type Disk, DiskError } from '../environment/disk.ts'

export type AbortedTransaction = AbortedTxn

const entrySize = 34

export class TransactionIndex {
  readonly #disk: Disk
  readonly #path: string
  /** Read on first use. */
  #entries: AbortedTransaction[] | null = null

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  get entries(): readonly AbortedTransaction[] {
    this.#entries ??= this.#read()
    return this.#entries
  }

  append(transaction: AbortedTransaction): void {
    this.#entries ??= this.#read()
    const entries = this.#entries
    const file = this.#disk.open(this.#path, 'create')
    try {
      file.write([encodeEntry(transaction)], entries.length * entrySize)
    } finally {
      file.close()
    }
    const { producerId, firstOffset, lastOffset, lastStableOffset } = transaction
    entries.push({ producerId, firstOffset, lastOffset, lastStableOffset })
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
    const kept = this.entries.filter((entry) => entry.lastOffset < offset)
    if (kept.length === this.entries.length) return
    this.#entries = kept
    if (kept.length === 0) {
      this.#disk.remove(this.#path)
      return
    }
    const file = this.#disk.open(this.#path, 'write')
    file.truncate(kept.length * entrySize)
    file.close()
  }

  #read(): AbortedTransaction[] {
    let bytes: Buffer
    try {
      bytes = this.#disk.readFile(this.#path)
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') return []
      throw error
    }
    const entries: AbortedTransaction[] = []
    for (let at = 0; at + entrySize <= bytes.length; at += entrySize) {
      entries.push(decodeEntry(bytes.subarray(at, at + entrySize)))
    }
    return entries
  }
}

const encodeEntry = (transaction: AbortedTransaction): Buffer =>
  Buffer.concat([Buffer.alloc(2), encode(abortedTxn, 0, transaction)])

const decodeEntry = (entry: Buffer): AbortedTransaction => decode(abortedTxn, 0, entry.subarray(2))
