/** AlterUserScramCredentials: users' passwords come, change and go (KIP-554). */
import { apis } from '../../protocol/apis.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'results.errorCode')

export const alterUserScramCredentials = ({ controller }: { controller: Controller }) =>
  handler(
    apis.alterUserScramCredentials,
    async (request, context) => {
      alterCluster.require(context)
      return { results: await controller.alterUserScramCredentials(request) }
    },
    {
      access: [alterCluster],
      onError: ({ deletions, upsertions }, error, _version, errorMessage) => {
        const users = new Set([...deletions, ...upsertions].map(({ name }) => name))
        const errorCode = error.code
        return { results: [...users].sort().map((user) => ({ user, errorCode, errorMessage })) }
      },
    },
  )
