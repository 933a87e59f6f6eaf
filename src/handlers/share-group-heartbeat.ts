/** ShareGroupHeartbeat: the one request of a member of a share group about its membership (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { refusedHeartbeat } from '../coordinator/group/modern/refused-heartbeat.ts'
import { isShareGroupsEnabled } from '../metadata/features.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { groupCaller } from './group-caller.ts'
import { isShareMemberId } from './share-acknowledgements.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')
const describeTopics = rule('DESCRIBE', 'TOPIC', 'errorCode')

interface Parts {
  readonly groups: GroupCoordinator
  readonly image: () => MetadataImage
}

export const shareGroupHeartbeat = ({ groups, image }: Parts) =>
  handler(
    apis.shareGroupHeartbeat,
    (request, context) => {
      if (!isShareGroupsEnabled(image())) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      readGroup.require(context, request.groupId)
      if (!isShareMemberId(request.memberId)) {
        throw new KafkaError(errors.INVALID_REQUEST, 'Invalid member id in the request.')
      }
      for (const name of request.subscribedTopicNames ?? []) describeTopics.require(context, name)
      return groups.share.heartbeat(request, groupCaller(context))
    },
    {
      access: [readGroup, describeTopics],
      onError: (_request, error, _version, message) =>
        refusedHeartbeat(error, message ?? error.message),
    },
  )
