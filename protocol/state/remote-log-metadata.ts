/**
 * What is stored in __remote_log_metadata about segments in remote storage (KIP-405).
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
  bool,
  bytes,
  int8,
  int32,
  int64,
  message,
  nullable,
  string,
  struct,
  tagged,
  uuid,
} from '../schema.ts'

const topicIdPartitionEntry = { name: string, id: uuid, partition: int32 }

const remoteLogSegmentIdEntry = { topicIdPartition: struct(topicIdPartitionEntry), id: uuid }

const segmentLeaderEpochEntry = { leaderEpoch: int32, offset: int64 }

/** A segment is being copied to remote storage. */
export const remoteLogSegmentMetadataRecord = message(
  0,
  'RemoteLogSegmentMetadataRecord',
  { valid: '0', flexible: '0+' },
  {
    remoteLogSegmentId: struct(remoteLogSegmentIdEntry),
    startOffset: int64,
    endOffset: int64,
    brokerId: int32,
    maxTimestampMs: int64,
    eventTimestampMs: int64,
    segmentLeaderEpochs: array(segmentLeaderEpochEntry),
    segmentSizeInBytes: int32,
    customMetadata: nullable(bytes),
    remoteLogSegmentState: int8,
    txnIndexEmpty: tagged(0, bool),
  },
)
export type RemoteLogSegmentMetadataRecord = MessageOf<typeof remoteLogSegmentMetadataRecord>

/** The state of a remote segment changed. */
export const remoteLogSegmentMetadataUpdateRecord = message(
  1,
  'RemoteLogSegmentMetadataUpdateRecord',
  { valid: '0', flexible: '0+' },
  {
    remoteLogSegmentId: struct(remoteLogSegmentIdEntry),
    brokerId: int32,
    eventTimestampMs: int64,
    customMetadata: nullable(bytes),
    remoteLogSegmentState: int8,
  },
)
export type RemoteLogSegmentMetadataUpdateRecord = MessageOf<
  typeof remoteLogSegmentMetadataUpdateRecord
>

/** A partition is being removed from remote storage. */
export const remotePartitionDeleteMetadataRecord = message(
  2,
  'RemotePartitionDeleteMetadataRecord',
  { valid: '0', flexible: '0+' },
  {
    topicIdPartition: struct(topicIdPartitionEntry),
    brokerId: int32,
    eventTimestampMs: int64,
    remotePartitionDeleteState: int8,
  },
)
export type RemotePartitionDeleteMetadataRecord = MessageOf<
  typeof remotePartitionDeleteMetadataRecord
>

/** A remote segment as a snapshot of its partition holds it. */
export const remoteLogSegmentMetadataSnapshotRecord = message(
  3,
  'RemoteLogSegmentMetadataSnapshotRecord',
  { valid: '0', flexible: '0+' },
  {
    segmentId: uuid,
    startOffset: int64,
    endOffset: int64,
    brokerId: int32,
    maxTimestampMs: int64,
    eventTimestampMs: int64,
    segmentLeaderEpochs: array(segmentLeaderEpochEntry),
    segmentSizeInBytes: int32,
    customMetadata: nullable(bytes),
    remoteLogSegmentState: int8,
    txnIndexEmpty: tagged(0, bool),
  },
)
export type RemoteLogSegmentMetadataSnapshotRecord = MessageOf<
  typeof remoteLogSegmentMetadataSnapshotRecord
>
