/**
 * Forgets from where an empty share group reads topics (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, nullable, string, uuid, withDefault } from '../schema.ts'

export const deleteShareGroupOffsetsRequest = message(
  92,
  'DeleteShareGroupOffsetsRequest',
  { valid: '0', flexible: '0+' },
  {
    groupId: string,
    topics: array({ topicName: string }),
  },
)
export type DeleteShareGroupOffsetsRequest = MessageOf<typeof deleteShareGroupOffsetsRequest>

export const deleteShareGroupOffsetsResponse = message(
  92,
  'DeleteShareGroupOffsetsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    responses: array({
      topicName: string,
      topicId: uuid,
      errorCode: int16,
      errorMessage: nullable(string),
    }),
  },
)
export type DeleteShareGroupOffsetsResponse = InputOf<typeof deleteShareGroupOffsetsResponse>
