/**
 * Reads a part of a metadata snapshot (KIP-630).
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
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

const snapshotId = { endOffset: int64, epoch: int32 }

export const fetchSnapshotRequest = message(
  59,
  'FetchSnapshotRequest',
  { valid: '0-1', flexible: '0+' },
  {
    clusterId: tagged(0, nullable(string)),
    replicaId: withDefault(-1, int32),
    maxBytes: withDefault(0x7fff_ffff, int32),
    topics: array({
      name: string,
      partitions: array({
        partition: int32,
        currentLeaderEpoch: int32,
        snapshotId: struct(snapshotId),
        position: int64,
        replicaDirectoryId: since(1, tagged(0, uuid)),
      }),
    }),
  },
)
export type FetchSnapshotRequest = MessageOf<typeof fetchSnapshotRequest>

const nodeEndpoint = { nodeId: int32, host: string, port: uint16 }

export const fetchSnapshotResponse = message(
  59,
  'FetchSnapshotResponse',
  { valid: '0-1', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    topics: array({
      name: string,
      partitions: array({
        index: int32,
        errorCode: int16,
        snapshotId: struct(snapshotId),
        currentLeader: tagged(0, struct({ leaderId: int32, leaderEpoch: int32 })),
        size: int64,
        position: int64,
        unalignedRecords: records,
      }),
    }),
    nodeEndpoints: since(1, tagged(0, array(nodeEndpoint))),
  },
)
export type FetchSnapshotResponse = InputOf<typeof fetchSnapshotResponse>
