/**
 * A consumer group becomes a classic one while it is in use, when only members of the classic protocol
 * are left in it (group.consumer.migration.policy); they rebalance among themselves then.
 */
import type { Uuid } from '../../../../protocol/types.ts'
import { ClassicGroup } from '../classic/classic-group.ts'
import { writeAssignment } from '../classic/consumer-protocol.ts'
import { type GroupMetadataRecord, generationRecord } from '../classic/generation-record.ts'
import { Member, noBytes } from '../classic/member.ts'
import { apart, type GroupContext, nothing } from '../group.ts'
import type { Assignment } from '../modern/assignment.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { ConsumerMember } from './member.ts'

/** Whether the group can be a classic one with these members; they are all that are left. */
export function canDowngrade(group: ConsumerGroup, left: readonly ConsumerMember[]): boolean {
  const { groupConsumerMigrationPolicy: policy, groupMaxSize } = group.context.config()
  return (
    (policy === 'downgrade' || policy === 'bidirectional') &&
    left.length > 0 &&
    left.length <= groupMaxSize &&
    left.every(({ classic }) => classic !== null)
  )
}

/**
 * The generation with which the classic group begins: everybody with what it was to have.
 * `targetOf`: of one of `members`, which all are of the classic protocol.
 */
export function downgradedRecord(
  { groupId, groupEpoch, context }: ConsumerGroup,
  members: readonly ConsumerMember[],
  targetOf: (member: ConsumerMember) => Assignment,
): GroupMetadataRecord {
  const classic = new ClassicGroup(groupId, apart(context))
  classic.generationId = groupEpoch
  classic.protocolType = 'consumer'
  for (const member of members) classic.add(classicMember(classic, member))
  classic.protocolName = classic.selectProtocol()
  const parts = new Map(
    members.map((member) => {
      const { memberId } = member
      const metadata = classic.members.get(memberId)?.metadataOf(classic.protocolName) ?? noBytes
      return [memberId, writeAssignment(metadata, named(targetOf(member), context))]
    }),
  )
  return generationRecord(classic, parts)
}

function classicMember(group: ClassicGroup, member: ConsumerMember): Member {
  const { instanceId: groupInstanceId, classic } = member
  const membership = {
    memberId: member.memberId,
    groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    sessionTimeoutMs: classic?.sessionTimeoutMs ?? 0,
    protocols: classic?.supportedProtocols ?? [],
  }
  const session = group.context.deadline(group, () => nothing)
  return new Member(membership, session)
}

/** Topics that are gone are left out. */
export function named(
  partitions: ReadonlyMap<Uuid, ReadonlySet<number> | ReadonlyMap<number, number>>,
  { topics }: GroupContext,
): { topic: string; partitions: number[] }[] {
  return [...partitions].flatMap(([topicId, indexes]) => {
    const topic = topics.topicNameOf(topicId)
    return topic === undefined
      ? []
      : [{ topic, partitions: [...indexes.keys()].sort((a, b) => a - b) }]
  })
}
