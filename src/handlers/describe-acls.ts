/** DescribeAcls: the access control entries that a filter is about, by resource. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { DescribeAclsResponse } from '../../protocol/messages/describe-acls.ts'
import { matchingAcls } from '../metadata/controller/acls.ts'
import type { AclImage } from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { readAclFilter } from './acl-filter.ts'

type Resource = DescribeAclsResponse['resources'][number]

const describeCluster = rule('DESCRIBE', 'CLUSTER', 'errorCode')

export const describeAcls = ({ cache }: { cache: MetadataCache }) =>
  handler(
    apis.describeAcls,
    (request, context) => {
      describeCluster.require(context)
      if (context.authorizer === null) {
        throw new KafkaError(errors.SECURITY_DISABLED, 'No Authorizer is configured on the broker')
      }
      const filter = readAclFilter(request, context.apiVersion)
      const resources = byResource(matchingAcls(cache.image, filter))
      return { errorCode: errors.NONE.code, errorMessage: null, resources }
    },
    {
      access: [describeCluster],
      onError: (_request, error, _version, errorMessage) => ({
        errorCode: error.code,
        errorMessage,
        resources: [],
      }),
    },
  )

function byResource(acls: readonly AclImage[]): Resource[] {
  const resources = new Map<string, Resource & { acls: AclImage[] }>()
  for (const acl of acls) {
    const { resourceType, resourceName, patternType } = acl
    const key = `${resourceType} ${patternType} ${resourceName}`
    const resource = resources.get(key)
    if (resource !== undefined) resource.acls.push(acl)
    else resources.set(key, { resourceType, resourceName, patternType, acls: [acl] })
  }
  return [...resources.values()]
}
