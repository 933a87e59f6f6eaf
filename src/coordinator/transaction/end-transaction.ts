/**
 * The end of a transaction: the decision to commit or abort it, by its producer (EndTxn), by a producer
 * that takes its place, or because it took too long; and its completion, when all markers are written.
 *
 * Before transaction version 2 an EndTxn that is repeated finds the epoch unchanged and is answered by
 * state alone. From version 2 on (KIP-890) every end takes a new epoch, so the epoch tells a repeated
 * EndTxn from the next one, and a producer that does not know how things stand may abort at any time:
 *
 *                   commit, repeated   commit, next    abort, repeated   abort, next
 *   Empty           fenced             invalid         fenced            a new abort
 *   CompleteCommit  done already       invalid         invalid           a new abort
 *   CompleteAbort   invalid            invalid         done already      a new abort
 */
import { errors } from '../../../protocol/errors.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Decision } from '../shard.ts'
import {
  askAgain,
  type NeedsProducerId,
  needsProducerId,
  type ProducerAnswer,
  unchanged,
} from './producer-answer.ts'
import type { TransactionRecord } from './records.ts'
import {
  clientEpochMax,
  firstVersionWithEpochBumps,
  isDecided,
  isEpochExhausted,
  noPartitions,
  noProducerEpoch,
  noProducerId,
  producerEpochMax,
  type Transaction,
  transition,
} from './transaction.ts'

export interface TransactionEnd {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly isCommit: boolean
  /** Of the client: 2 if it takes a new epoch with every end, else 0. */
  readonly clientVersion: number
  /** Nobody's yet; null: not at hand. */
  readonly newProducerId: number | null
}

type Ended = Decision<TransactionRecord, ProducerAnswer | NeedsProducerId>

export function endTransaction(
  before: Transaction | undefined,
  end: TransactionEnd,
  nowMs: Milliseconds,
): Ended {
  if (before === undefined) return unchanged(errors.INVALID_PRODUCER_ID_MAPPING)
  return end.clientVersion >= firstVersionWithEpochBumps
    ? endWithBump(before, end, nowMs)
    : endWithoutBump(before, end, nowMs)
}

function endWithoutBump(before: Transaction, end: TransactionEnd, nowMs: Milliseconds): Ended {
  if (before.producerId !== end.producerId) return unchanged(errors.INVALID_PRODUCER_ID_MAPPING)
  if (before.producerEpoch !== end.producerEpoch) return unchanged(errors.PRODUCER_FENCED)
  if (isDecided(before)) return unchanged(errors.CONCURRENT_TRANSACTIONS)
  if (before.state === 'Ongoing') {
    const ended = transition(before, {
      state: end.isCommit ? 'PrepareCommit' : 'PrepareAbort',
      nextProducerId: noProducerId,
      updateMs: nowMs,
      clientVersion: 0,
    })
    return decided(end, ended)
  }
  return before.state === completeState(end.isCommit)
    ? unchanged(errors.NONE)
    : unchanged(errors.INVALID_TXN_STATE)
}

function endWithBump(before: Transaction, end: TransactionEnd, nowMs: Milliseconds): Ended {
  // First of all: the producer may go by the id and epoch that follow on this end already.
  if (isDecided(before)) return unchanged(errors.CONCURRENT_TRANSACTIONS)
  const isOldId = isEndOfIdBefore(before, end)
  if (before.producerId !== end.producerId && !isOldId) {
    return unchanged(errors.INVALID_PRODUCER_ID_MAPPING)
  }
  const isAgain = isOldId || before.producerEpoch === end.producerEpoch + 1
  const isComplete = before.state === 'CompleteCommit' || before.state === 'CompleteAbort'
  const isEpochValid = before.producerEpoch === end.producerEpoch || (isComplete && isAgain)
  if (!isEpochValid) return unchanged(errors.PRODUCER_FENCED)
  if (before.state === 'Ongoing') return bumped(before, end, nowMs)
  if (isAgain) {
    const { producerId, producerEpoch } = before
    return before.state === completeState(end.isCommit)
      ? { records: [], reply: { error: errors.NONE, producerId, producerEpoch } }
      : unchanged(errors.INVALID_TXN_STATE)
  }
  return end.isCommit ? unchanged(errors.INVALID_TXN_STATE) : bumped(before, end, nowMs)
}

/** The end that used up the epochs of the producer id before the present one. */
function isEndOfIdBefore(before: Transaction, end: TransactionEnd): boolean {
  const { previousProducerId, producerEpoch } = before
  const isOfIdBefore = previousProducerId === end.producerId && before.producerId !== end.producerId
  return isOfIdBefore && end.producerEpoch === clientEpochMax && producerEpoch === 0
}

function bumped(before: Transaction, end: TransactionEnd, nowMs: Milliseconds): Ended {
  const ended = withNextEpoch(before, end, nowMs)
  return ended === needsProducerId ? askAgain : decided(end, ended)
}

function withNextEpoch(
  before: Transaction,
  { isCommit, newProducerId }: Pick<TransactionEnd, 'isCommit' | 'newProducerId'>,
  nowMs: Milliseconds,
): Transaction | NeedsProducerId {
  const isExhausted = isEpochExhausted(before)
  if (isExhausted && newProducerId === null) return needsProducerId
  return transition(before, {
    state: isCommit ? 'PrepareCommit' : 'PrepareAbort',
    nextProducerId: isExhausted && newProducerId !== null ? newProducerId : noProducerId,
    producerEpoch: Math.min(before.producerEpoch + 1, producerEpochMax),
    lastProducerEpoch: before.producerEpoch,
    startMs: before.state === 'Ongoing' ? before.startMs : nowMs,
    updateMs: nowMs,
    clientVersion: firstVersionWithEpochBumps,
  })
}

/** An abort that its producer did not ask for: that one is fenced by the epoch. */
export function fenceTransaction(
  before: Transaction,
  options: { readonly newProducerId: number | null; readonly transactionVersion: number },
  nowMs: Milliseconds,
): Transaction | NeedsProducerId {
  const { newProducerId, transactionVersion } = options
  if (transactionVersion >= firstVersionWithEpochBumps) {
    return withNextEpoch(before, { isCommit: false, newProducerId }, nowMs)
  }
  return transition(before, {
    state: 'PrepareAbort',
    nextProducerId: noProducerId,
    producerEpoch: Math.min(before.producerEpoch + 1, producerEpochMax),
    lastProducerEpoch: noProducerEpoch,
    updateMs: nowMs,
    clientVersion: 0,
  })
}

/** The decision is carried out everywhere. */
export function completeTransaction(before: Transaction, nowMs: Milliseconds): Transaction {
  return transition(before, {
    state: completeState(before.state === 'PrepareCommit'),
    ...producerAfter(before),
    nextProducerId: noProducerId,
    partitions: noPartitions,
    updateMs: nowMs,
  })
}

/** As whom the producer goes on when the decision is carried out. */
function producerAfter(decided: Transaction): { producerId: number; producerEpoch: number } {
  const { nextProducerId, producerId, producerEpoch } = decided
  return nextProducerId === noProducerId
    ? { producerId, producerEpoch }
    : { producerId: nextProducerId, producerEpoch: 0 }
}

function completeState(isCommit: boolean) {
  return isCommit ? 'CompleteCommit' : 'CompleteAbort'
}

function decided({ transactionalId }: TransactionEnd, value: Transaction): Ended {
  const reply = { error: errors.NONE, ...producerAfter(value) }
  return { records: [{ transactionalId, value }], reply }
}
