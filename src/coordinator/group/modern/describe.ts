/** What describing a group says alike for all newer protocols. */
import { errors } from '../../../../protocol/errors.ts'
import type { TopicView } from '../topics.ts'
import type { TopicPartitions } from './assignment.ts'
import type { ModernGroup } from './modern-group.ts'

/** State and epochs of a group. */
export function describedEpochs({ groupId, state, groupEpoch, assignmentEpoch }: ModernGroup) {
  const { code: errorCode } = errors.NONE
  return { errorCode, errorMessage: null, groupId, groupState: state, groupEpoch, assignmentEpoch }
}

/** A described group for which nothing but an error can be said. */
export function undescribed(
  groupId: string,
  errorCode: number,
  errorMessage: string | null = null,
) {
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

/** With the names of the topics; those that are gone are left out. */
export function named(partitions: readonly TopicPartitions[], topics: TopicView) {
  return partitions.flatMap((topic) => {
    const topicName = topics.topicNameOf(topic.topicId)
    return topicName === undefined ? [] : [{ ...topic, topicName }]
  })
}
