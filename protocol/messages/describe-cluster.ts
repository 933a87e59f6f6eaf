/**
 * Tells the cluster's id, controller and brokers.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const describeClusterRequest = message(
  60,
  'DescribeClusterRequest',
  { valid: '0-2', flexible: '0+' },
  {
    includeClusterAuthorizedOperations: bool,
    endpointType: since(1, withDefault(1, int8)), // KIP-919: 1 brokers, 2 controllers.
    includeFencedBrokers: since(2, bool),
  },
)
export type DescribeClusterRequest = MessageOf<typeof describeClusterRequest>

export const describeClusterResponse = message(
  60,
  'DescribeClusterResponse',
  { valid: '0-2', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    endpointType: since(1, withDefault(1, int8)),
    clusterId: string,
    controllerId: withDefault(-1, int32),
    brokers: array({
      brokerId: int32,
      host: string,
      port: int32,
      rack: nullable(string),
      isFenced: since(2, bool), // KIP-1073.
    }),
    clusterAuthorizedOperations: withDefault(-0x8000_0000, int32),
  },
)
export type DescribeClusterResponse = InputOf<typeof describeClusterResponse>
