/** CreatePartitions: more partitions for topics that exist (KIP-195). */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { requireTime } from './time-limit.ts'

const alterTopic = rule('ALTER', 'TOPIC', 'results.errorCode')

/** From it on clients know THROTTLING_QUOTA_EXCEEDED (KIP-599). */
const firstStrictVersion = 3

export const createPartitions = ({ controller }: { controller: Controller }) =>
  handler(
    apis.createPartitions,
    async (request, context) => {
      const asked = alterTopic.split(context, request.topics, ({ name }) => name)
      if (asked.allowed.length > 0) requireTime(request)
      const isStrict = context.apiVersion >= firstStrictVersion
      const results = await controller.createPartitions(
        { ...request, topics: asked.allowed },
        (partitions) => context.countMutations(partitions, isStrict),
      )
      const errorCode = alterTopic.error.code
      const denied = asked.denied.map(({ name }) => ({ name, errorCode, errorMessage: null }))
      return { throttleTimeMs: 0, results: [...results, ...denied] }
    },
    {
      access: [alterTopic],
      onError: ({ topics }, error, _version, message) => ({
        throttleTimeMs: 0,
        results: topics.map(({ name }) => ({ name, errorCode: error.code, errorMessage: message })),
      }),
    },
  )
