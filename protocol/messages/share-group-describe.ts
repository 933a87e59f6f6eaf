/**
 * Tells an administrator the state and members of share groups (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  message,
  nullable,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

export const shareGroupDescribeRequest = message(
  77,
  'ShareGroupDescribeRequest',
  { valid: '1', flexible: '0+' },
  {
    groupIds: array(string),
    includeAuthorizedOperations: bool,
  },
)
export type ShareGroupDescribeRequest = MessageOf<typeof shareGroupDescribeRequest>

export const shareGroupDescribeResponse = message(
  77,
  'ShareGroupDescribeResponse',
  { valid: '1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    groups: array({
      errorCode: int16,
      errorMessage: nullable(string),
      groupId: string,
      groupState: string,
      groupEpoch: int32,
      assignmentEpoch: int32,
      assignorName: string,
      members: array({
        memberId: string,
        rackId: nullable(string),
        memberEpoch: int32,
        clientId: string,
        clientHost: string,
        subscribedTopicNames: array(string),
        assignment: struct({
          topicPartitions: array({
            topicId: uuid,
            topicName: string,
            partitions: array(int32),
          }),
        }),
      }),
      authorizedOperations: withDefault(-0x8000_0000, int32),
    }),
  },
)
export type ShareGroupDescribeResponse = InputOf<typeof shareGroupDescribeResponse>
