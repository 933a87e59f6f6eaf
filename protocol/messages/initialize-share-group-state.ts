/**
 * A group coordinator has the share coordinator set up the state of a group's partitions
 * (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, int64, message, nullable, string, uuid } from '../schema.ts'

export const initializeShareGroupStateRequest = message(
  83,
  'InitializeShareGroupStateRequest',
  { valid: '0', flexible: '0+' },
  {
    groupId: string,
    topics: array({
      topicId: uuid,
      partitions: array({ partition: int32, stateEpoch: int32, startOffset: int64 }),
    }),
  },
)
export type InitializeShareGroupStateRequest = MessageOf<typeof initializeShareGroupStateRequest>

export const initializeShareGroupStateResponse = message(
  83,
  'InitializeShareGroupStateResponse',
  { valid: '0', flexible: '0+' },
  {
    results: array({
      topicId: uuid,
      partitions: array({ partition: int32, errorCode: int16, errorMessage: nullable(string) }),
    }),
  },
)
export type InitializeShareGroupStateResponse = InputOf<typeof initializeShareGroupStateResponse>
