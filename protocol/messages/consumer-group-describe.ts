/**
 * Tells an administrator the state, members and assignments of consumer groups (KIP-848).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int8,
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

export const consumerGroupDescribeRequest = message(
  69,
  'ConsumerGroupDescribeRequest',
  { valid: '0-1', flexible: '0+' },
  {
    groupIds: array(string),
    includeAuthorizedOperations: bool,
  },
)
export type ConsumerGroupDescribeRequest = MessageOf<typeof consumerGroupDescribeRequest>

const topicPartitions = { topicId: uuid, topicName: string, partitions: array(int32) }

const assignment = { topicPartitions: array(topicPartitions) }

export const consumerGroupDescribeResponse = message(
  69,
  'ConsumerGroupDescribeResponse',
  { valid: '0-1', flexible: '0+' },
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
        instanceId: nullable(string),
        rackId: nullable(string),
        memberEpoch: int32,
        clientId: string,
        clientHost: string,
        subscribedTopicNames: array(string),
        subscribedTopicRegex: nullable(string),
        assignment: struct(assignment),
        targetAssignment: struct(assignment),
        memberType: since(1, withDefault(-1, int8)),
      }),
      authorizedOperations: withDefault(-0x8000_0000, int32),
    }),
  },
)
export type ConsumerGroupDescribeResponse = InputOf<typeof consumerGroupDescribeResponse>
