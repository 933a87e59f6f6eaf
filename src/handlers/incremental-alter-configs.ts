/** IncrementalAlterConfigs: sets, deletes, and adds to and takes from lists, one setting at a time (KIP-339). */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { handler } from '../server/handler.ts'

export const incrementalAlterConfigs = ({ controller }: { controller: Controller }) =>
  handler(
    apis.incrementalAlterConfigs,
    async (request) => ({
      throttleTimeMs: 0,
      responses: await controller.incrementalAlterConfigs(request),
    }),
    {
      onError: ({ resources }, error, _version, message) => ({
        responses: resources.map(({ resourceType, resourceName }) => ({
          errorCode: error.code,
          errorMessage: message,
          resourceType,
          resourceName,
        })),
      }),
    },
  )
