/**
 * A group's member, or a consumer of its own, stores how far it has read.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  until,
  uuid,
  versions,
  withDefault,
} from '../schema.ts'

export const offsetCommitRequest = message(
  8,
  'OffsetCommitRequest',
  { valid: '0-10', flexible: '8+' },
  {
    groupId: string,
    generationIdOrMemberEpoch: since(1, withDefault(-1, int32)), // KIP-848: an epoch in new groups.
    memberId: since(1, string),
    groupInstanceId: since(7, nullable(string)), // KIP-345: static membership.
    retentionTimeMs: versions('2-4', withDefault(-1, int64)), // KIP-211 took it away.
    topics: array({
      name: until(9, string),
      topicId: since(10, uuid),
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        commitTimestamp: versions('1', withDefault(-1, int64)),
        committedLeaderEpoch: since(6, withDefault(-1, int32)), // KIP-320.
        committedMetadata: nullable(string),
      }),
    }),
  },
)
export type OffsetCommitRequest = MessageOf<typeof offsetCommitRequest>

export const offsetCommitResponse = message(
  8,
  'OffsetCommitResponse',
  { valid: '0-10', flexible: '8+' },
  {
    throttleTimeMs: since(3, int32),
    topics: array({
      name: until(9, string),
      topicId: since(10, uuid),
      partitions: array({ partitionIndex: int32, errorCode: int16 }),
    }),
  },
)
export type OffsetCommitResponse = InputOf<typeof offsetCommitResponse>
