/** CreateTopics: answered when the topics are committed and their logs are there. */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { handler } from '../server/handler.ts'

export const createTopics = ({ controller }: { controller: Controller }) =>
  handler(
    apis.createTopics,
    async (request) => ({ throttleTimeMs: 0, topics: await controller.createTopics(request) }),
    {
      onError: ({ topics }, error, _version, message) => ({
        topics: topics.map(({ name }) => ({
          name,
          errorCode: error.code,
          errorMessage: message,
        })),
      }),
    },
  )
