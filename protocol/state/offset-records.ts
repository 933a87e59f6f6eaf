/**
 * What group coordinators store in __consumer_offsets. Key and value of a record share a number,
 * the record's kind; here are the offsets and the classic groups, and the list of all kinds.
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
  bytes,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  tagged,
  uuid,
  versions,
  withDefault,
} from '../schema.ts'
import { consumerGroupRecords } from './consumer-group-records.ts'
import { shareGroupRecords } from './share-group-records.ts'
import { streamsGroupRecords } from './streams-group-records.ts'

/** The key of a committed offset in the oldest format, which Kafka can still read. */
export const legacyOffsetCommitKey = message(
  0,
  'LegacyOffsetCommitKey',
  { valid: '0', flexible: 'none' },
  {
    group: string,
    topic: string,
    partition: int32,
  },
)
export type LegacyOffsetCommitKey = MessageOf<typeof legacyOffsetCommitKey>

/** A committed offset in the oldest format, which Kafka can still read. */
export const legacyOffsetCommitValue = message(
  0,
  'LegacyOffsetCommitValue',
  { valid: '0', flexible: 'none' },
  {
    offset: int64,
    metadata: string,
    commitTimestamp: int64,
  },
)
export type LegacyOffsetCommitValue = MessageOf<typeof legacyOffsetCommitValue>

/** Names the group and the partition of a committed offset. */
export const offsetCommitKey = message(
  1,
  'OffsetCommitKey',
  { valid: '0', flexible: 'none' },
  {
    group: string,
    topic: string,
    partition: int32,
  },
)
export type OffsetCommitKey = MessageOf<typeof offsetCommitKey>

/**
 * How far a group has read a partition. Without an expireTimestamp the broker's retention decides.
 */
export const offsetCommitValue = message(
  1,
  'OffsetCommitValue',
  { valid: '0-4', flexible: '4+' },
  {
    offset: int64,
    leaderEpoch: since(3, withDefault(-1, int32)),
    metadata: string,
    commitTimestamp: int64,
    expireTimestamp: versions('1', withDefault(-1, int64)),
    topicId: since(4, tagged(0, uuid)), // KIP-848.
  },
)
export type OffsetCommitValue = MessageOf<typeof offsetCommitValue>

/** Names a classic group. */
export const groupMetadataKey = message(
  2,
  'GroupMetadataKey',
  { valid: '0', flexible: 'none' },
  {
    group: string,
  },
)
export type GroupMetadataKey = MessageOf<typeof groupMetadataKey>

/** A classic group after a rebalance: its generation, leader and members with their assignments. */
export const groupMetadataValue = message(
  2,
  'GroupMetadataValue',
  { valid: '0-4', flexible: '4+' },
  {
    protocolType: string,
    generation: int32,
    protocol: nullable(string),
    leader: nullable(string),
    currentStateTimestamp: since(2, withDefault(-1, int64)),
    members: array({
      memberId: string,
      groupInstanceId: since(3, nullable(string)),
      clientId: string,
      clientHost: string,
      rebalanceTimeout: since(1, withDefault(-1, int32)),
      sessionTimeout: int32,
      subscription: bytes,
      assignment: bytes,
    }),
  },
)
export type GroupMetadataValue = MessageOf<typeof groupMetadataValue>

/** Every kind of record in __consumer_offsets by name: the key's table, and the value's. */
export const offsetsTopicRecords = {
  LegacyOffsetCommit: { key: legacyOffsetCommitKey, value: legacyOffsetCommitValue },
  OffsetCommit: { key: offsetCommitKey, value: offsetCommitValue },
  GroupMetadata: { key: groupMetadataKey, value: groupMetadataValue },
  ...consumerGroupRecords,
  ...shareGroupRecords,
  ...streamsGroupRecords,
}
