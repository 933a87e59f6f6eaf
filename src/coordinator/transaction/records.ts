/**
 * What is recorded of transactional ids in `__transaction_state`, in Kafka's format: the whole of what is
 * known, each time something changes. A null value is a tombstone.
 *
 * Values are written in version 1, or 0 as long as the cluster's transaction.version is 0; both are read.
 */
import { MalformedError } from '../../../protocol/reader.ts'
import {
  decodeCoordinatorRecord,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
} from '../../../protocol/state/coordinator-frame.ts'
import {
  type TransactionLogValue,
  transactionLogKey,
  transactionLogRecords,
  transactionLogValue,
} from '../../../protocol/state/transaction-log.ts'
import {
  noPartitions,
  noProducerEpoch,
  type PartitionSet,
  type Transaction,
  transactionStates,
} from './transaction.ts'

export interface TransactionRecord {
  readonly transactionalId: string
  readonly value: Transaction | null
}

export function encodeTransactionRecord(
  { transactionalId, value }: TransactionRecord,
  transactionVersion: number,
): { key: Buffer; value: Buffer | null } {
  const key = encodeCoordinatorKey(transactionLogKey, { transactionalId })
  if (value === null) return { key, value: null }
  const version = transactionVersion >= 1 ? 1 : 0
  return { key, value: encodeCoordinatorValue(transactionLogValue, version, stored(value)) }
}

function stored(transaction: Transaction): TransactionLogValue {
  return {
    producerId: transaction.producerId,
    previousProducerId: transaction.previousProducerId,
    nextProducerId: transaction.nextProducerId,
    producerEpoch: transaction.producerEpoch,
    nextProducerEpoch: noProducerEpoch,
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStatus: transactionStates.indexOf(transaction.state),
    transactionPartitions:
      transaction.state === 'Empty'
        ? null
        : [...transaction.partitions].map(([topic, ids]) => ({ topic, partitionIds: [...ids] })),
    transactionLastUpdateTimestampMs: transaction.updateMs,
    transactionStartTimestampMs: transaction.startMs,
    clientTransactionVersion: transaction.clientVersion,
  }
}

/** Null for a record of another kind. Throws MalformedError. */
export function decodeTransactionRecord(
  key: Buffer,
  value: Buffer | null,
): TransactionRecord | null {
  const record = decodeCoordinatorRecord(transactionLogRecords, key, value)
  if (record === null) return null
  const { transactionalId } = record.key
  return { transactionalId, value: record.value === null ? null : transactionFrom(record.value) }
}

function transactionFrom(value: TransactionLogValue): Transaction {
  const state = transactionStates[value.transactionStatus]
  if (state === undefined) throw new MalformedError(`transaction state ${value.transactionStatus}`)
  return {
    producerId: value.producerId,
    previousProducerId: value.previousProducerId,
    nextProducerId: value.nextProducerId,
    producerEpoch: value.producerEpoch,
    lastProducerEpoch: noProducerEpoch,
    timeoutMs: value.transactionTimeoutMs,
    state,
    partitions: state === 'Empty' ? noPartitions : partitionsFrom(value.transactionPartitions),
    startMs: value.transactionStartTimestampMs,
    updateMs: value.transactionLastUpdateTimestampMs,
    clientVersion: value.clientTransactionVersion,
  }
}

function partitionsFrom(stored: TransactionLogValue['transactionPartitions']): PartitionSet {
  const partitions = new Map<string, ReadonlySet<number>>()
  for (const { topic, partitionIds } of stored ?? []) {
    partitions.set(topic, new Set([...(partitions.get(topic) ?? []), ...partitionIds]))
  }
  return partitions
}
