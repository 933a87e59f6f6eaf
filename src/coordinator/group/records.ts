/**
 * What is recorded of groups in `__consumer_offsets`, in Kafka's formats. A null value is a
 * tombstone.
 *
 * Offsets are the same for all types of groups (`offset-record.ts`). A classic group has one record
 * (`classic/generation-record.ts`). Groups with a protocol of their own have several kinds each,
 * which are here as their tables have them (`protocol/state`).
 */

import type { MessageOf } from '../../../protocol/schema.ts'
import { consumerGroupRecords } from '../../../protocol/state/consumer-group-records.ts'
import {
  type CoordinatorRecordKind,
  type CoordinatorRecordKinds,
  decodeCoordinatorRecord,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
} from '../../../protocol/state/coordinator-frame.ts'
import { offsetsTopicRecords } from '../../../protocol/state/offset-records.ts'
import { shareGroupRecords } from '../../../protocol/state/share-group-records.ts'
import { streamsGroupRecords } from '../../../protocol/state/streams-group-records.ts'
import {
  encodeGeneration,
  type GroupMetadataRecord,
  generationFrom,
} from './classic/generation-record.ts'
import { encodeOffsetRecord, type OffsetRecord, offsetFrom } from './offset-record.ts'

/** A record of one of the kinds; `kind` is its name and tells the types of key and value. */
export type TableRecord<Kinds extends CoordinatorRecordKinds> = {
  [Kind in keyof Kinds]: {
    readonly kind: Kind
    readonly key: MessageOf<Kinds[Kind]['key']>
    readonly value: MessageOf<Kinds[Kind]['value']> | null
  }
}[keyof Kinds]

/** The kinds of all types of groups that this version serves. */
const modernKinds = { ...consumerGroupRecords, ...shareGroupRecords, ...streamsGroupRecords }

export type ConsumerGroupRecord = TableRecord<typeof consumerGroupRecords>
export type ShareGroupRecord = TableRecord<typeof shareGroupRecords>
export type StreamsGroupRecord = TableRecord<typeof streamsGroupRecords>
export type ModernRecord = TableRecord<typeof modernKinds>
export type GroupRecord = GroupMetadataRecord | OffsetRecord | ModernRecord

export function encodeGroupRecord(record: GroupRecord): { key: Buffer; value: Buffer | null } {
  switch (record.kind) {
    case 'group':
      return encodeGeneration(record)
    case 'offset':
      return encodeOffsetRecord(record)
    default:
      return encodeModern(modernKinds[record.kind], record)
  }
}

/** All kinds have one version as yet: what Kafka 4.3 writes. */
const modernValueVersion = 0

function encodeModern(
  { key: keyTable, value: valueTable }: CoordinatorRecordKind,
  { key, value }: ModernRecord,
): { key: Buffer; value: Buffer | null } {
  return {
    key: encodeCoordinatorKey(keyTable, key),
    value: value === null ? null : encodeCoordinatorValue(valueTable, modernValueVersion, value),
  }
}

const { LegacyOffsetCommit, OffsetCommit, GroupMetadata } = offsetsTopicRecords
const kinds = { LegacyOffsetCommit, OffsetCommit, GroupMetadata, ...modernKinds }

/** Null for a record of another kind of group. Throws MalformedError. */
export function decodeGroupRecord(key: Buffer, value: Buffer | null): GroupRecord | null {
  const record = decodeCoordinatorRecord(kinds, key, value)
  if (record === null) return null
  switch (record.type) {
    case 'GroupMetadata': {
      const generation = record.value === null ? null : generationFrom(record.value)
      return { kind: 'group', groupId: record.key.group, value: generation }
    }
    case 'OffsetCommit':
    case 'LegacyOffsetCommit': {
      const { group: groupId, topic, partition } = record.key
      const offset = record.value === null ? null : offsetFrom(record.value)
      return { kind: 'offset', groupId, topic, partition, value: offset }
    }
    default: {
      const { type: kind, ...rest } = record
      return { kind, ...rest } as ModernRecord
    }
  }
}
