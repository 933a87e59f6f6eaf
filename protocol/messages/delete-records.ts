/**
 * Moves the start of partitions forward, so that what lies before may be deleted (KIP-107).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, int64, message, string, withDefault } from '../schema.ts'

export const deleteRecordsRequest = message(
  21,
  'DeleteRecordsRequest',
  { valid: '0-2', flexible: '2+' },
  {
    topics: array({
      name: string,
      partitions: array({ partitionIndex: int32, offset: int64 }),
    }),
    timeoutMs: int32,
  },
)
export type DeleteRecordsRequest = MessageOf<typeof deleteRecordsRequest>

export const deleteRecordsResponse = message(
  21,
  'DeleteRecordsResponse',
  { valid: '0-2', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    topics: array({
      name: string,
      partitions: array({ partitionIndex: int32, lowWatermark: int64, errorCode: int16 }),
    }),
  },
)
export type DeleteRecordsResponse = InputOf<typeof deleteRecordsResponse>
