/** UpdateFeatures: raises or lowers finalized feature levels (KIP-584), all of a request or none. */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'errorCode')

export const updateFeatures = ({ controller }: { controller: Controller }) =>
  handler(
    apis.updateFeatures,
    async (request, context) => {
      alterCluster.require(context)
      await controller.updateFeatures(request, context.apiVersion)
      return {
        throttleTimeMs: 0,
        errorCode: errors.NONE.code,
        errorMessage: null,
        results: request.featureUpdates.map(({ feature }) => ({
          feature,
          errorCode: errors.NONE.code,
          errorMessage: null,
        })),
      }
    },
    {
      access: [alterCluster],
      onError: (_request, error, _version, message) => ({
        errorCode: error.code,
        errorMessage: message,
      }),
    },
  )
