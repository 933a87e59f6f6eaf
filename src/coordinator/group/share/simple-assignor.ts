/**
 * The `simple` assignor of share groups (KIP-932): several members may have the same partition. Every
 * partition is given to equally many members, as few as make everybody busy, and members get equally many
 * partitions, keeping what they had where that fits. Only what is set up may be given.
 */
import type { Uuid } from '../../../../protocol/types.ts'
import type { Assignment } from '../modern/assignment.ts'
import type { Assignor, GroupSpec } from '../modern/target-assignment.ts'

export const simpleAssignorName = 'simple'

/** `isAssignable`: whether a partition is set up for the group. */
export function simpleAssignor(
  isAssignable: (topicId: Uuid, partition: number) => boolean,
): Assignor {
  return { name: simpleAssignorName, assign: (spec) => assign(spec, isAssignable) }
}

interface TopicPartition {
  readonly topicId: Uuid
  readonly partition: number
}

function assign(
  spec: GroupSpec,
  isAssignable: (topicId: Uuid, partition: number) => boolean,
): Map<string, Assignment> {
  const subscribers = new Map<Uuid, string[]>()
  for (const [memberId, { topicIds }] of spec.members) {
    for (const topicId of topicIds) {
      const known = subscribers.get(topicId)
      if (known === undefined) subscribers.set(topicId, [memberId])
      else known.push(memberId)
    }
  }
  const partitionsOf = (topicId: Uuid): TopicPartition[] =>
    Array.from({ length: spec.partitionCount(topicId) ?? 0 }, (_, partition) => ({
      topicId,
      partition,
    })).filter(({ partition }) => isAssignable(topicId, partition))
  const assigned = new Map<string, Map<Uuid, Set<number>>>()
  // Members that want the same share all of it evenly; else each topic is shared for itself.
  const parts = spec.isHomogeneous
    ? [{ members: [...spec.members.keys()], topicIds: [...subscribers.keys()] }]
    : [...subscribers].map(([topicId, members]) => ({ members, topicIds: [topicId] }))
  for (const { members, topicIds } of parts) {
    const partitions = topicIds.flatMap(partitionsOf)
    for (const [memberId, mine] of shared(spec, members, partitions)) {
      const all = assigned.get(memberId) ?? new Map<Uuid, Set<number>>()
      for (const { topicId, partition } of mine) {
        all.set(topicId, (all.get(topicId) ?? new Set()).add(partition))
      }
      assigned.set(memberId, all)
    }
  }
  return assigned
}

function shared(
  { members: specs }: GroupSpec,
  members: readonly string[],
  partitions: readonly TopicPartition[],
): Map<string, Set<TopicPartition>> {
  const result = new Map<string, Set<TopicPartition>>(members.map((id) => [id, new Set()]))
  if (partitions.length === 0) return result
  const sharingMax = Math.ceil(members.length / partitions.length)
  const precise = (sharingMax * partitions.length) / members.length
  const countMax = (at: number) => Math.ceil(precise * (at + 1)) - Math.ceil(precise * at)
  const sharing = new Map<TopicPartition, number>(partitions.map((each) => [each, 0]))
  const give = (mine: Set<TopicPartition>, one: TopicPartition) => {
    mine.add(one)
    sharing.set(one, (sharing.get(one) ?? 0) + 1)
  }
  const unfilled: { mine: Set<TopicPartition>; max: number }[] = []
  members.forEach((memberId, at) => {
    const mine = result.get(memberId) as Set<TopicPartition>
    const max = countMax(at)
    const before = specs.get(memberId)?.assignment
    for (const one of partitions) {
      if (mine.size >= max) break
      const hadIt = before?.get(one.topicId)?.has(one.partition) === true
      if (hadIt && (sharing.get(one) ?? 0) < sharingMax) give(mine, one)
    }
    if (mine.size < max) unfilled.push({ mine, max })
  })
  for (const one of partitions) {
    while ((sharing.get(one) ?? 0) < sharingMax) {
      const at = unfilled.findIndex(({ mine }) => !mine.has(one))
      const taker = unfilled[at]
      if (taker === undefined) break
      give(taker.mine, one)
      // To the end of the queue, so that all get their turn.
      unfilled.splice(at, 1)
      if (taker.mine.size < taker.max) unfilled.push(taker)
    }
  }
  return result
}
