/**
 * The one request of a member of a share group about its membership (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  message,
  nullable,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

export const shareGroupHeartbeatRequest = message(
  76,
  'ShareGroupHeartbeatRequest',
  { valid: '1', flexible: '0+' },
  {
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    rackId: nullable(string),
    subscribedTopicNames: nullable(array(string)),
  },
)
export type ShareGroupHeartbeatRequest = MessageOf<typeof shareGroupHeartbeatRequest>

const assignment = { topicPartitions: array({ topicId: uuid, partitions: array(int32) }) }

export const shareGroupHeartbeatResponse = message(
  76,
  'ShareGroupHeartbeatResponse',
  { valid: '1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    memberId: nullable(string),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: nullable(struct(assignment)),
  },
)
export type ShareGroupHeartbeatResponse = InputOf<typeof shareGroupHeartbeatResponse>
