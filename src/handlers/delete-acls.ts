/** DeleteAcls: the entries that filters are about go; which these were is told for each filter. */
import { patternTypes } from '../../protocol/acls.ts'
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { type AclFilter, hasUnknown } from '../metadata/controller/acls.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'filterResults.errorCode')

export const deleteAcls = ({ controller }: { controller: Controller }) =>
  handler(
    apis.deleteAcls,
    async (request, context) => {
      alterCluster.require(context)
      if (context.authorizer === null) {
        throw new KafkaError(errors.SECURITY_DISABLED, 'No Authorizer is configured.')
      }
      const filters = request.filters.map((each) => asKnownToVersion(each, context.apiVersion))
      if (filters.some(hasUnknown)) {
        throw new KafkaError(errors.INVALID_REQUEST, 'Filters contain UNKNOWN elements')
      }
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

/** Version 0 knows no patterns: its filters are about what is literal. */
export function asKnownToVersion<Filter extends AclFilter>(
  filter: Filter,
  version: number,
): Filter {
  return version === 0 ? { ...filter, patternTypeFilter: patternTypes.LITERAL } : filter
}
