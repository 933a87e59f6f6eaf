/**
 * Transactions that a partition has open and nobody would end: a loss of power took the record of them, or the
 * marker that they had got already. What their producer did last tells how they ended, where that is certain:
 *
 *   its transaction is open, or being ended    no orphan
 *   it committed under the next epoch          committed: each end takes an epoch of its own (KIP-890)
 *   it committed under this epoch              committed, unless the record of a later one may be lost
 *   anything else, or nothing is known         aborted
 */
import type { OpenTransaction } from './participants.ts'
import {
  clientEpochMax,
  firstVersionWithEpochBumps,
  isIdle,
  type Transaction,
} from './transaction.ts'

/** What a transactional id says of its last transaction. */
export interface LastTransaction {
  readonly transaction: Transaction
  /** What was recorded after it may be lost. */
  readonly mayLackRecords: boolean
}

/** How the transaction is to end; null: its coordinator sees to it. */
export function fateOf(
  open: OpenTransaction,
  last: LastTransaction | undefined,
): 'commit' | 'abort' | null {
  if (last === undefined) return 'abort'
  const { transaction } = last
  if (!isIdle(transaction)) return transaction.producerEpoch < open.producerEpoch ? 'abort' : null
  const isCommitted = transaction.state === 'CompleteCommit' && isSame(open, last)
  return isCommitted ? 'commit' : 'abort'
}

/** Whether it certainly is that one. */
function isSame(open: OpenTransaction, { transaction, mayLackRecords }: LastTransaction): boolean {
  const { producerId, producerEpoch, previousProducerId, clientVersion } = transaction
  const isOfId = open.producerId === producerId
  if (clientVersion < firstVersionWithEpochBumps) {
    return isOfId && open.producerEpoch === producerEpoch && !mayLackRecords
  }
  if (isOfId) return open.producerEpoch === producerEpoch - 1
  const isOfIdBefore = open.producerId === previousProducerId && producerEpoch === 0
  return isOfIdBefore && open.producerEpoch === clientEpochMax
}
