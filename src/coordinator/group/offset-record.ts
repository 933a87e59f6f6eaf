/**
 * The record of a committed offset. Written with value version 4, or 1 if the offset has an expiry of
 * its own, as Kafka 4.3 does; all older versions are read.
 */
import { Reader } from '../../../protocol/reader.ts'
import {
  encodeCoordinatorKey,
  encodeCoordinatorValue,
  readCoordinatorKey,
  readCoordinatorValue,
} from '../../../protocol/state/coordinator-frame.ts'
import {
  type LegacyOffsetCommitValue,
  type OffsetCommitValue,
  offsetCommitKey,
  offsetCommitValue,
} from '../../../protocol/state/offset-records.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import type { StoredRecord } from '../shard.ts'
import type { CommittedOffset } from './partition-offsets.ts'

export interface OffsetRecord {
  readonly kind: 'offset'
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  readonly value: CommittedOffset | null
}

const valueVersion = 4
const valueVersionWithExpiry = 1

export function encodeOffsetRecord(record: OffsetRecord): { key: Buffer; value: Buffer | null } {
  const { groupId: group, topic, partition, value } = record
  const key = encodeCoordinatorKey(offsetCommitKey, { group, topic, partition })
  return { key, value: value === null ? null : encodeOffset(value) }
}

function encodeOffset(offset: CommittedOffset): Buffer {
  const hasExpiry = offset.expireTimestampMs !== -1
  const version = hasExpiry ? valueVersionWithExpiry : valueVersion
  const value = {
    offset: offset.offset,
    metadata: offset.metadata,
    commitTimestamp: offset.commitTimestampMs,
  }
  return encodeCoordinatorValue(
    offsetCommitValue,
    version,
    hasExpiry
      ? { ...value, expireTimestamp: offset.expireTimestampMs }
      : { ...value, leaderEpoch: offset.leaderEpoch, topicId: offset.topicId },
  )
}

/** A committed offset where it lies; undefined for any other record. Throws MalformedError. */
export function offsetRecordAt(record: StoredRecord): OffsetRecord | undefined {
  const { bytes, keyAt, keyLength, valueAt, valueLength } = record
  const keyReader = new Reader(bytes, keyAt, keyAt + keyLength)
  if (keyLength < 2 || keyReader.int16() !== offsetCommitKey.key) return undefined
  const { group: groupId, topic, partition } = readCoordinatorKey(offsetCommitKey, keyReader)
  if (valueLength < 0) return { kind: 'offset', groupId, topic, partition, value: null }
  const valueReader = new Reader(bytes, valueAt, valueAt + valueLength)
  const value = offsetFrom(readCoordinatorValue(offsetCommitValue, valueReader))
  return { kind: 'offset', groupId, topic, partition, value }
}

export function offsetFrom(value: OffsetCommitValue | LegacyOffsetCommitValue): CommittedOffset {
  return {
    offset: value.offset,
    metadata: value.metadata,
    commitTimestampMs: value.commitTimestamp,
    leaderEpoch: 'leaderEpoch' in value ? value.leaderEpoch : -1,
    expireTimestampMs: 'expireTimestamp' in value ? value.expireTimestamp : -1,
    topicId: 'topicId' in value ? value.topicId : zeroUuid,
  }
}
