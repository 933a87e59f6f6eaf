/**
 * What is recorded in `__share_group_state`, in Kafka's formats: for each partition that a share group
 * reads its delivery state in whole (a snapshot; a null value is a tombstone), and changes to it since.
 */
import {
  decodeCoordinatorRecord,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
} from '../../../protocol/state/coordinator-frame.ts'
import {
  type ShareSnapshotValue,
  type ShareUpdateValue,
  shareGroupStateRecords,
} from '../../../protocol/state/share-group-state.ts'
import type { Uuid } from '../../../protocol/types.ts'

/** A partition as one share group reads it. */
export interface SharePartitionKey {
  readonly groupId: string
  readonly topicId: Uuid
  readonly partition: number
}

export interface ShareSnapshot {
  readonly kind: 'snapshot'
  readonly key: SharePartitionKey
  readonly value: ShareSnapshotValue | null
}

export interface ShareUpdate {
  readonly kind: 'update'
  readonly key: SharePartitionKey
  readonly value: ShareUpdateValue
}

export type ShareRecord = ShareSnapshot | ShareUpdate

/** As FindCoordinator asks for it, too. */
export function coordinatorKey({ groupId, topicId, partition }: SharePartitionKey): string {
  return `${groupId}:${topicId}:${partition}`
}

/** Whether a text is a coordinator key; a group's id may hold colons. */
export function isCoordinatorKey(text: string): boolean {
  return /^.*[^\s:].*:[A-Za-z0-9_-]{22}:[+-]?\d{1,10}$/s.test(text)
}

const { ShareSnapshot: snapshot, ShareUpdate: update } = shareGroupStateRecords
/** Of both kinds of values. */
const valueVersion = 0

export function encodeShareRecord({ kind, key, value }: ShareRecord): {
  key: Buffer
  value: Buffer | null
} {
  if (kind === 'update') {
    return {
      key: encodeCoordinatorKey(update.key, key),
      value: encodeCoordinatorValue(update.value, valueVersion, value),
    }
  }
  return {
    key: encodeCoordinatorKey(snapshot.key, key),
    value: value === null ? null : encodeCoordinatorValue(snapshot.value, valueVersion, value),
  }
}

/** Null for what is no record of ours. Throws MalformedError. */
export function decodeShareRecord(key: Buffer, value: Buffer | null): ShareRecord | null {
  const record = decodeCoordinatorRecord(shareGroupStateRecords, key, value)
  if (record === null) return null
  const { groupId, topicId, partition } = record.key
  const named = { groupId, topicId, partition }
  if (record.type === 'ShareSnapshot') return { kind: 'snapshot', key: named, value: record.value }
  return record.value === null ? null : { kind: 'update', key: named, value: record.value }
}
