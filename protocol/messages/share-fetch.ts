/**
 * Acquires records of a share group for a while, and may acknowledge earlier ones on the way
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
  records,
  since,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'

export const shareFetchRequest = message(
  78,
  'ShareFetchRequest',
  { valid: '1-2', flexible: '0+' },
  {
    groupId: nullable(string),
    memberId: nullable(string),
    shareSessionEpoch: int32,
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: withDefault(0x7fff_ffff, int32),
    maxRecords: int32,
    batchSize: int32,
    shareAcquireMode: since(2, int8),
    isRenewAck: since(2, bool),
    topics: array({
      topicId: uuid, // KIP-516: ids replace names.
      partitions: array({
        partitionIndex: int32,
        acknowledgementBatches: array({
          firstOffset: int64,
          lastOffset: int64,
          acknowledgeTypes: array(int8),
        }),
      }),
    }),
    forgottenTopicsData: array({ topicId: uuid, partitions: array(int32) }),
  },
)
export type ShareFetchRequest = MessageOf<typeof shareFetchRequest>

export const shareFetchResponse = message(
  78,
  'ShareFetchResponse',
  { valid: '1-2', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    acquisitionLockTimeoutMs: int32,
    responses: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: nullable(string),
        acknowledgeErrorCode: int16,
        acknowledgeErrorMessage: nullable(string),
        // KIP-951: told with an error about leadership.
        currentLeader: struct({ leaderId: int32, leaderEpoch: int32 }),
        records: records,
        acquiredRecords: array({ firstOffset: int64, lastOffset: int64, deliveryCount: int16 }),
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
export type ShareFetchResponse = InputOf<typeof shareFetchResponse>
