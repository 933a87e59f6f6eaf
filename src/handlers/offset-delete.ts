/** OffsetDelete (KIP-496): forgets offsets of partitions that no member of the group uses. */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { OffsetDeleteResponse } from '../../protocol/messages/offset-delete.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import type { TopicLookup } from '../coordinator/group/topics.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const deleteGroup = rule('DELETE', 'GROUP', 'errorCode')
const readTopic = rule('READ', 'TOPIC', 'topics.partitions.errorCode')

interface Parts {
  readonly groups: GroupCoordinator
  readonly topics: TopicLookup
}

export const offsetDelete = ({ groups, topics: lookup }: Parts) =>
  handler(
    apis.offsetDelete,
    async (request, context) => {
      deleteGroup.require(context, request.groupId)
      const isKnown = (name: string, index: number) =>
        index >= 0 &&
        index < (lookup.partitionCountOf(name) ?? 0) &&
        readTopic.allows(context, name)
      const known = request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.filter(({ partitionIndex }) => isKnown(name, partitionIndex)),
      }))
      const deleted = await groups.deleteOffsets({
        ...request,
        topics: known.filter(({ partitions }) => partitions.length > 0),
      })
      if (deleted.errorCode !== 0) return deleted
      const answersByTopic = new Map(deleted.topics.map((topic) => [topic.name, topic.partitions]))
      const topics: OffsetDeleteResponse['topics'] = request.topics.map(({ name, partitions }) => {
        const answers = answersByTopic.get(name) ?? []
        answersByTopic.delete(name)
        const isAllowed = readTopic.allows(context, name)
        const error = isAllowed ? errors.UNKNOWN_TOPIC_OR_PARTITION : readTopic.error
        const refusals = partitions
          .filter(({ partitionIndex }) => !isKnown(name, partitionIndex))
          .map(({ partitionIndex }) => ({
            partitionIndex,
            errorCode: error.code,
          }))
        return { name, partitions: [...answers, ...refusals] }
      })
      return { errorCode: 0, topics }
    },
    {
      access: [deleteGroup, readTopic],
      onError: (_, error) => ({ errorCode: error.code, topics: [] }),
    },
  )
