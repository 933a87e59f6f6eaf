/**
 * Partitions by topic id: what a member shall have (a target), and what it has, each partition with
 * the epoch in which it was given out. Streams groups use the same with subtopologies for topics.
 */
import type { Uuid } from '../../../../protocol/types.ts'

/** Topic id -> partitions; no topic is there without a partition. */
export type Assignment = ReadonlyMap<Uuid, ReadonlySet<number>>

/** Topic id -> partition -> epoch of the member when it was given the partition. */
export type OwnedPartitions = ReadonlyMap<Uuid, ReadonlyMap<number, number>>

export const noPartitions: ReadonlyMap<Uuid, never> = new Map<Uuid, never>()

export interface TopicPartitions {
  readonly topicId: Uuid
  readonly partitions: readonly number[]
}

export interface OwnedTopicPartitions extends TopicPartitions {
  readonly assignmentEpochs: readonly number[] | null
}

export function assignmentFrom(topics: readonly TopicPartitions[]): Assignment {
  const assignment = new Map<Uuid, ReadonlySet<number>>()
  for (const { topicId, partitions } of topics) {
    if (partitions.length > 0) assignment.set(topicId, new Set(partitions))
  }
  return assignment
}

/** Partitions ascending, so that the same assignment is always the same bytes. */
export function topicPartitionsOf(
  assignment: Assignment | OwnedPartitions,
): { topicId: Uuid; partitions: number[] }[] {
  return [...assignment].map(([topicId, partitions]) => ({
    topicId,
    partitions: ascending(partitions.keys()),
  }))
}

function ascending(numbers: Iterable<number>): number[] {
  return [...numbers].sort((a, b) => a - b)
}

export function ownedTopicPartitionsOf(
  owned: OwnedPartitions,
): { topicId: Uuid; partitions: number[]; assignmentEpochs: number[] }[] {
  return topicPartitionsOf(owned).map((topic) => ({
    ...topic,
    assignmentEpochs: topic.partitions.map((index) => owned.get(topic.topicId)?.get(index) ?? 0),
  }))
}

/** Records of before Kafka 4.2 have no epochs: `defaultEpoch` counts then. */
export function ownedFrom(
  topics: readonly OwnedTopicPartitions[],
  defaultEpoch: number,
): OwnedPartitions {
  const owned = new Map<Uuid, ReadonlyMap<number, number>>()
  for (const { topicId, partitions, assignmentEpochs } of topics) {
    if (partitions.length === 0) continue
    const epochs = assignmentEpochs?.length === partitions.length ? assignmentEpochs : null
    const epochOf = (at: number) => epochs?.[at] ?? Math.max(0, defaultEpoch)
    owned.set(topicId, new Map(partitions.map((partition, at) => [partition, epochOf(at)])))
  }
  return owned
}

/** All of them with the same epoch. */
export function ownedSince(
  assignment: Assignment | OwnedPartitions,
  epoch: number,
): OwnedPartitions {
  const since = (partitions: ReadonlySet<number> | ReadonlyMap<number, number>) =>
    new Map([...partitions.keys()].map((partition) => [partition, epoch]))
  return new Map([...assignment].map(([topicId, partitions]) => [topicId, since(partitions)]))
}

export function sameAssignment(a: Assignment, b: Assignment): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [topicId, partitions] of a) {
    const others = b.get(topicId)
    if (others === undefined || others.size !== partitions.size) return false
    for (const partition of partitions) if (!others.has(partition)) return false
  }
  return true
}

/** The same partitions, given out in the same epochs. */
export function sameOwned(a: OwnedPartitions, b: OwnedPartitions): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [topicId, partitions] of a) {
    const others = b.get(topicId)
    if (others === undefined || others.size !== partitions.size) return false
    for (const [partition, epoch] of partitions) {
      if (others.get(partition) !== epoch) return false
    }
  }
  return true
}

/** Whether all of `topics` is in `owned`. */
export function isSubset(topics: readonly TopicPartitions[], owned: OwnedPartitions): boolean {
  return topics.every(({ topicId, partitions }) => {
    const ofTopic = owned.get(topicId)
    return ofTopic !== undefined && partitions.every((partition) => ofTopic.has(partition))
  })
}

/** Whether any of `topics` is in `owned`. */
export function overlaps(topics: readonly TopicPartitions[], owned: OwnedPartitions): boolean {
  return topics.some(({ topicId, partitions }) => {
    const ofTopic = owned.get(topicId)
    return ofTopic !== undefined && partitions.some((partition) => ofTopic.has(partition))
  })
}
