/**
 * Adds partitions to topics.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, bool, int16, int32, message, nullable, string, withDefault } from '../schema.ts'

export const createPartitionsRequest = message(
  37,
  'CreatePartitionsRequest',
  { valid: '0-3', flexible: '2+' },
  {
    topics: array({
      name: string,
      count: int32,
      assignments: nullable(array({ brokerIds: array(int32) })), // Null lets the controller choose.
    }),
    timeoutMs: int32,
    validateOnly: bool,
  },
)
export type CreatePartitionsRequest = MessageOf<typeof createPartitionsRequest>

export const createPartitionsResponse = message(
  37,
  'CreatePartitionsResponse',
  { valid: '0-3', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    results: array({ name: string, errorCode: int16, errorMessage: nullable(string) }),
  },
)
export type CreatePartitionsResponse = InputOf<typeof createPartitionsResponse>
