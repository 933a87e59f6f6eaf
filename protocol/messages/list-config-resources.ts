/**
 * Lists the resources that have a configuration; version 0 knows client metrics only (KIP-1142).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int8, int16, int32, message, since, string, withDefault } from '../schema.ts'

export const listConfigResourcesRequest = message(
  74,
  'ListConfigResourcesRequest',
  { valid: '0-1', flexible: '0+' },
  {
    resourceTypes: since(1, array(int8)), // Empty is all types.
  },
)
export type ListConfigResourcesRequest = MessageOf<typeof listConfigResourcesRequest>

export const listConfigResourcesResponse = message(
  74,
  'ListConfigResourcesResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    configResources: array({
      resourceName: string,
      resourceType: since(1, withDefault(16, int8)),
    }),
  },
)
export type ListConfigResourcesResponse = InputOf<typeof listConfigResourcesResponse>
