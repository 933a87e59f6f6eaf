/** AlterConfigs: replaces all settings of a resource. Clients have IncrementalAlterConfigs since 2.3. */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { handler } from '../server/handler.ts'
import { ConfigAccess } from './config-access.ts'

const access = new ConfigAccess('ALTER_CONFIGS', 'responses.errorCode')

export const alterConfigs = ({ controller }: { controller: Controller }) =>
  handler(
    apis.alterConfigs,
    async (request, context) => {
      const { allowed, denied } = access.split(context, request.resources)
      const altered = await controller.alterConfigs({ ...request, resources: allowed })
      return { throttleTimeMs: 0, responses: [...altered, ...denied] }
    },
    {
      access: access.rules,
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
