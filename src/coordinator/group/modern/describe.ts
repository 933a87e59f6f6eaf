/** What describing a group says alike for all newer protocols. */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { Environment } from '../../../environment/environment.ts'
import { allInTurns } from '../../../environment/in-turns.ts'
import type { TopicView } from '../topics.ts'
import type { TopicPartitions } from './assignment.ts'
import type { ModernGroup } from './modern-group.ts'

/**
 * Describes the groups, each once, however often it is named: its answer may be long. `fail` gives what is
 * said of one instead of which there is nothing but an error to tell.
 */
export function describeEach<G>(
  turns: Pick<Environment, 'clock' | 'timers'>,
  groupIds: readonly string[],
  describe: (groupId: string) => G | Promise<G>,
  fail: (groupId: string, errorCode: number, message: string | null) => G,
): Promise<G[]> {
  return allInTurns(turns, new Set(groupIds), async (groupId) => {
    if (groupId === '') return fail(groupId, errors.INVALID_GROUP_ID.code, null)
    try {
      return await describe(groupId)
    } catch (failure) {
      if (!(failure instanceof KafkaError)) throw failure
      return fail(groupId, failure.error.code, failure.message)
    }
  })
}

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
