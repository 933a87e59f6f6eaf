/**
 * Reconciliation: the steps by which a member gets from what it has to what it shall have, such that
 * no partition is ever with two members.
 *
 *   Stable --a newer target--> takes away first:  UnrevokedPartitions, until the member says that
 *                              it let go; it stays in its epoch, and the rebalance timeout runs
 *            then gives:       UnreleasedPartitions, in the target's epoch, as long as others still
 *                              hold some of what it shall have; it gets the rest as it is let go
 *            at last:          Stable, in the target's epoch
 */
import type { Uuid } from '../../../../protocol/types.ts'
import type { Assignment, OwnedPartitions } from './assignment.ts'

/** The numbers are those of records. */
export const memberState = {
  stable: 0,
  unrevoked: 1,
  unreleased: 2,
  /** Of a later version. */
  unknown: 127,
} as const
export type MemberState = (typeof memberState)[keyof typeof memberState]

export function memberStateFrom(number: number): MemberState {
  const known = Object.values(memberState).find((state) => state === number)
  return known ?? memberState.unknown
}

/** Whether a member has got to the target of this epoch. */
export function isReconciled(
  { state, memberEpoch }: { readonly state: MemberState; readonly memberEpoch: number },
  targetEpoch: number,
): boolean {
  return state === memberState.stable && memberEpoch === targetEpoch
}

/** What is between what a member has and its target. */
export interface Steps {
  /** What it has and keeps. */
  readonly kept: OwnedPartitions
  /** What it has and shall not have. */
  readonly revoked: OwnedPartitions
  /** What it shall have and nobody holds. */
  readonly free: Assignment
  /** Whether somebody else holds some of what it shall have. */
  readonly hasUnreleased: boolean
}

/** `isHeld`: whether another member has the partition, or has not let go of it yet. */
export function stepsBetween(
  owned: OwnedPartitions,
  target: Assignment,
  isHeld: (topicId: Uuid, partition: number) => boolean,
): Steps {
  const kept = new Map<Uuid, Map<number, number>>()
  const revoked = new Map<Uuid, Map<number, number>>()
  const free = new Map<Uuid, Set<number>>()
  let hasUnreleased = false
  for (const [topicId, partitions] of owned) {
    const wanted = target.get(topicId)
    for (const [partition, epoch] of partitions) {
      const into = wanted?.has(partition) ? kept : revoked
      put(into, topicId, partition, epoch)
    }
  }
  for (const [topicId, partitions] of target) {
    const mine = owned.get(topicId)
    for (const partition of partitions) {
      if (mine?.has(partition)) continue
      if (isHeld(topicId, partition)) {
        hasUnreleased = true
        continue
      }
      const ofTopic = free.get(topicId)
      if (ofTopic === undefined) free.set(topicId, new Set([partition]))
      else ofTopic.add(partition)
    }
  }
  return { kept, revoked, free, hasUnreleased }
}

function put(
  owned: Map<Uuid, Map<number, number>>,
  topicId: Uuid,
  partition: number,
  epoch: number,
): void {
  const ofTopic = owned.get(topicId)
  if (ofTopic === undefined) owned.set(topicId, new Map([[partition, epoch]]))
  else ofTopic.set(partition, epoch)
}

/** What is kept, and what is free, given out in `epoch`. */
export function withFree({ kept, free }: Steps, epoch: number): OwnedPartitions {
  if (free.size === 0) return kept
  const all = new Map([...kept].map(([topicId, partitions]) => [topicId, new Map(partitions)]))
  for (const [topicId, partitions] of free) {
    for (const partition of partitions) put(all, topicId, partition, epoch)
  }
  return all
}
