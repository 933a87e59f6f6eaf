/** One member of a share group, as recorded; never changed, only replaced. */
import { type Assignment, noPartitions } from '../modern/assignment.ts'
import type { ModernMember } from '../modern/modern-group.ts'
import { memberOverheadBytes } from '../shared-limits.ts'

export interface ShareMember extends ModernMember {
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Each once, in the order of their names. */
  readonly subscribedTopicNames: readonly string[]
  readonly assigned: Assignment
}

/** A member about which nothing is known yet. */
export function newMember(memberId: string): ShareMember {
  return {
    memberId,
    memberEpoch: 0,
    previousMemberEpoch: -1,
    rackId: null,
    clientId: '',
    clientHost: '',
    subscribedTopicNames: [],
    assigned: noPartitions,
  }
}

const bytesPerPartition = 32

/** What it holds of the memory that all groups share. */
export function memberBytes(member: ShareMember): number {
  const { memberId, clientId, clientHost, rackId, subscribedTopicNames, assigned } = member
  const texts = [memberId, clientId, clientHost, rackId ?? '', ...subscribedTopicNames]
  let partitions = 0
  for (const ofTopic of assigned.values()) partitions += ofTopic.size
  const textBytes = texts.reduce((bytes, text) => bytes + text.length, 0)
  return memberOverheadBytes + textBytes + partitions * bytesPerPartition
}
