/**
 * Metadata: the brokers, and topics with their partitions. Asking for a topic that does not exist creates
 * it where both the broker and the client allow it; the answer then waits for the topic, so that the
 * client need not ask twice.
 */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import { isInternalTopic } from '../config/internal-topics.ts'
import { mapInSteps, type Steps } from '../environment/in-turns.ts'
import type { AutoTopicCreation, Outcomes } from '../metadata/auto-topic-creation.ts'
import { invalidTopicName } from '../metadata/controller/topic-names.ts'
import type { MetadataImage, TopicImage } from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { filter, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { KeptAnswers } from '../server/kept-answers.ts'
import type { RequestContext } from '../server/request-context.ts'
import {
  authorizedOperations,
  clusterOperations,
  describeOperations,
  operationsNotAsked,
} from './authorized-operations.ts'
import { brokerNodes, type Nodes } from './broker-nodes.ts'
import { presentPartition } from './topic-metadata.ts'

const describeTopic = rule('DESCRIBE', 'TOPIC', 'topics.errorCode')
const createTopic = rule('CREATE', 'TOPIC', 'topics.errorCode', { unless: 'CREATE' })
/** Of all topics only those are shown that may be. */
const seeTopics = filter('DESCRIBE', 'TOPIC', 'topics')

type ResponseTopic = MetadataResponse['topics'][number]

export interface MetadataParts extends Nodes {
  readonly cache: MetadataCache
  readonly autoTopics: AutoTopicCreation
  readonly config: BrokerConfig
}

export const metadata = (parts: MetadataParts) =>
  handler(
    apis.metadata,
    async (request, context) => {
      checkTopics(request, context.apiVersion)
      let outcomes: Outcomes = noOutcomes
      if (request.allowAutoTopicCreation && parts.config.get('auto.create.topics.enable')) {
        const missing = await context.inTurns(missingTopics(parts.cache.image, request, context))
        const { allowed, denied } = createTopic.split(context, missing, (name) => name)
        const count = (partitions: number) => context.countMutations(partitions, true)
        if (allowed.length > 0) outcomes = await parts.autoTopics.create(allowed, count)
        if (denied.length > 0) outcomes = deniedAmong(denied, outcomes)
      }
      return context.inTurns(answer(parts, request, context, outcomes))
    },
    {
      access: [describeTopic, createTopic, seeTopics, describeOperations],
      kept: new KeptAnswers({
        state: () => parts.cache.image,
        variant: (context) => {
          const { host, port } = parts.advertised(context)
          return `${context.listener}/${host}:${port}`
        },
      }),
      onError: (request, error) => ({
        throttleTimeMs: 0,
        brokers: [],
        clusterId: null,
        topics: (request.topics ?? []).map(({ name, topicId }) => ({
          ...failedTopic(error, name ?? ''),
          topicId,
          isInternal: false,
        })),
        errorCode: error.code,
      }),
    },
  )

/** Nothing was to be made. */
const noOutcomes: Outcomes = { get: () => undefined }

function deniedAmong(denied: readonly string[], others: Outcomes): Outcomes {
  const names = new Set(denied)
  return { get: (name) => (names.has(name) ? createTopic.error : others.get(name)) }
}

/** Topic ids, and names that are null because of them, can be asked for from version 12 on. */
function checkTopics(request: MetadataRequest, version: number): void {
  if (version >= 12) return
  for (const { name, topicId } of request.topics ?? []) {
    if (name === null) {
      const message = `Topic name can not be null for version ${version}`
      throw new KafkaError(errors.INVALID_REQUEST, message)
    }
    if (topicId !== zeroUuid) {
      const message = `Topic IDs are not supported in requests for version ${version}`
      throw new KafkaError(errors.INVALID_REQUEST, message)
    }
  }
}

/** In version 0 an empty list means all topics, later it means none. */
function asksForAll({ topics }: MetadataRequest, version: number): boolean {
  return topics === null || (version === 0 && topics.length === 0)
}

/** Names, each once; undefined where topics are asked for by their ids. */
function* requestedNames({ topics }: MetadataRequest): Steps<ReadonlySet<string> | undefined> {
  const names = new Set<string>()
  for (const { name, topicId } of topics ?? []) {
    if (topicId !== zeroUuid) return undefined
    if (name !== null) names.add(name)
    yield
  }
  return names
}

/** Names without a topic; who may not know of a topic does not learn from it whether it is there. */
function* missingTopics(
  image: MetadataImage,
  request: MetadataRequest,
  context: RequestContext,
): Steps<string[]> {
  if (asksForAll(request, context.apiVersion)) return []
  const missing: string[] = []
  for (const name of (yield* requestedNames(request)) ?? []) {
    if (describeTopic.allows(context, name) && !image.topics.byName.has(name)) missing.push(name)
    yield
  }
  return missing
}

function* answer(
  parts: MetadataParts,
  request: MetadataRequest,
  context: RequestContext,
  outcomes: Outcomes,
): Steps<MetadataResponse> {
  const { image } = parts.cache
  const topics = yield* answerTopics(image, request, context, outcomes)
  const brokers = brokerNodes(image, parts, context).filter(({ broker }) => !broker.fenced)
  // What is not there may be made by the next one who asks.
  if (topics.every(({ name, topicId }) => name && topicId !== zeroUuid)) context.keepAnswer(image)
  return {
    throttleTimeMs: 0,
    brokers: brokers.map(({ broker, host, port }) => ({
      nodeId: broker.id,
      host,
      port,
      rack: broker.rack,
    })),
    clusterId: image.clusterId,
    controllerId: parts.nodeId,
    topics: request.includeTopicAuthorizedOperations
      ? yield* mapInSteps(topics, (topic) => withOperations(topic, context))
      : topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? clusterOperations(context)
      : operationsNotAsked,
    errorCode: errors.NONE.code,
  }
}

function* answerTopics(
  image: MetadataImage,
  request: MetadataRequest,
  context: RequestContext,
  outcomes: Outcomes,
): Steps<ResponseTopic[]> {
  const { byName, byId } = image.topics
  if (asksForAll(request, context.apiVersion)) {
    const seen = seeTopics.only(context, [...byName.values()], ({ name }) => name)
    return yield* mapInSteps(seen, (topic) => presentTopic(image, topic))
  }
  const names = yield* requestedNames(request)
  if (names !== undefined) {
    return yield* mapInSteps(names, (name) => {
      if (!describeTopic.allows(context, name)) return hiddenTopic(name, zeroUuid)
      const topic = byName.get(name)
      return topic === undefined
        ? failedTopic(outcomes.get(name) ?? whyMissing(name), name)
        : presentTopic(image, topic)
    })
  }
  const ids = new Set(request.topics?.map(({ topicId }) => topicId))
  ids.delete(zeroUuid)
  return yield* mapInSteps(ids, (topicId) => {
    const topic = byId.get(topicId)
    if (topic === undefined) return { ...failedTopic(errors.UNKNOWN_TOPIC_ID, null), topicId }
    return describeTopic.allows(context, topic.name)
      ? presentTopic(image, topic)
      : hiddenTopic(null, topicId)
  })
}

/** Whether the topic exists, and what it is, is not told beyond what was asked by. */
function hiddenTopic(name: string | null, topicId: Uuid): ResponseTopic {
  return { ...failedTopic(describeTopic.error, name), topicId, isInternal: false }
}

function withOperations(topic: ResponseTopic, context: RequestContext): ResponseTopic {
  const isHidden = topic.errorCode === describeTopic.error.code
  if (isHidden || !topic.name) return topic
  const topicAuthorizedOperations = authorizedOperations(context, 'TOPIC', topic.name)
  return { ...topic, topicAuthorizedOperations }
}

function whyMissing(name: string): ErrorRow {
  return invalidTopicName(name) === undefined
    ? errors.UNKNOWN_TOPIC_OR_PARTITION
    : errors.INVALID_TOPIC_EXCEPTION
}

function presentTopic(image: MetadataImage, topic: TopicImage): ResponseTopic {
  return {
    errorCode: errors.NONE.code,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternalTopic(topic.name),
    partitions: topic.partitions.map((partition) => presentPartition(image, partition)),
  }
}

function failedTopic(error: ErrorRow, name: string | null): ResponseTopic {
  return {
    errorCode: error === errors.NONE ? errors.UNKNOWN_TOPIC_OR_PARTITION.code : error.code,
    name,
    topicId: zeroUuid,
    isInternal: name !== null && isInternalTopic(name),
    partitions: [],
  }
}
