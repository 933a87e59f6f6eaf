/**
 * The `uniform` assignor: as many partitions for everybody, give or take one, and as few moves as
 * possible. Where all members are subscribed to the same topics that is a matter of counting; else
 * see `uniform-mixed.ts`.
 */
import type { Uuid } from '../../../../protocol/types.ts'
import type { Assignment } from '../modern/assignment.ts'
import {
  type Assignor,
  assignedBefore,
  type GroupSpec,
  type MemberSpec,
} from '../modern/target-assignment.ts'
import { assignMixed } from './uniform-mixed.ts'

export const uniform: Assignor = {
  name: 'uniform',
  assign: (spec) => (spec.isHomogeneous ? assignAlike(spec) : assignMixed(spec)),
}

interface Place {
  readonly memberId: string
  /** Partitions that the member can still take. */
  readonly room: number
}

/**
 * Every member keeps what it has up to its quota: the fair share, and one more for as many members as
 * there are partitions left over, first come, but only while there are enough members left to take
 * them. What nobody keeps fills up the others.
 */
function assignAlike(spec: GroupSpec): Map<string, Assignment> {
  const topicIds = firstOf(spec.members)?.topicIds ?? new Set<Uuid>()
  const unassigned: [topicId: Uuid, partition: number][] = []
  const isAssigned = assignedBefore(spec)
  let partitionCount = 0
  for (const topicId of topicIds) {
    const count = spec.partitionCount(topicId) ?? 0
    partitionCount += count
    for (let partition = 0; partition < count; partition++) {
      if (!isAssigned(topicId, partition)) unassigned.push([topicId, partition])
    }
  }
  const memberCount = spec.members.size
  const share = Math.floor(partitionCount / memberCount)
  let extras = partitionCount % memberCount
  const result = new Map<string, Map<Uuid, Set<number>>>()
  const places: Place[] = []
  let index = 0
  for (const [memberId, { assignment }] of spec.members) {
    let room = share + (extras > 0 ? 1 : 0)
    let takesExtra = extras > 0
    const kept = new Map<Uuid, Set<number>>()
    for (const [topicId, partitions] of assignment) {
      if (!topicIds.has(topicId)) continue
      const count = spec.partitionCount(topicId) ?? 0
      for (const partition of partitions) {
        // Topics do not shrink, but one may be deleted and made anew in the same breath.
        if (partition >= count) continue
        if (room > 0) {
          put(kept, topicId, partition)
          room--
        } else unassigned.push([topicId, partition])
      }
    }
    if (room > 0 && takesExtra && memberCount - index > extras) {
      room--
      takesExtra = false
    }
    if (room > 0) places.push({ memberId, room })
    if (takesExtra) extras--
    result.set(memberId, kept)
    index++
  }
  fill(result, places, unassigned)
  return result
}

function firstOf(members: ReadonlyMap<string, MemberSpec>): MemberSpec | undefined {
  return members.values().next().value
}

function fill(
  result: Map<string, Map<Uuid, Set<number>>>,
  places: readonly Place[],
  unassigned: readonly (readonly [Uuid, number])[],
): void {
  let next = 0
  for (const { memberId, room } of places) {
    const mine = result.get(memberId) as Map<Uuid, Set<number>>
    for (const [topicId, partition] of unassigned.slice(next, next + room)) {
      put(mine, topicId, partition)
    }
    next += room
  }
}

function put(assignment: Map<Uuid, Set<number>>, topicId: Uuid, partition: number): void {
  const partitions = assignment.get(topicId)
  if (partitions === undefined) assignment.set(topicId, new Set([partition]))
  else partitions.add(partition)
}
