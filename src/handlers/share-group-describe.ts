/** ShareGroupDescribe: state, epochs and members of share groups (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { undescribed } from '../coordinator/group/modern/describe.ts'
import type { DescribedShareGroup } from '../coordinator/group/share/describe.ts'
import { isShareGroupsEnabled } from '../metadata/features.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { handler } from '../server/handler.ts'
import { describedGroups, describeGroup, describeTopics } from './described-groups.ts'

interface Parts {
  readonly groups: GroupCoordinator
  readonly image: () => MetadataImage
}

export const shareGroupDescribe = ({ groups, image }: Parts) =>
  handler(
    apis.shareGroupDescribe,
    async (request, context) => {
      if (!isShareGroupsEnabled(image())) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      const described = await describedGroups(request, context, {
        describe: (groupIds) => groups.share.describe(groupIds),
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

function topicsOf({ members }: DescribedShareGroup): string[] {
  const parts = members.flatMap(({ assignment }) => assignment.topicPartitions)
  return [...new Set(parts.map(({ topicName }) => topicName))]
}
