/**
 * Asks where a group has got to. From version 8 for several groups at once (KIP-709).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  int64,
  message,
  nullable,
  nullableSince,
  since,
  string,
  until,
  uuid,
  versions,
  withDefault,
} from '../schema.ts'

const offsetFetchRequestTopic = { name: string, partitionIndexes: array(int32) }

const offsetFetchRequestTopics = {
  name: until(9, string),
  topicId: since(10, uuid),
  partitionIndexes: array(int32),
}

const offsetFetchRequestGroup = {
  groupId: string,
  memberId: since(9, nullable(string)),
  memberEpoch: since(9, withDefault(-1, int32)),
  topics: nullable(array(offsetFetchRequestTopics)), // Null is all topics.
}

export const offsetFetchRequest = message(
  9,
  'OffsetFetchRequest',
  { valid: '0-10', flexible: '6+' },
  {
    groupId: until(7, string),
    topics: until(7, nullableSince(2, array(offsetFetchRequestTopic))), // Null is all topics.
    groups: since(8, array(offsetFetchRequestGroup)),
    requireStable: since(7, bool), // KIP-447: no offsets of open transactions.
  },
)
export type OffsetFetchRequest = MessageOf<typeof offsetFetchRequest>

const offsetFetchResponseTopic = {
  name: string,
  partitions: array({
    partitionIndex: int32,
    committedOffset: int64,
    committedLeaderEpoch: since(5, withDefault(-1, int32)),
    metadata: nullable(string),
    errorCode: int16,
  }),
}

const offsetFetchResponseGroup = {
  groupId: string,
  topics: array({
    name: until(9, string),
    topicId: since(10, uuid),
    partitions: array({
      partitionIndex: int32,
      committedOffset: int64,
      committedLeaderEpoch: withDefault(-1, int32),
      metadata: nullable(string),
      errorCode: int16,
    }),
  }),
  errorCode: withDefault(0, int16),
}

export const offsetFetchResponse = message(
  9,
  'OffsetFetchResponse',
  { valid: '0-10', flexible: '6+' },
  {
    throttleTimeMs: since(3, int32),
    topics: until(7, array(offsetFetchResponseTopic)),
    errorCode: versions('2-7', int16),
    groups: since(8, array(offsetFetchResponseGroup)),
  },
)
export type OffsetFetchResponse = InputOf<typeof offsetFetchResponse>
