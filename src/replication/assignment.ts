/** Whose the partitions of topics are: the parts of the metadata's image that replicas look at. */
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type { PartitionState } from './partition.ts'
import type { PlacedPartition } from './placement.ts'

export interface AssignedPartition extends PartitionState, PlacedPartition {}

export interface AssignedTopic {
  readonly name: string
  readonly id: string
  readonly partitions: readonly AssignedPartition[]
}

/** All topics of the cluster. */
export interface AssignedTopics {
  readonly byName: ReadonlyMap<string, AssignedTopic>
  readonly byId: ReadonlyMap<string, AssignedTopic>
}

export interface AssignmentChanges {
  readonly deleted: Iterable<{ readonly id: string }>
  /** With the indexes of the partitions that are new or changed. */
  readonly changed: Iterable<{
    readonly topic: AssignedTopic
    readonly partitions: readonly number[]
  }>
  /** Names of the topics whose effective settings may have changed. */
  readonly reconfigured: Iterable<string>
}

/** Why a partition is not here; `unknownTopic`: what is said of a topic that is nowhere. */
export function notHosted(
  topic: AssignedTopic | undefined,
  index: number,
  unknownTopic: ErrorRow,
): ErrorRow {
  if (topic === undefined) return unknownTopic
  return topic.partitions[index] === undefined
    ? errors.UNKNOWN_TOPIC_OR_PARTITION
    : errors.NOT_LEADER_OR_FOLLOWER
}
