/**
 * The first request on a connection: which APIs and versions the broker has, and which features.
 * An answer to an unknown version comes in version 0 (KIP-511).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  tagged,
  withDefault,
} from '../schema.ts'

export const apiVersionsRequest = message(
  18,
  'ApiVersionsRequest',
  { valid: '0-5', flexible: '3+' },
  {
    clientSoftwareName: since(3, string), // KIP-511.
    clientSoftwareVersion: since(3, string),
    clusterId: since(5, nullable(string)), // KIP-1242: the cluster that the client means to reach.
    nodeId: since(5, withDefault(-1, int32)),
  },
)
export type ApiVersionsRequest = MessageOf<typeof apiVersionsRequest>

const supportedFeatureKey = { name: string, minVersion: int16, maxVersion: int16 }

const finalizedFeatureKey = { name: string, maxVersionLevel: int16, minVersionLevel: int16 }

export const apiVersionsResponse = message(
  18,
  'ApiVersionsResponse',
  { valid: '0-5', flexible: '3+' },
  {
    errorCode: int16,
    apiKeys: array({ apiKey: int16, minVersion: int16, maxVersion: int16 }),
    throttleTimeMs: since(1, int32),
    supportedFeatures: since(3, tagged(0, array(supportedFeatureKey))),
    finalizedFeaturesEpoch: since(3, tagged(1, withDefault(-1, int64))), // KIP-584: -1 is unknown.
    finalizedFeatures: since(3, tagged(2, array(finalizedFeatureKey))),
    zkMigrationReady: since(3, tagged(3, bool)),
  },
)
export type ApiVersionsResponse = InputOf<typeof apiVersionsResponse>
