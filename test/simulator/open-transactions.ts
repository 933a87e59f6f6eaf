/**
 * What a producer has open in the partitions of its ledger, as their leader tells it (KIP-664). Once it has
 * written in a transaction, the one before is decided in all of them: nothing holds up readers that begins
 * before it.
 */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { DescribeProducersResponse } from '../../protocol/messages/describe-producers.ts'
import type { LedgerTransaction } from './ledger.ts'
import { isPassingFailure } from './ledger-readers.ts'
import type { Client } from './stage.ts'
import type { Identity } from './transactional-producer.ts'
import { Violation } from './violation.ts'

type DescribedPartitions = DescribeProducersResponse['topics'][number]['partitions']

/** What cannot be asked now is asked another time. Rejects with Violation. */
export async function mustHaveNothingElseOpen(
  client: Client,
  identity: Identity,
  transaction: LedgerTransaction,
): Promise<void> {
  let partitions: DescribedPartitions
  try {
    partitions = await describe(client, transaction)
  } catch (error) {
    if (!isPassingFailure(error)) throw error
    return
  }
  const { topic, isVoid } = transaction.ledger
  if (isVoid) return
  for (const { partitionIndex, errorCode, activeProducers } of partitions) {
    if (errorCode !== errors.NONE.code) continue
    const producer = activeProducers.find((one) => one.producerId === identity.producerId)
    const open = producer?.currentTxnStartOffset ?? -1
    if (open < 0 || open >= firstOffset(transaction, partitionIndex)) continue
    throw new Violation(
      `${client.name} is in ${transaction.name}, and has had a transaction open in ` +
        `${topic}-${partitionIndex} since ${open}`,
    )
  }
}

async function describe(
  { cluster }: Client,
  { ledger: { topic, form } }: LedgerTransaction,
): Promise<DescribedPartitions> {
  const partitionIndexes = Array.from({ length: form.partitions }, (_, partition) => partition)
  const leader = await cluster.leader(topic, 0)
  const connection = await cluster.connectionTo(leader, 'general')
  const request = { topics: [{ name: topic, partitionIndexes }] }
  const answer = await connection.call(apis.describeProducers, request)
  return answer.topics[0]?.partitions ?? []
}

/** -1 where it is not known; Infinity where it has written nothing. */
function firstOffset({ records }: LedgerTransaction, partition: number): number {
  const offsets = records.filter((one) => one.partition === partition).map(({ offset }) => offset)
  return Math.min(Number.POSITIVE_INFINITY, ...offsets)
}
