/**
 * What is known of a transactional id, and the ways its transaction may go:
 *
 *   Empty ─add─> Ongoing ─end─> PrepareCommit ─markers written─> CompleteCommit ─add─> Ongoing …
 *                  └─end, fence, timeout─> PrepareAbort ─markers written─> CompleteAbort ─add─> …
 *
 * InitProducerId takes Empty and Complete… to Empty. Clients of transaction version 2 (KIP-890) may abort
 * what has no partitions yet, so PrepareAbort follows on Empty and Complete… too. A Prepare… that is in
 * the log is a decision: nothing but the end of its markers leads out of it. In Kafka's Dead an id is
 * about to be forgotten, in PrepareEpochFence about to be aborted; here both are one step, and no state.
 */
import type { Milliseconds } from '../../environment/environment.ts'

/** By number in the log. */
export const transactionStates = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
] as const
export type TransactionState = (typeof transactionStates)[number]

/** Partitions by topic. */
export type PartitionSet = ReadonlyMap<string, ReadonlySet<number>>

/** Never changed: each record brings another. */
export interface Transaction {
  readonly producerId: number
  /** The producer id before this record; -1 where that is not stored. */
  readonly previousProducerId: number
  /** What follows when the transaction is over, where the epochs of this id are used up; else -1. */
  readonly nextProducerId: number
  readonly producerEpoch: number
  /**
   * What the producer had before its last InitProducerId or EndTxn, so that it may ask again; else -1.
   * Not stored, as in Kafka: after a change of coordinators it is -1.
   */
  readonly lastProducerEpoch: number
  readonly timeoutMs: Milliseconds
  readonly state: TransactionState
  readonly partitions: PartitionSet
  /** When the first partition was added; -1 in Empty. */
  readonly startMs: Milliseconds
  readonly updateMs: Milliseconds
  /** Transaction version of the client that brought it to its state. */
  readonly clientVersion: number
}

export const noProducerId = -1
export const noProducerEpoch = -1
export const noPartitions: PartitionSet = new Map()

/** Since this transaction version (KIP-890) the end of each transaction takes a new epoch. */
export const firstVersionWithEpochBumps = 2

export const producerEpochMax = 0x7fff

/** No producer gets the highest epoch: it is left for fencing the one before. */
export const clientEpochMax = producerEpochMax - 1

/** Transactions of distributed commits (KIP-939) never time out, and have this as their timeout. */
export const unlimitedTimeoutMs = 0x7fffffff

const previousStates: Readonly<Record<TransactionState, readonly TransactionState[]>> = {
  Empty: ['Empty', 'CompleteCommit', 'CompleteAbort'],
  Ongoing: ['Ongoing', 'Empty', 'CompleteCommit', 'CompleteAbort'],
  PrepareCommit: ['Ongoing'],
  PrepareAbort: ['Ongoing', 'Empty', 'CompleteCommit', 'CompleteAbort'],
  CompleteCommit: ['PrepareCommit'],
  CompleteAbort: ['PrepareAbort'],
  Dead: [],
  PrepareEpochFence: [],
}

/** Whether a transaction may go from one state to the other. */
function isValidTransition(from: TransactionState, to: TransactionState): boolean {
  return previousStates[to].includes(from)
}

/** A decision that is still to be carried out. */
export function isDecided({ state }: Transaction): boolean {
  return state === 'PrepareCommit' || state === 'PrepareAbort'
}

/** No transaction is open: a new one may begin, and the id may be forgotten. */
export function isIdle({ state }: Transaction): boolean {
  return state === 'Empty' || state === 'CompleteCommit' || state === 'CompleteAbort'
}

export function isEpochExhausted({ producerEpoch }: Transaction): boolean {
  return producerEpoch >= clientEpochMax
}

/** What follows on `before`; throws where that is no way to go. */
export function transition(
  before: Transaction,
  change: Partial<Transaction> & Pick<Transaction, 'state'>,
): Transaction {
  if (!isValidTransition(before.state, change.state)) {
    throw new Error(`a transaction cannot go from ${before.state} to ${change.state}`)
  }
  return { ...before, previousProducerId: before.producerId, ...change }
}
