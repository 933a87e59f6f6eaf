/**
 * InitProducerId of a transactional id: who asks becomes its one producer, all earlier ones are fenced by
 * their epoch. A producer that says who it was (KIP-360) goes on after a failure with the next epoch,
 * unless somebody else has come meanwhile.
 */
import { errors } from '../../../protocol/errors.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Decision } from '../shard.ts'
import { fenceTransaction } from './end-transaction.ts'
import {
  askAgain,
  type NeedsProducerId,
  needsProducerId,
  type ProducerAnswer,
  producerFailed,
  unchanged,
} from './producer-answer.ts'
import type { TransactionRecord } from './records.ts'
import {
  clientEpochMax,
  isDecided,
  isEpochExhausted,
  noPartitions,
  noProducerEpoch,
  noProducerId,
  type Transaction,
  transition,
} from './transaction.ts'

export interface ProducerStart {
  readonly transactionalId: string
  readonly timeoutMs: Milliseconds
  /** Who the producer was; null for a new one. */
  readonly expected: { readonly producerId: number; readonly producerEpoch: number } | null
  /** Nobody's yet; null: not at hand. */
  readonly newProducerId: number | null
  /** Later epochs of the present id may have been given out than is known: none of it is given any more. */
  readonly mayHaveLaterEpoch: boolean
  /** The cluster's. */
  readonly transactionVersion: number
}

type Initialized = Decision<TransactionRecord, ProducerAnswer | NeedsProducerId>

export function initProducer(
  before: Transaction | undefined,
  start: ProducerStart,
  nowMs: Milliseconds,
): Initialized {
  const { expected } = start
  if (before === undefined) return withNewId(start, (id) => firstOf(id, start.timeoutMs, nowMs))
  if (expected !== null && !isWhoItWas(before, expected)) return unchanged(errors.PRODUCER_FENCED)
  if (isDecided(before)) return unchanged(errors.CONCURRENT_TRANSACTIONS)
  if (before.state === 'Ongoing') {
    const fenced = fenceTransaction(before, start, nowMs)
    if (fenced === needsProducerId) return askAgain
    // The producer asks again, when the abort is done, and takes yet another epoch.
    return { ...recorded(start, fenced), reply: producerFailed(errors.CONCURRENT_TRANSACTIONS) }
  }
  const isCurrent = expected === null || expected.producerEpoch === before.producerEpoch
  if (isCurrent && (isEpochExhausted(before) || start.mayHaveLaterEpoch)) {
    return withNewId(start, (id) => emptied(before, start, nowMs, id, 0))
  }
  if (isCurrent) {
    const { producerId, producerEpoch } = before
    return begun(start, emptied(before, start, nowMs, producerId, producerEpoch + 1))
  }
  // The answer to the same request was lost.
  if (expected.producerEpoch === before.lastProducerEpoch) {
    const { producerId, producerEpoch, lastProducerEpoch } = before
    const again = emptied(before, start, nowMs, producerId, producerEpoch)
    return begun(start, { ...again, lastProducerEpoch })
  }
  return unchanged(errors.PRODUCER_FENCED)
}

/** It has the id still, or had the one before until that had no epochs left. */
function isWhoItWas(
  before: Transaction,
  { producerId, producerEpoch }: NonNullable<ProducerStart['expected']>,
): boolean {
  if (producerId === before.producerId) return true
  return producerId === before.previousProducerId && producerEpoch >= clientEpochMax
}

function firstOf(producerId: number, timeoutMs: Milliseconds, nowMs: Milliseconds): Transaction {
  return {
    producerId,
    previousProducerId: producerId,
    nextProducerId: noProducerId,
    producerEpoch: 0,
    lastProducerEpoch: noProducerEpoch,
    timeoutMs,
    state: 'Empty',
    partitions: noPartitions,
    startMs: -1,
    updateMs: nowMs,
    clientVersion: 0,
  }
}

function emptied(
  before: Transaction,
  { expected, timeoutMs }: ProducerStart,
  nowMs: Milliseconds,
  producerId: number,
  producerEpoch: number,
): Transaction {
  return transition(before, {
    state: 'Empty',
    producerId,
    producerEpoch,
    lastProducerEpoch: expected === null ? noProducerEpoch : before.producerEpoch,
    timeoutMs,
    partitions: noPartitions,
    startMs: -1,
    updateMs: nowMs,
  })
}

function withNewId(start: ProducerStart, make: (id: number) => Transaction): Initialized {
  return start.newProducerId === null ? askAgain : begun(start, make(start.newProducerId))
}

function recorded({ transactionalId }: ProducerStart, value: Transaction) {
  return { records: [{ transactionalId, value }] }
}

function begun(start: ProducerStart, value: Transaction): Initialized {
  const { producerId, producerEpoch } = value
  return { ...recorded(start, value), reply: { error: errors.NONE, producerId, producerEpoch } }
}
