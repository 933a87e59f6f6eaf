/**
 * Elects the preferred replica, or an unclean one, as leader of partitions (KIP-460).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const electLeadersRequest = message(
  43,
  'ElectLeadersRequest',
  { valid: '0-2', flexible: '2+' },
  {
    electionType: since(1, int8), // 0 preferred, 1 unclean.
    // Null is all partitions.
    topicPartitions: nullable(array({ topic: string, partitions: array(int32) })),
    timeoutMs: withDefault(60000, int32),
  },
)
export type ElectLeadersRequest = MessageOf<typeof electLeadersRequest>

export const electLeadersResponse = message(
  43,
  'ElectLeadersResponse',
  { valid: '0-2', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: since(1, int16),
    replicaElectionResults: array({
      topic: string,
      partitionResult: array({
        partitionId: int32,
        errorCode: int16,
        errorMessage: nullable(string),
      }),
    }),
  },
)
export type ElectLeadersResponse = InputOf<typeof electLeadersResponse>
