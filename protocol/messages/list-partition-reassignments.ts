/**
 * Lists the moves of partitions in progress.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, nullable, string, withDefault } from '../schema.ts'

export const listPartitionReassignmentsRequest = message(
  46,
  'ListPartitionReassignmentsRequest',
  { valid: '0', flexible: '0+' },
  {
    timeoutMs: withDefault(60000, int32),
    topics: nullable(array({ name: string, partitionIndexes: array(int32) })),
  },
)
export type ListPartitionReassignmentsRequest = MessageOf<typeof listPartitionReassignmentsRequest>

export const listPartitionReassignmentsResponse = message(
  46,
  'ListPartitionReassignmentsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        replicas: array(int32),
        addingReplicas: array(int32),
        removingReplicas: array(int32),
      }),
    }),
  },
)
export type ListPartitionReassignmentsResponse = InputOf<typeof listPartitionReassignmentsResponse>
