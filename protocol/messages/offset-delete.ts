/**
 * Forgets a group's offsets of single partitions (KIP-496).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, string, withDefault } from '../schema.ts'

export const offsetDeleteRequest = message(
  47,
  'OffsetDeleteRequest',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    topics: array({ name: string, partitions: array({ partitionIndex: int32 }) }),
  },
)
export type OffsetDeleteRequest = MessageOf<typeof offsetDeleteRequest>

export const offsetDeleteResponse = message(
  47,
  'OffsetDeleteResponse',
  { valid: '0', flexible: 'none' },
  {
    errorCode: int16,
    throttleTimeMs: withDefault(0, int32),
    topics: array({
      name: string,
      partitions: array({ partitionIndex: int32, errorCode: int16 }),
    }),
  },
)
export type OffsetDeleteResponse = InputOf<typeof offsetDeleteResponse>
