/**
 * The one request of a member of a consumer group: joins, leaves, changes its subscription, says
 * what it owns; the answer says what to own (KIP-848).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

const topicPartitions = { topicId: uuid, partitions: array(int32) }

export const consumerGroupHeartbeatRequest = message(
  68,
  'ConsumerGroupHeartbeatRequest',
  { valid: '0-1', flexible: '0+' },
  {
    groupId: string,
    memberId: string,
    memberEpoch: int32, // 0 joins, -1 leaves, -2 leaves as a static member.
    instanceId: nullable(string),
    rackId: nullable(string),
    rebalanceTimeoutMs: withDefault(-1, int32),
    subscribedTopicNames: nullable(array(string)), // Null is no change.
    subscribedTopicRegex: since(1, nullable(string)),
    serverAssignor: nullable(string),
    topicPartitions: nullable(array(topicPartitions)), // Null is no change.
  },
)
export type ConsumerGroupHeartbeatRequest = MessageOf<typeof consumerGroupHeartbeatRequest>

export const consumerGroupHeartbeatResponse = message(
  68,
  'ConsumerGroupHeartbeatResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    memberId: nullable(string),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: nullable(struct({ topicPartitions: array(topicPartitions) })),
  },
)
export type ConsumerGroupHeartbeatResponse = InputOf<typeof consumerGroupHeartbeatResponse>
