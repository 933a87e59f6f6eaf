/** Share groups as ShareGroupDescribe tells them. */
import { errors } from '../../../../protocol/errors.ts'
import type { ShareGroupDescribeResponse } from '../../../../protocol/messages/share-group-describe.ts'
import type { GroupContext } from '../group.ts'
import { shareGroupOf } from './heartbeat.ts'
import type { ShareMember } from './member.ts'
import { simpleAssignorName } from './simple-assignor.ts'

export type DescribedShareGroup = ShareGroupDescribeResponse['groups'][number]

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
export function describeShareGroup(context: GroupContext, groupId: string): DescribedShareGroup {
  const group = shareGroupOf(context, groupId)
  return {
    errorCode: errors.NONE.code,
    errorMessage: null,
    groupId,
    groupState: group.state,
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName: simpleAssignorName,
    members: [...group.members.values()].map((member) => describedMember(context, member)),
  }
}

function describedMember({ topics }: GroupContext, { assigned, ...member }: ShareMember) {
  const topicPartitions = [...assigned].flatMap(([topicId, partitions]) => {
    const topicName = topics.topicNameOf(topicId)
    if (topicName === undefined) return []
    return [{ topicId, topicName, partitions: [...partitions].sort((a, b) => a - b) }]
  })
  const { memberId, rackId, memberEpoch, clientId, clientHost, subscribedTopicNames } = member
  return {
    memberId,
    rackId,
    memberEpoch,
    clientId,
    clientHost,
    subscribedTopicNames,
    assignment: { topicPartitions },
  }
}

/** A group of which nothing but an error can be said. */
export function describedShareError(
  groupId: string,
  errorCode: number,
  errorMessage: string | null = null,
): DescribedShareGroup {
  return {
    errorCode,
    errorMessage,
    groupId,
    groupState: '',
    groupEpoch: 0,
    assignmentEpoch: 0,
    assignorName: '',
    members: [],
  }
}
