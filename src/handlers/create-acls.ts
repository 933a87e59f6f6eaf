/** CreateAcls: who may do what from now on; in force when it is answered. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'results.errorCode')

export const createAcls = ({ controller }: { controller: Controller }) =>
  handler(
    apis.createAcls,
    async ({ creations }, context) => {
      alterCluster.require(context)
      if (context.authorizer === null) {
        throw new KafkaError(errors.SECURITY_DISABLED, 'No Authorizer is configured.')
      }
      const outcomes = await controller.createAcls(creations)
      return {
        results: outcomes.map(({ error, message }) => ({
          errorCode: error.code,
          errorMessage: message,
        })),
      }
    },
    {
      access: [alterCluster],
      onError: ({ creations }, error, _version, errorMessage) => ({
        results: creations.map(() => ({ errorCode: error.code, errorMessage })),
      }),
    },
  )
