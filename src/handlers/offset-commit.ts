/**
 * OffsetCommit: how far a group got. Partitions that do not exist are told so here; what is left
 * goes to the group's coordinator. From version 10 on topics are named by their ids.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../protocol/messages/offset-commit.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import type { TopicLookup } from '../coordinator/group/topics.ts'
import type { Steps } from '../environment/in-turns.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'

const readGroup = rule('READ', 'GROUP', 'topics.partitions.errorCode')
const readTopic = rule('READ', 'TOPIC', 'topics.partitions.errorCode')

type RequestedTopic = OffsetCommitRequest['topics'][number]
type AnsweredTopic = OffsetCommitResponse['topics'][number]
type AnsweredPartition = AnsweredTopic['partitions'][number]

const firstVersionWithTopicIds = 10

interface Parts {
  readonly groups: GroupCoordinator
  readonly topics: TopicLookup
}

export const offsetCommit = ({ groups, topics: lookup }: Parts) =>
  handler(
    apis.offsetCommit,
    async (request, context) => {
      readGroup.require(context, request.groupId)
      const { apiVersion } = context
      const { known, unknown } = await context.inTurns(split(lookup, request, context))
      if (known.length === 0) return { topics: unknown }
      const committed = await groups.commitOffsets({ ...request, topics: known }, apiVersion)
      return { topics: await context.inTurns(mergeTopics(unknown, committed.topics)) }
    },
    {
      access: [readGroup, readTopic],
      onError: (request, error) => ({
        topics: request.topics.map((topic) => refused(topic, error)),
      }),
    },
  )

/** The topics that are there and may be read, and the answers for all others. */
function* split(lookup: TopicLookup, request: OffsetCommitRequest, context: RequestContext) {
  const { apiVersion } = context
  const known: RequestedTopic[] = []
  const unknown: AnsweredTopic[] = []
  for (const topic of request.topics) {
    yield
    const name =
      apiVersion < firstVersionWithTopicIds ? topic.name : lookup.topicNameOf(topic.topicId)
    if (name === undefined) {
      unknown.push(refused(topic, errors.UNKNOWN_TOPIC_ID))
      continue
    }
    if (!readTopic.allows(context, name)) {
      unknown.push(refused({ ...topic, name }, readTopic.error))
      continue
    }
    const count = lookup.partitionCountOf(name)
    if (count === undefined) {
      unknown.push(refused({ ...topic, name }, errors.UNKNOWN_TOPIC_OR_PARTITION))
      continue
    }
    const ofTopic = splitByCount({ ...topic, name }, count)
    if (ofTopic.known.partitions.length > 0) known.push(ofTopic.known)
    if (ofTopic.unknown.partitions.length > 0) unknown.push(ofTopic.unknown)
  }
  return { known, unknown }
}

function refused(topic: RequestedTopic, error: ErrorRow): AnsweredTopic {
  const { name, topicId, partitions } = topic
  const refuse = ({ partitionIndex }: RequestedTopic['partitions'][number]) => ({
    partitionIndex,
    errorCode: error.code,
  })
  return { name, topicId, partitions: partitions.map(refuse) }
}

/** The partitions that a topic of `count` of them has, and the answers for those it has not. */
function splitByCount(topic: RequestedTopic, count: number) {
  const isKnown = (index: number) => index >= 0 && index < count
  const inTopic = topic.partitions.filter(({ partitionIndex }) => isKnown(partitionIndex))
  const others = topic.partitions.filter(({ partitionIndex }) => !isKnown(partitionIndex))
  return {
    known: { ...topic, partitions: inTopic },
    unknown: refused({ ...topic, partitions: others }, errors.UNKNOWN_TOPIC_OR_PARTITION),
  }
}

/** Each topic once. */
function* mergeTopics(
  refusals: readonly AnsweredTopic[],
  answers: readonly AnsweredTopic[],
): Steps<AnsweredTopic[]> {
  const byName = new Map<string, AnsweredTopic & { partitions: AnsweredPartition[] }>()
  for (const topic of [...refusals, ...answers]) {
    yield
    const key = topic.name || topic.topicId || ''
    const known = byName.get(key)
    if (known === undefined) byName.set(key, { ...topic, partitions: [...topic.partitions] })
    else for (const partition of topic.partitions) known.partitions.push(partition)
  }
  return [...byName.values()]
}
