/**
 * ApiVersions: which APIs in which versions, and which features. It is the first request of most
 * clients, so an unknown version of it is answered too, in the oldest form (KIP-35, KIP-511).
 */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type {
  ApiVersionsRequest,
  ApiVersionsResponse,
} from '../../protocol/messages/api-versions.ts'
import { supportedFeatures } from '../metadata/features.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { type AnyHandler, handler, servedVersions } from '../server/handler.ts'
import type { ClientTelemetry } from '../telemetry/client-telemetry.ts'

export interface ApiVersionsParts {
  readonly cache: MetadataCache
  readonly nodeId: number
  /** The assembled table, this handler among them: only what is in it is advertised. */
  readonly handlers: () => readonly AnyHandler[]
  readonly telemetry: Pick<ClientTelemetry, 'isShown'>
}

export const apiVersions = (parts: ApiVersionsParts) => {
  let advertised: ApiVersionsResponse['apiKeys'] | undefined
  return handler(
    apis.apiVersions,
    (request, { apiVersion, connection }) => {
      checkClient(parts, request, apiVersion)
      if (apiVersion >= 3) {
        connection.softwareName = request.clientSoftwareName
        connection.softwareVersion = request.clientSoftwareVersion
      }
      const { image } = parts.cache
      advertised ??= parts
        .handlers()
        .filter(({ api }) => parts.telemetry.isShown || !ofTelemetry.has(api.key))
        .map(apiKey)
        .sort((a, b) => a.apiKey - b.apiKey)
      return {
        errorCode: errors.NONE.code,
        apiKeys: advertised,
        throttleTimeMs: 0,
        supportedFeatures: toldFeatures(apiVersion),
        finalizedFeaturesEpoch: image.offset,
        finalizedFeatures: [...image.features].map(([name, level]) => ({
          name,
          maxVersionLevel: level,
          minVersionLevel: level,
        })),
      }
    },
    {
      access: [],
      onError: (_request, error) => ({ errorCode: error.code, apiKeys: [] }),
      onUnsupportedVersion: () => ({
        errorCode: errors.UNSUPPORTED_VERSION.code,
        apiKeys: parts
          .handlers()
          .map(apiKey)
          .filter(({ apiKey }) => apiKey === apis.apiVersions.key),
      }),
    },
  )
}

/** Older clients cannot read a feature whose lowest level is 0, and are not told of it (KAFKA-17492). */
function toldFeatures(version: number): ApiVersionsResponse['supportedFeatures'] {
  return supportedFeatures
    .filter(
      ({ minSupportedVersion }) => minSupportedVersion > 0 || version >= firstVersionWithLevel0,
    )
    .map(({ name, minSupportedVersion, maxSupportedVersion }) => ({
      name,
      minVersion: minSupportedVersion,
      maxVersion: maxSupportedVersion,
    }))
}

function apiKey(served: AnyHandler): ApiVersionsResponse['apiKeys'][number] {
  const [minVersion, maxVersion] = servedVersions(served)
  return { apiKey: served.api.key, minVersion, maxVersion }
}

/** Clients push only where these are advertised: as in Kafka, where somebody takes what they push (KIP-714). */
const ofTelemetry = new Set<number>([apis.getTelemetrySubscriptions.key, apis.pushTelemetry.key])
const firstVersionWithLevel0 = 4
const softwareName = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

/** From version 5 on a client may say whom it expects to find (KIP-1242). */
function checkClient(parts: ApiVersionsParts, request: ApiVersionsRequest, version: number): void {
  if (version < 3) return
  for (const text of [request.clientSoftwareName, request.clientSoftwareVersion]) {
    if (!softwareName.test(text)) throw new KafkaError(errors.INVALID_REQUEST)
  }
  const { clusterId, nodeId } = request
  const isOtherCluster = clusterId !== null && clusterId !== parts.cache.image.clusterId
  if (isOtherCluster || (nodeId !== -1 && nodeId !== parts.nodeId)) {
    throw new KafkaError(errors.REBOOTSTRAP_REQUIRED)
  }
}
