/**
 * Acknowledges acquired records of a share group: accepted, released, rejected or renewed
 * (KIP-932).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

export const shareAcknowledgeRequest = message(
  79,
  'ShareAcknowledgeRequest',
  { valid: '1-2', flexible: '0+' },
  {
    groupId: nullable(string),
    memberId: nullable(string),
    shareSessionEpoch: int32,
    isRenewAck: since(2, bool),
    topics: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: int32,
        acknowledgementBatches: array({
          firstOffset: int64,
          lastOffset: int64,
          acknowledgeTypes: array(int8),
        }),
      }),
    }),
  },
)
export type ShareAcknowledgeRequest = MessageOf<typeof shareAcknowledgeRequest>

export const shareAcknowledgeResponse = message(
  79,
  'ShareAcknowledgeResponse',
  { valid: '1-2', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    acquisitionLockTimeoutMs: since(2, int32),
    responses: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: nullable(string),
        // KIP-951: told with an error about leadership.
        currentLeader: struct({ leaderId: int32, leaderEpoch: int32 }),
      }),
    }),
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: nullable(string),
    }),
  },
)
export type ShareAcknowledgeResponse = InputOf<typeof shareAcknowledgeResponse>
