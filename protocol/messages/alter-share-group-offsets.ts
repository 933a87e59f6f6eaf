/**
 * Sets from where an empty share group reads partitions (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  int64,
  message,
  nullable,
  string,
  uuid,
  withDefault,
} from '../schema.ts'

export const alterShareGroupOffsetsRequest = message(
  91,
  'AlterShareGroupOffsetsRequest',
  { valid: '0', flexible: '0+' },
  {
    groupId: string,
    topics: array({
      topicName: string,
      partitions: array({ partitionIndex: int32, startOffset: int64 }),
    }),
  },
)
export type AlterShareGroupOffsetsRequest = MessageOf<typeof alterShareGroupOffsetsRequest>

export const alterShareGroupOffsetsResponse = message(
  91,
  'AlterShareGroupOffsetsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    responses: array({
      topicName: string,
      topicId: uuid,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: nullable(string),
      }),
    }),
  },
)
export type AlterShareGroupOffsetsResponse = InputOf<typeof alterShareGroupOffsetsResponse>
