/**
 * What the share coordinator stores in __share_group_state (KIP-932): a snapshot of a partition's
 * delivery state, then updates to it.
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  int64,
  message,
  string,
  tagged,
  uuid,
  withDefault,
} from '../schema.ts'

/** Names the group and the partition of a snapshot. */
export const shareSnapshotKey = message(
  0,
  'ShareSnapshotKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    topicId: uuid,
    partition: int32,
  },
)
export type ShareSnapshotKey = MessageOf<typeof shareSnapshotKey>

const stateBatch = {
  firstOffset: int64,
  lastOffset: int64,
  deliveryState: int8,
  deliveryCount: int16,
}

/** The whole delivery state of a partition. */
export const shareSnapshotValue = message(
  0,
  'ShareSnapshotValue',
  { valid: '0', flexible: '0+' },
  {
    snapshotEpoch: int32,
    stateEpoch: int32,
    leaderEpoch: int32,
    startOffset: int64,
    deliveryCompleteCount: tagged(0, withDefault(-1, int32)),
    createTimestamp: int64,
    writeTimestamp: int64,
    stateBatches: array(stateBatch),
  },
)
export type ShareSnapshotValue = MessageOf<typeof shareSnapshotValue>

/** Names the group and the partition of an update. */
export const shareUpdateKey = message(
  1,
  'ShareUpdateKey',
  { valid: '0', flexible: 'none' },
  {
    groupId: string,
    topicId: uuid,
    partition: int32,
  },
)
export type ShareUpdateKey = MessageOf<typeof shareUpdateKey>

/** A change of the delivery state since the snapshot of this epoch. */
export const shareUpdateValue = message(
  1,
  'ShareUpdateValue',
  { valid: '0', flexible: '0+' },
  {
    snapshotEpoch: int32,
    leaderEpoch: int32,
    startOffset: int64,
    deliveryCompleteCount: tagged(0, withDefault(-1, int32)),
    stateBatches: array(stateBatch),
  },
)
export type ShareUpdateValue = MessageOf<typeof shareUpdateValue>

/** Every kind of record in __share_group_state by name: the key's table, and the value's. */
export const shareGroupStateRecords = {
  ShareSnapshot: { key: shareSnapshotKey, value: shareSnapshotValue },
  ShareUpdate: { key: shareUpdateKey, value: shareUpdateValue },
}
