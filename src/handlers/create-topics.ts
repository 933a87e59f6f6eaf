/** CreateTopics: answered when the topics are committed and their logs are there. */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { CreateTopicsResponse } from '../../protocol/messages/create-topics.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { requireTime } from './time-limit.ts'

const createTopic = rule('CREATE', 'TOPIC', 'topics.errorCode', { unless: 'CREATE' })
/** Of a topic that was created. */
const describeConfigs = rule('DESCRIBE_CONFIGS', 'TOPIC', 'topics.topicConfigErrorCode', {
  silent: true,
})

/** From it on clients know THROTTLING_QUOTA_EXCEEDED (KIP-599). */
const firstStrictVersion = 6

type Result = CreateTopicsResponse['topics'][number]

export const createTopics = ({ controller }: { controller: Controller }) =>
  handler(
    apis.createTopics,
    async (request, context) => {
      const nameOf = ({ name }: { name: string }) => name
      const asked = createTopic.split(context, request.topics, nameOf)
      if (asked.allowed.length > 0) requireTime(request)
      const isStrict = context.apiVersion >= firstStrictVersion
      const created = await controller.createTopics(
        { ...request, topics: asked.allowed },
        (partitions) => context.countMutations(partitions, isStrict),
      )
      const { allowed, denied } = describeConfigs.split(context, created, nameOf)
      const topics = [...allowed, ...denied.map(withoutConfigs), ...asked.denied.map(refused)]
      return { throttleTimeMs: 0, topics }
    },
    {
      access: [createTopic, describeConfigs],
      onError: ({ topics }, error, _version, message) => ({
        topics: topics.map(({ name }) => ({
          name,
          errorCode: error.code,
          errorMessage: message,
        })),
      }),
    },
  )

function refused({ name }: { name: string }): Result {
  return { name, errorCode: createTopic.error.code, errorMessage: 'Authorization failed.' }
}

/** A topic that was refused has none to hide. */
function withoutConfigs(topic: Result): Result {
  if (topic.errorCode !== errors.NONE.code) return topic
  const { name, topicId, errorCode, errorMessage } = topic
  const hidden = { topicConfigErrorCode: describeConfigs.error.code, configs: null }
  return { name, topicId, errorCode, errorMessage, ...hidden }
}
