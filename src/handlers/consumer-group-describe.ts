/** ConsumerGroupDescribe: state, epochs and members of consumer groups (KIP-848). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import {
  type DescribedConsumerGroup,
  describedConsumerError,
} from '../coordinator/group/consumer/describe.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { authorizedOperations } from './authorized-operations.ts'

const describeGroup = rule('DESCRIBE', 'GROUP', 'groups.errorCode')
const describeTopics = rule('DESCRIBE', 'TOPIC', 'groups.errorCode')

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
      const asked = describeGroup.split(context, request.groupIds, (groupId) => groupId)
      const denied = asked.denied.map((id) => describedConsumerError(id, describeGroup.error.code))
      const described = (await groups.describeConsumerGroups(asked.allowed)).map((group) => {
        const mayKnow = describeTopics.split(context, topicsOf(group), (name) => name)
        if (mayKnow.denied.length > 0) return unseen(group.groupId)
        if (!request.includeAuthorizedOperations || group.errorCode !== 0) return group
        const operations = authorizedOperations(context, 'GROUP', group.groupId)
        return { ...group, authorizedOperations: operations }
      })
      return { groups: [...denied, ...described] }
    },
    {
      access: [describeGroup, describeTopics],
      onError: (request, error) => ({
        groups: request.groupIds.map((groupId) => describedConsumerError(groupId, error.code)),
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

function unseen(groupId: string): DescribedConsumerGroup {
  const message = 'The group has described topic(s) that the client is not authorized to describe.'
  return describedConsumerError(groupId, describeTopics.error.code, message)
}
