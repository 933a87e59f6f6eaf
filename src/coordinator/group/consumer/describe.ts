/** What ConsumerGroupDescribe tells of a group. */
import { errors } from '../../../../protocol/errors.ts'
import type { ConsumerGroupDescribeResponse } from '../../../../protocol/messages/consumer-group-describe.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import type { AnyGroup } from '../group-types.ts'
import { type TopicPartitions, topicPartitionsOf } from '../modern/assignment.ts'
import { describedEpochs, named, undescribed } from '../modern/describe.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { ConsumerMember } from './member.ts'
import { preferredAssignor } from './target.ts'

export type DescribedConsumerGroup = ConsumerGroupDescribeResponse['groups'][number]
type DescribedMember = DescribedConsumerGroup['members'][number]

/** As the API numbers them. */
const memberType = { classic: 0, consumer: 1 }

export function describeConsumerGroup(
  groupId: string,
  group: AnyGroup | null,
): DescribedConsumerGroup {
  const { code } = errors.GROUP_ID_NOT_FOUND
  if (group === null) return undescribed(groupId, code, `Group ${groupId} not found.`)
  if (group.type !== 'consumer') {
    return undescribed(groupId, code, `Group ${groupId} is not a consumer group.`)
  }
  return {
    ...describedEpochs(group),
    assignorName: preferredAssignor(group),
    members: [...group.members.values()].map((member) => describeMember(group, member)),
  }
}

/** What it was told to give up is still its own until it said that it did. */
function describeMember(group: ConsumerGroup, member: ConsumerMember): DescribedMember {
  const { topics } = group.context
  const owned = merged(
    topicPartitionsOf(member.assigned),
    topicPartitionsOf(member.pendingRevocation),
  )
  return {
    memberId: member.memberId,
    instanceId: member.instanceId,
    rackId: member.rackId,
    memberEpoch: member.memberEpoch,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.subscribedTopicNames,
    subscribedTopicRegex: member.subscribedTopicRegex,
    assignment: { topicPartitions: named(owned, topics) },
    targetAssignment: {
      topicPartitions: named(topicPartitionsOf(group.targetOf(member.memberId)), topics),
    },
    memberType: member.classic === null ? memberType.consumer : memberType.classic,
  }
}

function merged(a: readonly TopicPartitions[], b: readonly TopicPartitions[]): TopicPartitions[] {
  const all = new Map<Uuid, readonly number[]>()
  for (const { topicId, partitions } of [...a, ...b]) {
    all.set(topicId, [...(all.get(topicId) ?? []), ...partitions])
  }
  return [...all].map(([topicId, partitions]) => ({ topicId, partitions }))
}
