/** AlterClientQuotas: sets and takes away quotas of users, client ids and addresses (KIP-546). */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterConfigs = rule('ALTER_CONFIGS', 'CLUSTER', 'entries.errorCode')

export const alterClientQuotas = ({ controller }: { controller: Controller }) =>
  handler(
    apis.alterClientQuotas,
    async (request, context) => {
      alterConfigs.require(context)
      return { entries: await controller.alterClientQuotas(request) }
    },
    {
      access: [alterConfigs],
      onError: ({ entries }, error, _version, errorMessage) => ({
        entries: entries.map(({ entity }) => ({ errorCode: error.code, errorMessage, entity })),
      }),
    },
  )
