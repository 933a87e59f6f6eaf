/**
 * A group coordinator has the share coordinator forget a group's partitions (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, nullable, string, uuid } from '../schema.ts'

export const deleteShareGroupStateRequest = message(
  86,
  'DeleteShareGroupStateRequest',
  { valid: '0', flexible: '0+' },
  {
    groupId: string,
    topics: array({ topicId: uuid, partitions: array({ partition: int32 }) }),
  },
)
export type DeleteShareGroupStateRequest = MessageOf<typeof deleteShareGroupStateRequest>

export const deleteShareGroupStateResponse = message(
  86,
  'DeleteShareGroupStateResponse',
  { valid: '0', flexible: '0+' },
  {
    results: array({
      topicId: uuid,
      partitions: array({ partition: int32, errorCode: int16, errorMessage: nullable(string) }),
    }),
  },
)
export type DeleteShareGroupStateResponse = InputOf<typeof deleteShareGroupStateResponse>
