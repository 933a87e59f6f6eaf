/** DescribeTopicPartitions: topics in the order of their names, page by page (KIP-966). */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse,
} from '../../protocol/messages/describe-topic-partitions.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import { isInternalTopic } from '../config/internal-topics.ts'
import { distinctInSteps, mapInSteps, type Steps, sortInSteps } from '../environment/in-turns.ts'
import { invalidTopicName } from '../metadata/controller/topic-names.ts'
import type { MetadataImage, PartitionImage, TopicImage } from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { filter, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { authorizedOperations, operationsNotAsked } from './authorized-operations.ts'
import { presentPartition } from './topic-metadata.ts'

const describeTopic = rule('DESCRIBE', 'TOPIC', 'topics.errorCode')
/** Of all topics only those are shown that may be. */
const seeTopics = filter('DESCRIBE', 'TOPIC', 'topics')

type ResponseTopic = DescribeTopicPartitionsResponse['topics'][number]

export interface DescribeTopicPartitionsParts {
  readonly cache: MetadataCache
  readonly config: BrokerConfig
}

export const describeTopicPartitions = ({ cache, config }: DescribeTopicPartitionsParts) =>
  handler(
    apis.describeTopicPartitions,
    async (request, context) => {
      const { image } = cache
      const isAll = request.topics.length === 0
      const access = isAll ? seeTopics : describeTopic
      const asked = await context.inTurns(namesFrom(image, request))
      const names = access.split(context, asked, (name) => name)
      const limit = Math.min(
        config.get('max.request.partition.size.limit'),
        request.responsePartitionLimit,
      )
      const filled = fillPage(image, names.allowed, request, Math.max(limit, 1))
      const page = await context.inTurns(filled)
      const withOperations = mapInSteps(page.topics, (topic) => ({
        ...topic,
        topicAuthorizedOperations: authorizedOperations(context, 'TOPIC', topic.name ?? ''),
      }))
      const described = await context.inTurns(withOperations)
      const denied = isAll ? [] : names.denied.map(hiddenTopic)
      return { throttleTimeMs: 0, topics: [...described, ...denied], nextCursor: page.nextCursor }
    },
    {
      access: [describeTopic, seeTopics],
      onError: (request, error) => ({
        topics: request.topics.map(({ name }) => failedTopic(error, name)),
        nextCursor: null,
      }),
    },
  )

/** The names asked for, or all, sorted, from the cursor's on. Throws KafkaError INVALID_REQUEST. */
function* namesFrom(
  image: MetadataImage,
  request: DescribeTopicPartitionsRequest,
): Steps<string[]> {
  const { topics, cursor } = request
  const all = topics.length === 0
  const asked = all ? image.topics.byName.keys() : topics.map(({ name }) => name)
  const first = cursor?.topicName ?? ''
  const distinct = yield* distinctInSteps(asked)
  const names = yield* sortInSteps([...distinct].filter((name) => name >= first))
  if (cursor === null) return names
  if (!all && !names.includes(cursor.topicName)) {
    throw new KafkaError(
      errors.INVALID_REQUEST,
      `DescribeTopicPartitionsRequest topic list should contain the cursor topic: ${cursor.topicName}`,
    )
  }
  if (cursor.partitionIndex < 0) {
    throw new KafkaError(
      errors.INVALID_REQUEST,
      `DescribeTopicPartitionsRequest cursor partition must be valid: ${cursor.partitionIndex}`,
    )
  }
  return names
}

function* fillPage(
  image: MetadataImage,
  names: readonly string[],
  request: DescribeTopicPartitionsRequest,
  limit: number,
): Steps<Pick<DescribeTopicPartitionsResponse, 'topics' | 'nextCursor'>> {
  const topics: ResponseTopic[] = []
  let remaining = limit
  for (const name of names) {
    yield
    if (remaining === 0) return { topics, nextCursor: { topicName: name, partitionIndex: 0 } }
    const topic = image.topics.byName.get(name)
    if (topic === undefined) {
      const isValid = invalidTopicName(name) === undefined
      const error = isValid ? errors.UNKNOWN_TOPIC_OR_PARTITION : errors.INVALID_TOPIC_EXCEPTION
      topics.push(failedTopic(error, name))
      continue
    }
    const from = request.cursor?.topicName === name ? request.cursor.partitionIndex : 0
    const partitions = topic.partitions.slice(from, from + remaining)
    topics.push(presentTopic(image, topic, partitions))
    remaining -= partitions.length
    const next = from + partitions.length
    if (next < topic.partitions.length) {
      return { topics, nextCursor: { topicName: name, partitionIndex: next } }
    }
  }
  return { topics, nextCursor: null }
}

function presentTopic(
  image: MetadataImage,
  topic: TopicImage,
  partitions: readonly PartitionImage[],
): ResponseTopic {
  return {
    errorCode: errors.NONE.code,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternalTopic(topic.name),
    partitions: partitions.map((partition) => ({
      ...presentPartition(image, partition),
      eligibleLeaderReplicas: partition.elr,
      lastKnownElr: partition.lastKnownElr,
    })),
    topicAuthorizedOperations: operationsNotAsked,
  }
}

function failedTopic(error: ErrorRow, name: string): ResponseTopic {
  return {
    errorCode: error.code,
    name,
    topicId: zeroUuid,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: operationsNotAsked,
  }
}

/** Whether the topic exists is not told, nor what it is. */
function hiddenTopic(name: string): ResponseTopic {
  return { ...failedTopic(describeTopic.error, name), isInternal: false }
}
