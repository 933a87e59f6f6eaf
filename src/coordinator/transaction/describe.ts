/** What DescribeTransactions and ListTransactions tell of a transactional id (KIP-664). */
import { type ErrorRow, errors } from '../../../protocol/errors.ts'
import type { DescribeTransactionsResponse } from '../../../protocol/messages/describe-transactions.ts'
import type { Transaction } from './transaction.ts'

export type DescribedTransaction = DescribeTransactionsResponse['transactionStates'][number]

export function describedTransaction(
  transactionalId: string,
  transaction: Transaction | undefined,
): DescribedTransaction {
  if (transaction === undefined) {
    return undescribed(transactionalId, errors.TRANSACTIONAL_ID_NOT_FOUND)
  }
  const topics = [...transaction.partitions].map(([topic, indexes]) => ({
    topic,
    partitions: [...indexes],
  }))
  return {
    errorCode: errors.NONE.code,
    transactionalId,
    transactionState: transaction.state,
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStartTimeMs: transaction.startMs,
    producerId: transaction.producerId,
    producerEpoch: transaction.producerEpoch,
    topics,
  }
}

export function undescribed(transactionalId: string, error: ErrorRow): DescribedTransaction {
  return {
    errorCode: error.code,
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: 0,
    producerId: 0,
    producerEpoch: 0,
    topics: [],
  }
}
