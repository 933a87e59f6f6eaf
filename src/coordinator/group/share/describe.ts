/** Share groups as ShareGroupDescribe tells them. */
import type { ShareGroupDescribeResponse } from '../../../../protocol/messages/share-group-describe.ts'
import type { GroupContext } from '../group.ts'
import { topicPartitionsOf } from '../modern/assignment.ts'
import { describedEpochs, named } from '../modern/describe.ts'
import { shareGroupOf } from './heartbeat.ts'
import type { ShareMember } from './member.ts'
import { simpleAssignorName } from './simple-assignor.ts'

export type DescribedShareGroup = ShareGroupDescribeResponse['groups'][number]

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
export function describeShareGroup(context: GroupContext, groupId: string): DescribedShareGroup {
  const group = shareGroupOf(context, groupId)
  return {
    ...describedEpochs(group),
    assignorName: simpleAssignorName,
    members: [...group.members.values()].map((member) => describedMember(context, member)),
  }
}

function describedMember({ topics }: GroupContext, { assigned, ...member }: ShareMember) {
  const { memberId, rackId, memberEpoch, clientId, clientHost, subscribedTopicNames } = member
  return {
    memberId,
    rackId,
    memberEpoch,
    clientId,
    clientHost,
    subscribedTopicNames,
    assignment: { topicPartitions: named(topicPartitionsOf(assigned), topics) },
  }
}
