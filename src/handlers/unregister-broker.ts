/** UnregisterBroker: a broker that is gone for good is forgotten; one that is not must be started again. */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'errorCode')

export const unregisterBroker = ({ controller }: { controller: Controller }) =>
  handler(
    apis.unregisterBroker,
    async ({ brokerId }, context) => {
      alterCluster.require(context)
      await controller.unregisterBroker(brokerId)
      return { errorCode: errors.NONE.code, errorMessage: null }
    },
    {
      access: [alterCluster],
      onError: (_request, error, _version, errorMessage) => ({
        errorCode: error.code,
        errorMessage,
      }),
    },
  )
