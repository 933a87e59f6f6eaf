/** DeleteTopics: answered when the topics are gone for every client; their files follow. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../protocol/messages/delete-topics.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'
import { requireTime } from './time-limit.ts'

const deleteTopic = rule('DELETE', 'TOPIC', 'responses.errorCode', { unless: 'DELETE' })
const describeTopic = rule('DESCRIBE', 'TOPIC', 'responses.errorCode', { unless: 'DELETE' })

/** From it on clients know THROTTLING_QUOTA_EXCEEDED (KIP-599). */
const firstStrictVersion = 5

type Result = DeleteTopicsResponse['responses'][number]

export interface DeleteTopicsParts {
  readonly cache: MetadataCache
  readonly controller: Controller
  readonly config: BrokerConfig
}

export const deleteTopics = ({ cache, controller, config }: DeleteTopicsParts) =>
  handler(
    apis.deleteTopics,
    async (request, context) => {
      if (!config.get('delete.topic.enable')) {
        throw context.apiVersion < 3
          ? new KafkaError(errors.INVALID_REQUEST, 'Topic deletion is disabled.')
          : new KafkaError(errors.TOPIC_DELETION_DISABLED)
      }
      if (needsController(request)) requireTime(request)
      const { allowed, denied } = authorize(cache.image, request, context)
      const isStrict = context.apiVersion >= firstStrictVersion
      const deleted = await controller.deleteTopics(allowed, (partitions) =>
        context.countMutations(partitions, isStrict),
      )
      return { throttleTimeMs: 0, responses: [...deleted, ...denied] }
    },
    {
      access: [deleteTopic, describeTopic],
      onError: ({ topics, topicNames }, error, version, message) => {
        const failed = (name: string | null, topicId: string) => ({
          name,
          topicId,
          errorCode: error.code,
          errorMessage: message,
        })
        const responses =
          version >= 6
            ? topics.map(({ name, topicId }) => failed(name, topicId))
            : topicNames.map((name) => failed(name, zeroUuid))
        return { responses }
      },
    },
  )

/** A topic that is named by both its name and its id, or by neither, is refused without looking for it. */
function needsController({ topics, topicNames }: DeleteTopicsRequest): boolean {
  const isOneOfBoth = ({ name, topicId }: DeleteTopicsRequest['topics'][number]) =>
    (name === null) !== (topicId === zeroUuid)
  return topicNames.length > 0 || topics.some(isOneOfBoth)
}

/**
 * What is left to decide for the controller, and a refusal for each topic that may not be deleted. Whoever
 * may not know of a topic learns neither from a name that it is there nor from an id its name.
 */
function authorize(
  { topics: { byName, byId } }: MetadataImage,
  request: DeleteTopicsRequest,
  context: RequestContext,
): { readonly allowed: DeleteTopicsRequest; readonly denied: readonly Result[] } {
  if (context.authorizer === null) return { allowed: request, denied: [] }
  const denied: Result[] = []
  const isAllowed = (name: string | null, topicId: Uuid): boolean => {
    const topicName = name ?? byId.get(topicId)?.name
    // Both, neither, and ids that nothing has are refused to everybody alike.
    if (topicName === undefined || (name !== null && topicId !== zeroUuid)) return true
    const isSeen = describeTopic.allows(context, topicName)
    const isThere = byName.has(topicName)
    if (isSeen && (!isThere || deleteTopic.allows(context, topicName))) return true
    if (name === null && deleteTopic.allows(context, topicName)) return true
    const errorCode = deleteTopic.error.code
    denied.push({ name: isSeen ? topicName : name, topicId, errorCode, errorMessage: null })
    return false
  }
  const topics = request.topics.filter(({ name, topicId }) => isAllowed(name, topicId))
  const topicNames = request.topicNames.filter((name) => isAllowed(name, zeroUuid))
  return { allowed: { ...request, topics, topicNames }, denied }
}
