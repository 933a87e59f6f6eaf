/** ConsumerGroupDescribe: state, epochs and members of consumer groups (KIP-848). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { DescribedConsumerGroup } from '../coordinator/group/consumer/describe.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { undescribed } from '../coordinator/group/modern/describe.ts'
import { handler } from '../server/handler.ts'
import { describedGroups, describeGroup, describeTopics } from './described-groups.ts'

interface Parts {
  readonly groups: GroupCoordinator
  /** Whether group.version and group.coordinator.rebalance.protocols have it so. */
  readonly isEnabled: () => boolean
}

export const consumerGroupDescribe = ({ groups, isEnabled }: Parts) =>
  handler(
    apis.consumerGroupDescribe,
    async (request, context) => {
      if (!isEnabled()) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      const described = await describedGroups(request, context, {
        describe: (groupIds) => groups.consumer.describe(groupIds),
        topicsOf,
        failed: undescribed,
        unseen: 'The group has described topic(s) that the client is not authorized to describe.',
      })
      return { groups: described }
    },
    {
      access: [describeGroup, describeTopics],
      onError: (request, error) => ({
        groups: request.groupIds.map((groupId) => undescribed(groupId, error.code)),
      }),
    },
  )

function topicsOf({ members }: DescribedConsumerGroup): string[] {
  const parts = members.flatMap(({ assignment, targetAssignment }) => [
    ...assignment.topicPartitions,
    ...targetAssignment.topicPartitions,
  ])
  return [...new Set(parts.map(({ topicName }) => topicName))]
}
