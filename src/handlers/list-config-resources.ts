/** ListConfigResources: everything that can have settings (KIP-1142); version 0 knows only client metrics. */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { configResource, type MetadataImage } from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const describeConfigs = rule('DESCRIBE_CONFIGS', 'CLUSTER', 'errorCode')

const allTypes = [
  configResource.TOPIC,
  configResource.BROKER,
  configResource.BROKER_LOGGER,
  configResource.CLIENT_METRICS,
  configResource.GROUP,
] as const

export const listConfigResources = ({ cache }: { cache: MetadataCache }) =>
  handler(
    apis.listConfigResources,
    ({ resourceTypes }, context) => {
      describeConfigs.require(context)
      const asked =
        context.apiVersion === 0
          ? [configResource.CLIENT_METRICS]
          : resourceTypes.length === 0
            ? allTypes
            : [...new Set(resourceTypes)]
      const configResources = []
      for (const resourceType of asked) {
        const names = namesOf(cache.image, resourceType)
        if (names === undefined) {
          return { errorCode: errors.UNSUPPORTED_VERSION.code, configResources: [] }
        }
        for (const resourceName of names) configResources.push({ resourceName, resourceType })
      }
      return { throttleTimeMs: 0, errorCode: errors.NONE.code, configResources }
    },
    {
      access: [describeConfigs],
      onError: (_request, error) => ({ errorCode: error.code, configResources: [] }),
    },
  )

/** undefined for a type that is not known. */
function namesOf(image: MetadataImage, type: number): Iterable<string> | undefined {
  switch (type) {
    case configResource.TOPIC:
      return image.topics.byName.keys()
    case configResource.BROKER:
    case configResource.BROKER_LOGGER:
      return [...image.brokers.keys()].map(String)
    case configResource.CLIENT_METRICS:
    case configResource.GROUP:
      return image.configs.get(type)?.keys() ?? []
    default:
      return undefined
  }
}
