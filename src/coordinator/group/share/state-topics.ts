/**
 * Which partitions have delivery state with the share coordinator, as the group knows: that has to be set
 * up before a partition may be assigned, and taken away before the group may be deleted. Both take a
 * request to another coordinator, so each is recorded before it is begun and again when it is done.
 *
 *   --subscribed--> initializing --set up--> initialized --offsets or group deleted--> deleting --> gone
 */
import type { ShareGroupStatePartitionMetadataValue } from '../../../../protocol/state/share-group-records.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import type { Milliseconds } from '../../../environment/environment.ts'

export interface StateTopic {
  readonly name: string
  readonly partitions: ReadonlySet<number>
  /** When it was noted; begun but not done for long, it is begun again. */
  readonly sinceMs: Milliseconds
}

export type StateTopicsById = ReadonlyMap<Uuid, StateTopic>

export interface StateTopics {
  readonly initializing: StateTopicsById
  readonly initialized: StateTopicsById
  /** Names by id. */
  readonly deleting: ReadonlyMap<Uuid, string>
}

export const noStateTopics: StateTopics = {
  initializing: new Map(),
  initialized: new Map(),
  deleting: new Map(),
}

export function stateTopicsFrom(
  value: ShareGroupStatePartitionMetadataValue,
  nowMs: Milliseconds,
): StateTopics {
  const topics = (all: typeof value.initializedTopics): StateTopicsById =>
    new Map(
      all.map(({ topicId, topicName: name, partitions }) => [
        topicId,
        { name, partitions: new Set(partitions), sinceMs: nowMs },
      ]),
    )
  return {
    initializing: topics(value.initializingTopics),
    initialized: topics(value.initializedTopics),
    deleting: new Map(value.deletingTopics.map(({ topicId, topicName }) => [topicId, topicName])),
  }
}

export function stateTopicsValue(topics: StateTopics): ShareGroupStatePartitionMetadataValue {
  const listed = (all: StateTopicsById) =>
    [...all].map(([topicId, { name: topicName, partitions }]) => ({
      topicId,
      topicName,
      partitions: [...partitions].sort((a, b) => a - b),
    }))
  return {
    initializingTopics: listed(topics.initializing),
    initializedTopics: listed(topics.initialized),
    deletingTopics: [...topics.deleting].map(([topicId, topicName]) => ({ topicId, topicName })),
  }
}

/** Setting up these begins; what is also being deleted is not any more. */
export function initializing(topics: StateTopics, begun: StateTopicsById): StateTopics {
  const deleting = new Map(topics.deleting)
  for (const topicId of begun.keys()) deleting.delete(topicId)
  return { ...topics, initializing: merged(topics.initializing, begun), deleting }
}

/** These are set up. */
export function initialized(topics: StateTopics, done: StateTopicsById): StateTopics {
  return {
    ...topics,
    initializing: without(topics.initializing, done),
    initialized: merged(topics.initialized, done),
  }
}

/** Setting up these came to nothing. */
export function uninitialized(topics: StateTopics, failed: StateTopicsById): StateTopics {
  return { ...topics, initializing: without(topics.initializing, failed) }
}

/** These topics are gone: the share coordinator hears of that by itself. Null if nothing changes. */
export function withoutTopics(topics: StateTopics, ids: ReadonlySet<Uuid>): StateTopics | null {
  const kept = <T>(all: ReadonlyMap<Uuid, T>) => new Map([...all].filter(([id]) => !ids.has(id)))
  const left = {
    initializing: kept(topics.initializing),
    initialized: kept(topics.initialized),
    deleting: kept(topics.deleting),
  }
  return sizeOf(left) === sizeOf(topics) ? null : left
}

function sizeOf({ initializing: a, initialized: b, deleting: c }: StateTopics): number {
  return a.size + b.size + c.size
}

function merged(all: StateTopicsById, more: StateTopicsById): StateTopicsById {
  const result = new Map(all)
  for (const [topicId, topic] of more) {
    const before = all.get(topicId)?.partitions ?? []
    result.set(topicId, { ...topic, partitions: new Set([...before, ...topic.partitions]) })
  }
  return result
}

function without(all: StateTopicsById, less: StateTopicsById): StateTopicsById {
  const result = new Map<Uuid, StateTopic>()
  for (const [topicId, topic] of all) {
    const gone = less.get(topicId)?.partitions
    const left = [...topic.partitions].filter((partition) => gone?.has(partition) !== true)
    if (left.length > 0) result.set(topicId, { ...topic, partitions: new Set(left) })
  }
  return result
}
