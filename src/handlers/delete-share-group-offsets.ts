/** DeleteShareGroupOffsets: a share group without members has no more to do with topics (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { isShareGroupsEnabled } from '../metadata/features.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { SharePartitions } from '../replication/share/share-partitions.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const deleteGroup = rule('DELETE', 'GROUP', 'errorCode')
const readTopic = rule('READ', 'TOPIC', 'responses.errorCode')

interface Parts {
  readonly groups: GroupCoordinator
  readonly shares: SharePartitions
  readonly image: () => MetadataImage
}

export const deleteShareGroupOffsets = ({ groups, shares, image }: Parts) =>
  handler(
    apis.deleteShareGroupOffsets,
    async (request, context) => {
      if (!isShareGroupsEnabled(image())) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      deleteGroup.require(context, request.groupId)
      const asked = readTopic.split(context, request.topics, ({ topicName }) => topicName)
      const topics = [...asked.allowed]
      // What this broker knew of the group's deliveries is void, even if only part of this succeeds.
      const forget = () => shares.forget(request.groupId)
      const deleted = await groups.share.deleteOffsets({ ...request, topics }).finally(forget)
      const { code: errorCode, message: errorMessage } = readTopic.error
      const denied = asked.denied.map(({ topicName }) => {
        return { topicName, topicId: zeroUuid, errorCode, errorMessage }
      })
      return { ...deleted, responses: [...denied, ...deleted.responses] }
    },
    {
      access: [deleteGroup, readTopic],
      onError: (_request, error, _version, message) => ({
        errorCode: error.code,
        errorMessage: message ?? error.message,
        responses: [],
      }),
    },
  )
