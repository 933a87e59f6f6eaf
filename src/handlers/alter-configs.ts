/** AlterConfigs: replaces all settings of a resource. Clients have IncrementalAlterConfigs since 2.3. */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { handler } from '../server/handler.ts'

export const alterConfigs = ({ controller }: { controller: Controller }) =>
  handler(
    apis.alterConfigs,
    async (request) => ({ throttleTimeMs: 0, responses: await controller.alterConfigs(request) }),
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
