/**
 * Appends record batches to partitions. The answer gives each partition's base offset, unless acks
 * is 0: then there is no answer at all.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  int64,
  message,
  nullable,
  records,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

export const produceRequest = message(
  0,
  'ProduceRequest',
  { valid: '0-13', flexible: '9+' },
  {
    transactionalId: since(3, nullable(string)), // KIP-98: set in a transaction only.
    acks: int16, // 0 none, 1 the leader, -1 all in-sync replicas.
    timeoutMs: int32,
    topicData: array({
      name: until(12, string),
      topicId: since(13, uuid), // KIP-516: ids replace names.
      partitionData: array({ index: int32, records: nullable(records) }),
    }),
  },
)
export type ProduceRequest = MessageOf<typeof produceRequest>

const batchIndexAndErrorMessage = { batchIndex: int32, batchIndexErrorMessage: nullable(string) }

const leaderIdAndEpoch = { leaderId: withDefault(-1, int32), leaderEpoch: withDefault(-1, int32) }

const nodeEndpoint = {
  nodeId: int32,
  host: string,
  port: int32,
  rack: nullable(string),
}

export const produceResponse = message(
  0,
  'ProduceResponse',
  { valid: '0-13', flexible: '9+' },
  {
    responses: array({
      name: until(12, string),
      topicId: since(13, uuid), // KIP-516: ids replace names.
      partitionResponses: array({
        index: int32,
        errorCode: int16,
        baseOffset: int64,
        // -1 unless the topic's timestamps are those of the append.
        logAppendTimeMs: since(2, withDefault(-1, int64)),
        logStartOffset: since(5, withDefault(-1, int64)),
        // KIP-467: which records of the batch were refused.
        recordErrors: since(8, array(batchIndexAndErrorMessage)),
        errorMessage: since(8, nullable(string)),
        // KIP-951: told with an error about leadership.
        currentLeader: since(10, tagged(0, struct(leaderIdAndEpoch))),
      }),
    }),
    throttleTimeMs: since(1, int32),
    // KIP-951: how to reach the current leaders.
    nodeEndpoints: since(10, tagged(0, array(nodeEndpoint))),
  },
)
export type ProduceResponse = InputOf<typeof produceResponse>
