/** AlterShareGroupOffsets: a share group without members begins elsewhere (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { AlterShareGroupOffsetsRequest } from '../../protocol/messages/alter-share-group-offsets.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { isShareGroupsEnabled } from '../metadata/features.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { SharePartitions } from '../replication/share/share-partitions.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')
const readTopic = rule('READ', 'TOPIC', 'responses.partitions.errorCode')

interface Parts {
  readonly groups: GroupCoordinator
  readonly shares: SharePartitions
  readonly image: () => MetadataImage
}

type Topic = AlterShareGroupOffsetsRequest['topics'][number]

export const alterShareGroupOffsets = ({ groups, shares, image }: Parts) =>
  handler(
    apis.alterShareGroupOffsets,
    async (request, context) => {
      if (!isShareGroupsEnabled(image())) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      readGroup.require(context, request.groupId)
      const { byName } = image().topics
      const asked = readTopic.split(context, request.topics, ({ topicName }) => topicName)
      const unknown = asked.allowed.filter(({ topicName }) => !byName.has(topicName))
      const topics = asked.allowed.filter(({ topicName }) => byName.has(topicName))
      const refuse = (topic: Topic, error: ErrorRow) => {
        const { code: errorCode, message: errorMessage } = error
        return {
          topicName: topic.topicName,
          topicId: byName.get(topic.topicName)?.id ?? zeroUuid,
          partitions: topic.partitions.map(({ partitionIndex }) => {
            return { partitionIndex, errorCode, errorMessage }
          }),
        }
      }
      // What this broker knew of the group's deliveries is void, even if only part of this succeeds.
      const forget = () => shares.forget(request.groupId)
      const altered = await groups.share.alterOffsets({ ...request, topics }).finally(forget)
      return {
        ...altered,
        responses: [
          ...asked.denied.map((topic) => refuse(topic, readTopic.error)),
          ...unknown.map((topic) => refuse(topic, errors.UNKNOWN_TOPIC_OR_PARTITION)),
          ...altered.responses,
        ],
      }
    },
    {
      access: [readGroup, readTopic],
      onError: (_request, error, _version, message) => ({
        errorCode: error.code,
        errorMessage: message ?? error.message,
        responses: [],
      }),
    },
  )
