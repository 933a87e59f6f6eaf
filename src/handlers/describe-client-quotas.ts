/** DescribeClientQuotas: the quotas of the entities that a filter is about (KIP-546). */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { matchingQuotas } from '../metadata/controller/client-quotas.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const describeConfigs = rule('DESCRIBE_CONFIGS', 'CLUSTER', 'errorCode')

export const describeClientQuotas = ({ cache }: { cache: MetadataCache }) =>
  handler(
    apis.describeClientQuotas,
    (request, context) => {
      describeConfigs.require(context)
      const entries = matchingQuotas(cache.image, request).map(({ entity, quotas }) => ({
        entity,
        values: [...quotas].map(([key, value]) => ({ key, value })),
      }))
      return { errorCode: errors.NONE.code, errorMessage: null, entries }
    },
    {
      access: [describeConfigs],
      onError: (_request, error, _version, errorMessage) => ({
        errorCode: error.code,
        errorMessage,
        entries: null,
      }),
    },
  )
