/** Whether a ConsumerGroupHeartbeat makes sense by itself, before its group is asked. */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { ConsumerGroupHeartbeatRequest } from '../../../../protocol/messages/consumer-group-heartbeat.ts'
import { checkFilled, invalid } from '../modern/invalid-heartbeat.ts'
import { leaveEpoch, staticLeaveEpoch } from '../modern/modern-group.ts'

/** From here on members make their ids themselves (KIP-1082). */
const firstVersionWithClientIds = 1

/** Throws KafkaError INVALID_REQUEST or UNSUPPORTED_ASSIGNOR. */
export function checkHeartbeat(
  request: ConsumerGroupHeartbeatRequest,
  apiVersion: number,
  assignors: readonly string[],
): void {
  const { memberId, memberEpoch, groupId, instanceId, rackId, serverAssignor } = request
  const needsId = memberEpoch > 0 || memberEpoch === leaveEpoch
  if (apiVersion >= firstVersionWithClientIds || needsId) checkFilled(memberId, 'MemberId')
  checkFilled(groupId, 'GroupId')
  checkFilled(instanceId, 'InstanceId')
  checkFilled(rackId, 'RackId')
  if (memberEpoch === 0) checkJoining(request)
  else if (memberEpoch === staticLeaveEpoch && instanceId === null) {
    throw invalid("InstanceId can't be null.")
  } else if (memberEpoch < staticLeaveEpoch) throw invalid('MemberEpoch is invalid.')
  if (serverAssignor !== null && !assignors.includes(serverAssignor)) {
    throw new KafkaError(
      errors.UNSUPPORTED_ASSIGNOR,
      `ServerAssignor ${serverAssignor} is not supported. ` +
        `Supported assignors: ${assignors.join(', ')}.`,
    )
  }
}

/** A member may join without wanting any topic, but has to say so. */
function checkJoining(request: ConsumerGroupHeartbeatRequest): void {
  const { rebalanceTimeoutMs, topicPartitions, subscribedTopicNames } = request
  if (rebalanceTimeoutMs === -1) {
    throw invalid('RebalanceTimeoutMs must be provided in first request.')
  }
  if (topicPartitions === null || topicPartitions.length > 0) {
    throw invalid('TopicPartitions must be empty when (re-)joining.')
  }
  if (subscribedTopicNames === null && request.subscribedTopicRegex === null) {
    throw invalid(
      'Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.',
    )
  }
}
