/**
 * Deletes topics by name or, from version 6, by id (KIP-516).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  message,
  nullable,
  nullableSince,
  since,
  string,
  until,
  uuid,
} from '../schema.ts'

const deleteTopicState = {
  name: nullable(string),
  topicId: uuid, // KIP-516: instead of the name.
}

export const deleteTopicsRequest = message(
  20,
  'DeleteTopicsRequest',
  { valid: '0-6', flexible: '4+' },
  {
    topics: since(6, array(deleteTopicState)),
    topicNames: until(5, array(string)),
    timeoutMs: int32,
  },
)
export type DeleteTopicsRequest = MessageOf<typeof deleteTopicsRequest>

export const deleteTopicsResponse = message(
  20,
  'DeleteTopicsResponse',
  { valid: '0-6', flexible: '4+' },
  {
    throttleTimeMs: since(1, int32),
    responses: array({
      name: nullableSince(6, string),
      topicId: since(6, uuid),
      errorCode: int16,
      errorMessage: since(5, nullable(string)),
    }),
  },
)
export type DeleteTopicsResponse = InputOf<typeof deleteTopicsResponse>
