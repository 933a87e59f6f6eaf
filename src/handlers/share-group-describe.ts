/** ShareGroupDescribe: state, epochs and members of share groups (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import {
  type DescribedShareGroup,
  describedShareError,
} from '../coordinator/group/share/describe.ts'
import { isShareGroupsEnabled } from '../metadata/features.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { authorizedOperations } from './authorized-operations.ts'

const describeGroup = rule('DESCRIBE', 'GROUP', 'groups.errorCode')
const describeTopics = rule('DESCRIBE', 'TOPIC', 'groups.errorCode')

interface Parts {
  readonly groups: GroupCoordinator
  readonly image: () => MetadataImage
}

export const shareGroupDescribe = ({ groups, image }: Parts) =>
  handler(
    apis.shareGroupDescribe,
    async (request, context) => {
      if (!isShareGroupsEnabled(image())) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      const asked = describeGroup.split(context, request.groupIds, (groupId) => groupId)
      const denied = asked.denied.map((id) => describedShareError(id, describeGroup.error.code))
      const described = (await groups.share.describe(asked.allowed)).map((group) => {
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
        groups: request.groupIds.map((groupId) => describedShareError(groupId, error.code)),
      }),
    },
  )

function topicsOf({ members }: DescribedShareGroup): string[] {
  const parts = members.flatMap(({ assignment }) => assignment.topicPartitions)
  return [...new Set(parts.map(({ topicName }) => topicName))]
}

function unseen(groupId: string): DescribedShareGroup {
  const message = 'The group has described topic(s) that the client is not authorized to describe.'
  return describedShareError(groupId, describeTopics.error.code, message)
}
