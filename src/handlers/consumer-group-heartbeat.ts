/**
 * ConsumerGroupHeartbeat: the one request of the members of consumer groups (KIP-848): joins, leaves,
 * subscribes, says what it owns, and hears what it shall own.
 */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { refusedHeartbeat } from '../coordinator/group/modern/refused-heartbeat.ts'
import { filter, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { groupCaller } from './group-caller.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')
const describeTopics = rule('DESCRIBE', 'TOPIC', 'errorCode')
/** A regular expression stands for those topics only that its member may know of. */
const findTopics = filter('DESCRIBE', 'TOPIC', 'assignment.topicPartitions')

interface Parts {
  readonly groups: GroupCoordinator
  /** Whether group.version and group.coordinator.rebalance.protocols have it so. */
  readonly isEnabled: () => boolean
}

export const consumerGroupHeartbeat = ({ groups, isEnabled }: Parts) =>
  handler(
    apis.consumerGroupHeartbeat,
    (request, context) => {
      if (!isEnabled()) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      readGroup.require(context, request.groupId)
      const names = request.subscribedTopicNames ?? []
      if (describeTopics.split(context, names, (name) => name).denied.length > 0) {
        throw new KafkaError(describeTopics.error)
      }
      return groups.consumer.heartbeat(request, {
        ...groupCaller(context),
        mayDescribe: (topic) => findTopics.allows(context, topic),
      })
    },
    {
      access: [readGroup, describeTopics, findTopics],
      onError: (_request, error, _version, message) => refusedHeartbeat(error, message),
    },
  )
