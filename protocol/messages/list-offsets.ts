/**
 * Finds an offset by timestamp. Negative timestamps ask for the ends: -1 latest, -2 earliest, -3
 * the largest timestamp, -4 earliest local, -5 latest tiered, -6 earliest not yet uploaded.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  int64,
  message,
  since,
  string,
  until,
  withDefault,
} from '../schema.ts'

export const listOffsetsRequest = message(
  2,
  'ListOffsetsRequest',
  { valid: '0-11', flexible: '6+' },
  {
    replicaId: int32, // -1 for a consumer.
    isolationLevel: since(2, int8),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        currentLeaderEpoch: since(4, withDefault(-1, int32)), // KIP-320: checked unless -1.
        timestamp: int64,
        maxNumOffsets: until(0, withDefault(1, int32)),
      }),
    }),
    timeoutMs: since(10, int32), // KIP-1075: for lookups in remote storage.
  },
)
export type ListOffsetsRequest = MessageOf<typeof listOffsetsRequest>

export const listOffsetsResponse = message(
  2,
  'ListOffsetsResponse',
  { valid: '0-11', flexible: '6+' },
  {
    throttleTimeMs: since(2, int32),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        oldStyleOffsets: until(0, array(int64)), // Version 0 answers with segment starts.
        timestamp: since(1, withDefault(-1, int64)),
        offset: since(1, withDefault(-1, int64)),
        leaderEpoch: since(4, withDefault(-1, int32)),
      }),
    }),
  },
)
export type ListOffsetsResponse = InputOf<typeof listOffsetsResponse>
