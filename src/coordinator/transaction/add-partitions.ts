/** The partitions of a transaction: entered before the first write to them, or asked for (KIP-890). */
import { type ErrorRow, errors } from '../../../protocol/errors.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Decision } from '../shard.ts'
import type { PartitionName, PartitionsInTransaction, TopicPartitions } from './participants.ts'
import type { TransactionRecord } from './records.ts'
import { isDecided, type PartitionSet, type Transaction, transition } from './transaction.ts'

export type AddedPartitions = Omit<PartitionsInTransaction, 'isAdding'>

/** All are added or none. `clientVersion`: 2 for clients that leave adding to the leaders, else 0. */
export function addPartitions(
  before: Transaction | undefined,
  added: AddedPartitions,
  clientVersion: number,
  nowMs: Milliseconds,
): Decision<TransactionRecord, ErrorRow> {
  if (before === undefined) return unchanged(errors.INVALID_PRODUCER_ID_MAPPING)
  // First of all: the producer may go by the id and epoch that follow on this end already.
  if (isDecided(before)) return unchanged(errors.CONCURRENT_TRANSACTIONS)
  const error = producerError(before, added)
  if (error !== errors.NONE) return unchanged(error)
  const isOngoing = before.state === 'Ongoing'
  const partitions = union(before.partitions, added.partitions)
  if (isOngoing && partitions === before.partitions) return unchanged(errors.NONE)
  const value = transition(before, {
    state: 'Ongoing',
    partitions,
    startMs: isOngoing ? before.startMs : nowMs,
    updateMs: nowMs,
    clientVersion,
  })
  return { records: [{ transactionalId: added.transactionalId, value }], reply: errors.NONE }
}

/** A row for each partition: NONE where it is in the transaction. */
export function verifyPartitions(
  transaction: Transaction | undefined,
  asked: AddedPartitions,
): ReadonlyMap<PartitionName, ErrorRow> {
  if (transaction === undefined) return eachPartition(asked, errors.INVALID_PRODUCER_ID_MAPPING)
  const error = producerError(transaction, asked)
  if (error !== errors.NONE) return eachPartition(asked, error)
  if (isDecided(transaction)) return eachPartition(asked, errors.CONCURRENT_TRANSACTIONS)
  const rows = new Map<PartitionName, ErrorRow>()
  for (const { topic, partitions } of asked.partitions) {
    const known = transaction.partitions.get(topic)
    for (const index of partitions) {
      const isKnown = known?.has(index) === true
      rows.set(`${topic}-${index}`, isKnown ? errors.NONE : errors.TRANSACTION_ABORTABLE)
    }
  }
  return rows
}

export function eachPartition(
  { partitions }: { readonly partitions: readonly TopicPartitions[] },
  error: ErrorRow,
): ReadonlyMap<PartitionName, ErrorRow> {
  const rows = new Map<PartitionName, ErrorRow>()
  for (const { topic, partitions: indexes } of partitions) {
    for (const index of indexes) rows.set(`${topic}-${index}`, error)
  }
  return rows
}

function producerError(
  transaction: Transaction,
  { producerId, producerEpoch }: AddedPartitions,
): ErrorRow {
  if (transaction.producerId !== producerId) return errors.INVALID_PRODUCER_ID_MAPPING
  return transaction.producerEpoch === producerEpoch ? errors.NONE : errors.PRODUCER_FENCED
}

/** `before` itself if nothing is new. */
function union(before: PartitionSet, added: readonly TopicPartitions[]): PartitionSet {
  const grown = new Map<string, Set<number>>()
  for (const { topic, partitions } of added) {
    for (const index of partitions) {
      let known = grown.get(topic)
      if ((known ?? before.get(topic))?.has(index)) continue
      if (known === undefined) {
        known = new Set(before.get(topic))
        grown.set(topic, known)
      }
      known.add(index)
    }
  }
  return grown.size === 0 ? before : new Map([...before, ...grown])
}

/** As things stand; with NONE, all was done already. */
function unchanged(error: ErrorRow): Decision<TransactionRecord, ErrorRow> {
  return { records: [], reply: error }
}
