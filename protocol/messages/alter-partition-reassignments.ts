/**
 * Starts moving partitions to other brokers, or cancels that (KIP-455).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const alterPartitionReassignmentsRequest = message(
  45,
  'AlterPartitionReassignmentsRequest',
  { valid: '0-1', flexible: '0+' },
  {
    timeoutMs: withDefault(60000, int32),
    allowReplicationFactorChange: since(1, withDefault(true, bool)),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        replicas: nullable(array(int32)), // Null cancels the reassignment.
      }),
    }),
  },
)
export type AlterPartitionReassignmentsRequest = MessageOf<
  typeof alterPartitionReassignmentsRequest
>

export const alterPartitionReassignmentsResponse = message(
  45,
  'AlterPartitionReassignmentsResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    allowReplicationFactorChange: since(1, withDefault(true, bool)),
    errorCode: int16,
    errorMessage: nullable(string),
    responses: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: nullable(string),
      }),
    }),
  },
)
export type AlterPartitionReassignmentsResponse = InputOf<
  typeof alterPartitionReassignmentsResponse
>
