/**
 * A classic group becomes a consumer group while it is in use, when the first member of the new
 * protocol joins it (group.consumer.migration.policy). Its members stay, as members of the classic
 * protocol (`classic-members.ts`), with what the last generation gave them.
 */
import type { Uuid } from '../../../../protocol/types.ts'
import type { ClassicGroup } from '../classic/classic-group.ts'
import { readAssignment, readSubscription } from '../classic/consumer-protocol.ts'
import type { Member } from '../classic/member.ts'
import { apart } from '../group.ts'
import { type Assignment, ownedSince } from '../modern/assignment.ts'
import type { GroupRecord } from '../records.ts'
import { ConsumerGroup } from './consumer-group.ts'
import { notFound } from './draft.ts'
import { type ConsumerMember, newMember } from './member.ts'
import {
  currentRecord,
  groupRecord,
  memberRecord,
  targetEpochRecord,
  targetRecord,
} from './records.ts'

/**
 * The consumer group that a classic group becomes, and the records that make it. Throws KafkaError
 * GROUP_ID_NOT_FOUND, as Kafka does, if it cannot.
 */
export function upgraded(classic: ClassicGroup): {
  readonly group: ConsumerGroup
  readonly records: GroupRecord[]
} {
  checkUpgrade(classic)
  const { groupId, context, generationId } = classic
  const converted = [...classic.members.values()].map((member) => convert(classic, member))
  const topics = new Set(converted.flatMap(({ member }) => member.subscribedTopicNames))
  const made = [
    ...converted.map(({ member }) => memberRecord(groupId, member)),
    groupRecord(groupId, generationId, context.hashes.of(topics)),
    ...converted.map(({ member, target }) => targetRecord(groupId, member.memberId, target)),
    targetEpochRecord(groupId, generationId, 0),
    ...converted.map(({ member }) => currentRecord(groupId, member)),
  ]
  const group = new ConsumerGroup(groupId, apart(context))
  for (const record of made) group.apply(record)
  return { group, records: [...classic.tombstones(), ...made] }
}

function checkUpgrade(classic: ClassicGroup): void {
  const { groupConsumerMigrationPolicy: policy, groupConsumerMaxSize } = classic.context.config()
  const refuse = (reason: string) =>
    notFound(`Cannot upgrade classic group ${classic.groupId} to consumer group because ${reason}.`)
  if (policy !== 'upgrade' && policy !== 'bidirectional') {
    throw refuse('online upgrade is disabled')
  }
  if (!classic.isConsumerGroup) {
    throw refuse('the group does not use the consumer embedded protocol')
  }
  if (classic.members.size > groupConsumerMaxSize) {
    throw refuse('the group size exceeds the consumer group maximum size')
  }
}

/** What the last generation gave the member is what it has, and what it shall have. */
function convert(
  classic: ClassicGroup,
  member: Member,
): { readonly member: ConsumerMember; readonly target: Assignment } {
  const { groupId, generationId, protocolName } = classic
  const said = readSubscription(member.metadataOf(protocolName ?? classic.selectProtocol()))
  const isEmpty = member.assignment.length === 0
  const given = isEmpty
    ? { assignedPartitions: [], userData: null }
    : readAssignment(member.assignment)
  const refuse = `Cannot upgrade classic group ${groupId} to consumer group because`
  if (said === null || given === null) {
    throw notFound(`${refuse} the embedded consumer protocol is malformed.`)
  }
  if (given.userData !== null && given.userData.length > 0) {
    throw notFound(
      `${refuse} an unsupported custom assignor is in use. Please refer to the documentation or ` +
        'switch to a default assignor before re-attempting the upgrade.',
    )
  }
  const target = new Map<Uuid, ReadonlySet<number>>()
  for (const { topic, partitions } of given.assignedPartitions) {
    const topicId = classic.context.topics.topicIdOf(topic)
    if (topicId !== undefined && partitions.length > 0) target.set(topicId, new Set(partitions))
  }
  return {
    target,
    member: {
      ...newMember(member.memberId),
      memberEpoch: generationId,
      previousMemberEpoch: generationId,
      instanceId: member.groupInstanceId,
      rackId: said.rackId === '' ? null : said.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      subscribedTopicNames: [...new Set(said.topics)].sort(),
      assigned: ownedSince(target, generationId),
      classic: {
        sessionTimeoutMs: member.sessionTimeoutMs,
        supportedProtocols: member.protocols,
      },
    },
  }
}
