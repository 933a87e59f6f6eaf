/**
 * DescribeShareGroupOffsets: where share groups stand in partitions, and how far behind they are
 * (KIP-932, KIP-1226). Partitions of which nothing is known have no offset, which is no error.
 */

import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type {
  DescribeShareGroupOffsetsRequest,
  DescribeShareGroupOffsetsResponse,
} from '../../protocol/messages/describe-share-group-offsets.ts'
import type { ReadShareGroupStateSummaryResponse } from '../../protocol/messages/read-share-group-state-summary.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { mapInSteps, mapSteps } from '../environment/in-turns.ts'
import { isShareGroupsEnabled } from '../metadata/features.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { Replicas } from '../replication/replicas.ts'
import { filter, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'

const describeGroup = rule('DESCRIBE', 'GROUP', 'groups.errorCode')
const describeTopic = rule('DESCRIBE', 'TOPIC', 'groups.topics.partitions.errorCode')
/** Of all that a group reads. */
const seeTopic = filter('DESCRIBE', 'TOPIC', 'groups.topics')

interface Parts {
  readonly groups: GroupCoordinator
  readonly shareState: ShareCoordinator
  readonly replicas: Replicas
  readonly image: () => MetadataImage
}

type AskedGroup = DescribeShareGroupOffsetsRequest['groups'][number]
type AskedTopic = NonNullable<AskedGroup['topics']>[number]
type AnsweredGroup = DescribeShareGroupOffsetsResponse['groups'][number]
type AnsweredTopic = AnsweredGroup['topics'][number]
type AnsweredPartition = AnsweredTopic['partitions'][number]
type Summary = ReadShareGroupStateSummaryResponse['results'][number]['partitions'][number]

export const describeShareGroupOffsets = (parts: Parts) =>
  handler(
    apis.describeShareGroupOffsets,
    async (request, context) => {
      const groups = await context.allInTurns(request.groups, async (asked) => {
        try {
          return await describeOffsets(parts, asked, context)
        } catch (failure) {
          if (!(failure instanceof KafkaError)) throw failure
          return refused(asked, failure.error.code, failure.message)
        }
      })
      return { groups }
    },
    {
      access: [describeGroup, describeTopic, seeTopic],
      onError: (request, { code, message }) => ({
        groups: request.groups.map((asked) => refused(asked, code, message)),
      }),
    },
  )

function refused({ groupId }: AskedGroup, errorCode: number, errorMessage: string): AnsweredGroup {
  return { groupId, topics: [], errorCode, errorMessage }
}

async function describeOffsets(
  parts: Parts,
  asked: AskedGroup,
  context: RequestContext,
): Promise<AnsweredGroup> {
  const { groupId } = asked
  if (!isShareGroupsEnabled(parts.image())) throw new KafkaError(errors.UNSUPPORTED_VERSION)
  describeGroup.require(context, groupId)
  const topics = asked.topics ?? (await topicsOf(parts, groupId, context))
  const { allowed, denied } = describeTopic.split(context, topics, ({ topicName }) => topicName)
  const known = allowed.flatMap(({ topicName, partitions }) => {
    const topicId = parts.image().topics.byName.get(topicName)?.id
    return topicId === undefined ? [] : [{ topicName, topicId, partitions }]
  })
  const { results } = await parts.shareState.readSummary({
    groupId,
    topics: known.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map((partition) => ({ partition, leaderEpoch: -1 })),
    })),
  })
  const answers = mapSteps(known.entries(), function* ([at, { topicName, topicId }]) {
    const summaries = results[at]?.partitions ?? []
    const partitions = yield* mapInSteps(summaries, (one) => row(parts, topicName, one))
    return { topicName, topicId, partitions }
  })
  const described = await context.inTurns(answers)
  const isUnknown = ({ topicName }: AskedTopic) => !parts.image().topics.byName.has(topicName)
  const unknown = allowed.filter(isUnknown).map((topic) => withoutOffsets(topic, errors.NONE))
  const unseen = denied.map((topic) => withoutOffsets(topic, describeTopic.error))
  return {
    groupId,
    topics: [...described, ...unknown, ...unseen],
    errorCode: errors.NONE.code,
    errorMessage: null,
  }
}

/** All that is set up for the group, as far as the client may know of it. */
async function topicsOf(
  { groups, image }: Parts,
  groupId: string,
  context: RequestContext,
): Promise<readonly AskedTopic[]> {
  const initialized = await groups.share.initializedTopics(groupId)
  const topics = [...initialized].flatMap(([topicId, { partitions }]) => {
    const topicName = image().topics.byId.get(topicId)?.name
    const ascending = [...partitions].sort((a, b) => a - b)
    return topicName === undefined ? [] : [{ topicName, partitions: ascending }]
  })
  return seeTopic.only(context, topics, ({ topicName }) => topicName)
}

/** What cannot be read is told as not being there, as for offsets of consumer groups. */
function row({ replicas }: Parts, topic: string, summary: Summary): AnsweredPartition {
  const partitionIndex = summary.partition
  const isRead = summary.errorCode === 0
  const startOffset = isRead ? summary.startOffset : -1
  const leaderEpoch = isRead ? summary.leaderEpoch : 0
  const none = { errorCode: errors.NONE.code, errorMessage: null }
  const complete = summary.deliveryCompleteCount ?? -1
  if (startOffset === -1 || complete === -1) {
    return { partitionIndex, startOffset, leaderEpoch, lag: -1, ...none }
  }
  const partition = replicas.get(topic, partitionIndex)
  const error =
    partition === undefined ? errors.UNKNOWN_TOPIC_OR_PARTITION : partition.leaderError()
  if (error !== null || partition === undefined) {
    const { code: errorCode, message: errorMessage } = error ?? errors.UNKNOWN_TOPIC_OR_PARTITION
    return { partitionIndex, startOffset: 0, leaderEpoch: 0, lag: -1, errorCode, errorMessage }
  }
  const lag = partition.highWatermark - startOffset - complete
  return { partitionIndex, startOffset, leaderEpoch, lag, ...none }
}

function withoutOffsets(
  { topicName, partitions }: AskedTopic,
  error: (typeof errors)[keyof typeof errors],
): AnsweredTopic {
  return {
    topicName,
    topicId: zeroUuid,
    partitions: partitions.map((partitionIndex) => ({
      partitionIndex,
      startOffset: -1,
      leaderEpoch: 0,
      lag: -1,
      errorCode: error.code,
      errorMessage: error === errors.NONE ? null : error.message,
    })),
  }
}
