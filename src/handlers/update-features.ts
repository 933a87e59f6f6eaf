/** UpdateFeatures: raises or lowers finalized feature levels (KIP-584), all of a request or none. */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { handler } from '../server/handler.ts'

export const updateFeatures = ({ controller }: { controller: Controller }) =>
  handler(
    apis.updateFeatures,
    async (request, { apiVersion }) => {
      await controller.updateFeatures(request, apiVersion)
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
      onError: (_request, error, _version, message) => ({
        errorCode: error.code,
        errorMessage: message,
      }),
    },
  )
