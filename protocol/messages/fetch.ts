/**
 * Reads record batches from partitions, for consumers and for followers, who thereby say how far
 * they got (KIP-595 uses it for the metadata log too). Sessions let a request name only what
 * changed (KIP-227).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
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
  tagged,
  until,
  uuid,
  withDefault,
} from '../schema.ts'
import { int64Max } from '../types.ts'

const replicaState = { replicaId: withDefault(-1, int32), replicaEpoch: withDefault(-1, int64) }

const forgottenTopic = {
  topic: until(12, string),
  topicId: since(13, uuid),
  partitions: array(int32),
}

export const fetchRequest = message(
  1,
  'FetchRequest',
  { valid: '0-18', flexible: '12+' },
  {
    clusterId: since(12, tagged(0, nullable(string))),
    replicaId: until(14, withDefault(-1, int32)), // -1 for a consumer.
    // KIP-903: a follower names its epoch too.
    replicaState: since(15, tagged(1, struct(replicaState))),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: since(3, withDefault(0x7fff_ffff, int32)),
    isolationLevel: since(4, int8), // 0 read uncommitted, 1 read committed.
    sessionId: since(7, int32), // KIP-227: 0 asks for a new session, with epoch 0.
    sessionEpoch: since(7, withDefault(-1, int32)),
    topics: array({
      topic: until(12, string),
      topicId: since(13, uuid), // KIP-516: ids replace names.
      partitions: array({
        partition: int32,
        currentLeaderEpoch: since(9, withDefault(-1, int32)), // KIP-320: checked unless -1.
        fetchOffset: int64,
        // KIP-595: to find out about diverging logs.
        lastFetchedEpoch: since(12, withDefault(-1, int32)),
        logStartOffset: since(5, withDefault(-1, int64)), // Of a follower; -1 from a consumer.
        partitionMaxBytes: int32,
        replicaDirectoryId: since(17, tagged(0, uuid)), // KIP-853: of a voter.
        highWatermark: since(18, tagged(1, withDefault(int64Max, int64))), // KIP-1166.
      }),
    }),
    forgottenTopicsData: since(7, array(forgottenTopic)),
    rackId: since(11, string), // KIP-392: where the consumer is.
  },
)
export type FetchRequest = MessageOf<typeof fetchRequest>

const epochEndOffset = { epoch: withDefault(-1, int32), endOffset: withDefault(-1, int64) }

const leaderIdAndEpoch = { leaderId: withDefault(-1, int32), leaderEpoch: withDefault(-1, int32) }

const snapshotId = { endOffset: withDefault(-1, int64), epoch: withDefault(-1, int32) }

const abortedTransaction = { producerId: int64, firstOffset: int64 }

const nodeEndpoint = {
  nodeId: int32,
  host: string,
  port: int32,
  rack: nullable(string),
}

export const fetchResponse = message(
  1,
  'FetchResponse',
  { valid: '0-18', flexible: '12+' },
  {
    throttleTimeMs: since(1, int32),
    errorCode: since(7, int16),
    sessionId: since(7, int32),
    responses: array({
      topic: until(12, string),
      topicId: since(13, uuid),
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        highWatermark: int64,
        lastStableOffset: since(4, withDefault(-1, int64)),
        logStartOffset: since(5, withDefault(-1, int64)),
        // Where the follower's log leaves the leader's.
        divergingEpoch: since(12, tagged(0, struct(epochEndOffset))),
        // KIP-951: told with an error about leadership.
        currentLeader: since(12, tagged(1, struct(leaderIdAndEpoch))),
        snapshotId: since(12, tagged(2, struct(snapshotId))),
        abortedTransactions: since(4, withDefault([], nullable(array(abortedTransaction)))),
        // KIP-392: a nearer replica to read from.
        preferredReadReplica: since(11, withDefault(-1, int32)),
        records: nullable(records),
      }),
    }),
    // KIP-951: how to reach the current leaders.
    nodeEndpoints: since(16, tagged(0, array(nodeEndpoint))),
  },
)
export type FetchResponse = InputOf<typeof fetchResponse>
