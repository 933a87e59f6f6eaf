/**
 * Which transactions the batches that compaction passes belong to: whether their records were aborted,
 * and whether a marker still has anything to say. Batches are passed in offset order; the transactions
 * that aborted are told beforehand, from the transaction indexes.
 *
 * An index that contradicts a marker is damaged. Nothing is taken out on its word.
 */
import * as header from '../../../protocol/records/batch.ts'
import { markerOf } from '../producer-replay.ts'
import type { AbortedTransaction } from '../transaction-index.ts'
import { DamagedLog } from './damaged-log.ts'

interface Aborted {
  readonly transaction: AbortedTransaction
  /** A batch of it was passed: it is still in the log, or was until now. */
  isSeen: boolean
}

/** What is to become of a control batch. */
export interface MarkerVerdict {
  /** No batch of its transaction is left. */
  readonly isSuperfluous: boolean
  /** To be kept in the transaction index beside the marker. */
  readonly aborted: AbortedTransaction | null
}

const superfluous: MarkerVerdict = { isSuperfluous: true, aborted: null }
const needed: MarkerVerdict = { isSuperfluous: false, aborted: null }

export class TransactionWalk {
  /** By first offset, those still ahead; the next one last. */
  #ahead: AbortedTransaction[] = []
  /** By the offset of the marker: those that reach into several segments are told for each. */
  readonly #told = new Set<number>()
  /** By producer id. */
  readonly #aborted = new Map<number, Aborted>()
  readonly #committed = new Set<number>()

  /** Transactions that aborted, of those that reach into what is passed next. */
  tell(transactions: readonly AbortedTransaction[]): void {
    for (const transaction of transactions) {
      if (this.#told.has(transaction.lastOffset)) continue
      this.#told.add(transaction.lastOffset)
      this.#ahead.push(transaction)
    }
    this.#ahead.sort((a, b) => b.firstOffset - a.firstOffset)
  }

  /** A batch with records is passed. Whether they were aborted. */
  passBatch(bytes: Buffer, at: number): boolean {
    if (!header.isTransactional(bytes, at)) return false
    const producerId = header.producerId(bytes, at)
    const aborted = this.#abortedAt(header.lastOffset(bytes, at), producerId)
    if (aborted === undefined) this.#committed.add(producerId)
    else aborted.isSeen = true
    return aborted !== undefined
  }

  /** A control batch is passed. Throws DamagedLog. */
  passMarker(bytes: Buffer, at: number): MarkerVerdict {
    const offset = header.lastOffset(bytes, at)
    const aborted = this.#abortedAt(offset, header.producerId(bytes, at))
    if (header.recordCount(bytes, at) === 0) return superfluous
    const marker = markerOf(bytes, at)
    // One that is not of a transaction, or of a kind that later releases write.
    if (marker === null) return needed
    const { producerId, isCommit } = marker
    const isCommitted = this.#committed.delete(producerId)
    const isContradiction = isCommit
      ? aborted !== undefined
      : isCommitted || (aborted !== undefined && aborted.transaction.lastOffset !== offset)
    if (isContradiction) {
      throw new DamagedLog(`the transaction index disagrees with the marker at offset ${offset}`)
    }
    this.#aborted.delete(producerId)
    this.#told.delete(offset)
    if (isCommit) return isCommitted ? needed : superfluous
    if (aborted?.isSeen !== true) return superfluous
    return { isSuperfluous: false, aborted: aborted.transaction }
  }

  /** The transaction of the producer that reaches to `offset` and aborted. */
  #abortedAt(offset: number, producerId: number): Aborted | undefined {
    for (let next = this.#ahead.at(-1); next !== undefined; next = this.#ahead.at(-1)) {
      if (next.firstOffset > offset) break
      this.#ahead.pop()
      this.#aborted.set(next.producerId, { transaction: next, isSeen: false })
    }
    const aborted = this.#aborted.get(producerId)
    // Its marker is gone.
    if (aborted !== undefined && aborted.transaction.lastOffset < offset) {
      this.#aborted.delete(producerId)
      return undefined
    }
    return aborted
  }
}
