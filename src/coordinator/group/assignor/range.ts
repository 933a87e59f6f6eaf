/**
 * The `range` assignor: topic by topic, each member in its turn gets a range of partitions, the first
 * ones one more where they do not come out even. Members stand in the order of their ids, static ones
 * first, in the order of theirs: topics with the same number of partitions and the same subscribers
 * are given out alike, so that what belongs together by key stays with one member.
 */
import type { Uuid } from '../../../../protocol/types.ts'
import type { Assignment } from '../modern/assignment.ts'
import type { Assignor, GroupSpec, MemberSpec } from '../modern/target-assignment.ts'

export const range: Assignor = { name: 'range', assign }

interface Topic {
  readonly partitionCount: number
  readonly memberCount: number
  /** Where the next range begins. */
  next: number
  /** Members that get one more than the others. */
  extras: number
}

function assign(spec: GroupSpec): Map<string, Assignment> {
  const members = [...spec.members].sort(byIds)
  const topics = topicsOf(spec)
  const result = new Map<string, Assignment>()
  for (const [memberId, { topicIds }] of members) {
    const mine = new Map<Uuid, ReadonlySet<number>>()
    for (const topicId of topicIds) {
      const partitions = nextRange(topics.get(topicId) as Topic)
      if (partitions.size > 0) mine.set(topicId, partitions)
    }
    result.set(memberId, mine)
  }
  return result
}

function topicsOf(spec: GroupSpec): Map<Uuid, Topic> {
  const subscribers = new Map<Uuid, number>()
  for (const { topicIds } of spec.members.values()) {
    for (const topicId of topicIds) subscribers.set(topicId, (subscribers.get(topicId) ?? 0) + 1)
  }
  const topics = new Map<Uuid, Topic>()
  for (const [topicId, memberCount] of subscribers) {
    const partitionCount = spec.partitionCount(topicId) ?? 0
    topics.set(topicId, {
      partitionCount,
      memberCount,
      next: 0,
      extras: partitionCount % memberCount,
    })
  }
  return topics
}

function nextRange(topic: Topic): Set<number> {
  let size = Math.floor(topic.partitionCount / topic.memberCount)
  if (topic.extras > 0) {
    size++
    topic.extras--
  }
  const start = topic.next
  topic.next += size
  return new Set(Array.from({ length: size }, (_, index) => start + index))
}

type Entry = readonly [memberId: string, member: MemberSpec]

function byIds([memberId, { instanceId }]: Entry, [otherId, other]: Entry): number {
  if (instanceId !== null && other.instanceId !== null) {
    return compare(instanceId, other.instanceId)
  }
  if (instanceId !== null) return -1
  return other.instanceId === null ? compare(memberId, otherId) : 1
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
