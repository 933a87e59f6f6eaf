/** DeleteAcls: the entries that filters are about go; which these were is told for each filter. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { readAclFilter } from './acl-filter.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'filterResults.errorCode')

export const deleteAcls = ({ controller }: { controller: Controller }) =>
  handler(
    apis.deleteAcls,
    async (request, context) => {
      alterCluster.require(context)
      if (context.authorizer === null) {
        throw new KafkaError(errors.SECURITY_DISABLED, 'No Authorizer is configured.')
      }
      const filters = request.filters.map((each) => readAclFilter(each, context.apiVersion))
      const deleted = await controller.deleteAcls(filters)
      const outcome = { errorCode: errors.NONE.code, errorMessage: null }
      return {
        filterResults: deleted.map((acls) => ({
          ...outcome,
          matchingAcls: acls.map((acl) => ({ ...outcome, ...acl })),
        })),
      }
    },
    {
      access: [alterCluster],
      onError: ({ filters }, error, _version, errorMessage) => ({
        filterResults: filters.map(() => ({
          errorCode: error.code,
          errorMessage,
          matchingAcls: [],
        })),
      }),
    },
  )
