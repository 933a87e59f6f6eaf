/** CreatePartitions: more partitions for topics that exist (KIP-195). */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { handler } from '../server/handler.ts'

export const createPartitions = ({ controller }: { controller: Controller }) =>
  handler(
    apis.createPartitions,
    async (request) => ({ throttleTimeMs: 0, results: await controller.createPartitions(request) }),
    {
      onError: ({ topics }, error, _version, message) => ({
        throttleTimeMs: 0,
        results: topics.map(({ name }) => ({ name, errorCode: error.code, errorMessage: message })),
      }),
    },
  )
