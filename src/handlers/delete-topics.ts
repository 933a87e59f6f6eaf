/** DeleteTopics: answered when the topics are gone for every client; their files follow. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { handler } from '../server/handler.ts'

export interface DeleteTopicsParts {
  readonly controller: Controller
  readonly config: BrokerConfig
}

export const deleteTopics = ({ controller, config }: DeleteTopicsParts) =>
  handler(
    apis.deleteTopics,
    async (request, { apiVersion }) => {
      if (!config.get('delete.topic.enable')) {
        throw apiVersion < 3
          ? new KafkaError(errors.INVALID_REQUEST, 'Topic deletion is disabled.')
          : new KafkaError(errors.TOPIC_DELETION_DISABLED)
      }
      return { throttleTimeMs: 0, responses: await controller.deleteTopics(request) }
    },
    {
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
