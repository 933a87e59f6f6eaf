/**
 * The target: an assignor is told of the members, their subscriptions and what each was to have
 * before, and says what each shall have now. Recorded is only what became different.
 */
import type { Uuid } from '../../../../protocol/types.ts'
import { type Assignment, noPartitions, sameAssignment } from './assignment.ts'

/** What an assignor hears of one member. */
export interface MemberSpec {
  readonly instanceId: string | null
  readonly rackId: string | null
  /** Ids of the topics that exist among those to which it is subscribed. */
  readonly topicIds: ReadonlySet<Uuid>
  /** What it was to have before. */
  readonly assignment: Assignment
}

/** What an assignor hears of a group. */
export interface GroupSpec {
  readonly members: ReadonlyMap<string, MemberSpec>
  /** All members are subscribed to the same topics. */
  readonly isHomogeneous: boolean
  /** Undefined: there is no such topic. */
  partitionCount(topicId: Uuid): number | undefined
}

export interface Assignor {
  readonly name: string
  /** What each member shall have; who is left out shall have nothing. */
  assign(spec: GroupSpec): Map<string, Assignment>
}

export interface NewTarget {
  readonly assignments: ReadonlyMap<string, Assignment>
  /** The members whose target is another than before, or that had none. */
  readonly changed: readonly (readonly [memberId: string, assignment: Assignment])[]
}

/** `before`: the targets until now, by member. */
export function computeTarget(
  assignor: Assignor,
  spec: GroupSpec,
  before: { get(memberId: string): Assignment | undefined },
): NewTarget {
  const assignments = assignor.assign(spec)
  const changed: [string, Assignment][] = []
  for (const memberId of spec.members.keys()) {
    const assignment = assignments.get(memberId) ?? noPartitions
    const old = before.get(memberId)
    if (old === undefined || !sameAssignment(old, assignment)) changed.push([memberId, assignment])
  }
  return { assignments, changed }
}

/** The partitions that were to be with one of the members, to be asked one by one. */
export function assignedBefore(spec: GroupSpec): (topicId: Uuid, partition: number) => boolean {
  const all = new Map<Uuid, Set<number>>()
  for (const { assignment } of spec.members.values()) {
    for (const [topicId, partitions] of assignment) {
      const ofTopic = all.get(topicId) ?? new Set()
      for (const partition of partitions) ofTopic.add(partition)
      all.set(topicId, ofTopic)
    }
  }
  return (topicId, partition) => all.get(topicId)?.has(partition) ?? false
}
