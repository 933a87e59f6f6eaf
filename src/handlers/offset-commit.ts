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
import { atOnce, filterInSteps, mapInSteps, mapSteps, type Steps } from '../environment/in-turns.ts'
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
        topics: atOnce(mapSteps(request.topics, (topic) => refused(topic, error))),
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
      unknown.push(yield* refused(topic, errors.UNKNOWN_TOPIC_ID))
      continue
    }
    if (!readTopic.allows(context, name)) {
      unknown.push(yield* refused({ ...topic, name }, readTopic.error))
      continue
    }
    const count = lookup.partitionCountOf(name)
    if (count === undefined) {
      unknown.push(yield* refused({ ...topic, name }, errors.UNKNOWN_TOPIC_OR_PARTITION))
      continue
    }
    const ofTopic = yield* splitByCount({ ...topic, name }, count)
    if (ofTopic.known.partitions.length > 0) known.push(ofTopic.known)
    if (ofTopic.unknown.partitions.length > 0) unknown.push(ofTopic.unknown)
  }
  return { known, unknown }
}

function* refused(topic: RequestedTopic, error: ErrorRow): Steps<AnsweredTopic> {
  const { name, topicId, partitions } = topic
  const refuse = ({ partitionIndex }: RequestedTopic['partitions'][number]) => ({
    partitionIndex,
    errorCode: error.code,
  })
  return { name, topicId, partitions: yield* mapInSteps(partitions, refuse) }
}

/** The partitions that a topic of `count` of them has, and the answers for those it has not. */
function* splitByCount(topic: RequestedTopic, count: number) {
  type Requested = RequestedTopic['partitions'][number]
  const isKnown = ({ partitionIndex: at }: Requested) => at >= 0 && at < count
  const inTopic = yield* filterInSteps(topic.partitions, isKnown)
  const others = yield* filterInSteps(topic.partitions, (one) => !isKnown(one))
  return {
    known: { ...topic, partitions: inTopic },
    unknown: yield* refused({ ...topic, partitions: others }, errors.UNKNOWN_TOPIC_OR_PARTITION),
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
    const partitions: AnsweredPartition[] = known?.partitions ?? []
    if (known === undefined) byName.set(key, { ...topic, partitions })
    yield* mapInSteps(topic.partitions, (partition) => void partitions.push(partition))
  }
  return [...byName.values()]
}
