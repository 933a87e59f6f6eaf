/** One member of a consumer group, as recorded; never changed, only replaced. */
import type { Uuid } from '../../../../protocol/types.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import { noPartitions, type OwnedPartitions } from '../modern/assignment.ts'
import { memberState } from '../modern/reconciliation.ts'
import type { ReconcilingMember } from '../modern/reconciling-group.ts'
import { memberOverheadBytes } from '../shared-limits.ts'

/** What a member that came with the classic protocol said when it joined. */
export interface ClassicMembership {
  readonly sessionTimeoutMs: Milliseconds
  readonly supportedProtocols: readonly ClassicProtocol[]
}

export interface ClassicProtocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface ConsumerMember extends ReconcilingMember<OwnedPartitions> {
  /** Each once, in the order of their names. */
  readonly subscribedTopicNames: readonly string[]
  /** Empty, or null, where it has none. */
  readonly subscribedTopicRegex: string | null
  /** Null: it leaves the choice to the group. */
  readonly serverAssignor: string | null
  /** Null in a member of the new protocol. */
  readonly classic: ClassicMembership | null
}

/** A member about which nothing is known yet. */
export function newMember(memberId: string): ConsumerMember {
  return {
    memberId,
    memberEpoch: 0,
    previousMemberEpoch: -1,
    instanceId: null,
    rackId: null,
    clientId: '',
    clientHost: '',
    rebalanceTimeoutMs: -1,
    subscribedTopicNames: [],
    subscribedTopicRegex: '',
    serverAssignor: null,
    classic: null,
    state: memberState.stable,
    assigned: noPartitions,
    pendingRevocation: noPartitions,
  }
}

/** Null where it has none. */
export function regexOf({ subscribedTopicRegex }: ConsumerMember): string | null {
  return subscribedTopicRegex === '' ? null : subscribedTopicRegex
}

/** The epoch in which the member was given the partition; undefined if it does not hold it. */
export function assignmentEpochOf(
  member: ConsumerMember,
  topicId: Uuid,
  partition: number,
): number | undefined {
  return (
    member.assigned.get(topicId)?.get(partition) ??
    member.pendingRevocation.get(topicId)?.get(partition)
  )
}

const bytesPerPartition = 32

/** What it holds of the memory that all groups share. */
export function memberBytes(member: ConsumerMember): number {
  const { memberId, clientId, clientHost, instanceId, rackId, subscribedTopicRegex } = member
  const texts = [memberId, clientId, clientHost, instanceId, rackId, subscribedTopicRegex]
  const textBytes = texts.reduce((bytes, text) => bytes + (text?.length ?? 0), 0)
  const topics = member.subscribedTopicNames.reduce((bytes, name) => bytes + name.length, 0)
  const protocols = member.classic?.supportedProtocols ?? []
  const metadata = protocols.reduce((bytes, each) => bytes + each.metadata.length, 0)
  const partitions = partitionCount(member.assigned) + partitionCount(member.pendingRevocation)
  return memberOverheadBytes + textBytes + topics + metadata + partitions * bytesPerPartition
}

function partitionCount(owned: OwnedPartitions): number {
  let count = 0
  for (const partitions of owned.values()) count += partitions.size
  return count
}
