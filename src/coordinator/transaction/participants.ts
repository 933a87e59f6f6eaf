/**
 * What a transaction coordinator and the partitions in its transactions ask of each other. Either side
 * may be on another node: both answer with promises, and every failure is a row of `errors.ts`.
 */
import type { ErrorRow } from '../../../protocol/errors.ts'

/** Some partitions of one topic. */
export interface TopicPartitions {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** `topic-partition`, as keys of answers. */
export type PartitionName = string

/** A transaction that a partition has open. */
export interface OpenTransaction {
  readonly topic: string
  readonly partition: number
  readonly producerId: number
  readonly producerEpoch: number
}

/** A decision that was logged, on its way to the partitions. */
export interface TransactionMarkers {
  readonly producerId: number
  readonly producerEpoch: number
  /** Leader epoch of the partition of __transaction_state that decided. */
  readonly coordinatorEpoch: number
  readonly isCommit: boolean
  /** 0 to 2: since 2 (KIP-890) the epoch of a marker is above that of what it ends. */
  readonly transactionVersion: number
  readonly partitions: readonly TopicPartitions[]
}

/** Ends transactions in partitions; what the coordinator calls. */
export interface MarkerWriter {
  /** One row for each partition; never rejects. NONE only once the marker is committed there. */
  writeMarkers(markers: TransactionMarkers): Promise<ReadonlyMap<PartitionName, ErrorRow>>
}

/** What a leader wants to know before the first batch of a transaction goes into its partitions. */
export interface PartitionsInTransaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly partitions: readonly TopicPartitions[]
  /** Adds them (clients of transaction version 2); otherwise only asks whether they are there. */
  readonly isAdding: boolean
}

/** Says whether partitions belong to an ongoing transaction (KIP-890); what leaders call. */
export interface TransactionVerifier {
  /** One row for each partition; never rejects. */
  verify(request: PartitionsInTransaction): Promise<ReadonlyMap<PartitionName, ErrorRow>>
}
