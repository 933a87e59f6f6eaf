/**
 * What is recorded of groups in `__consumer_offsets`, in Kafka's formats: for each group its last
 * generation, for each partition that it committed an offset. A null value is a tombstone.
 *
 * Offsets are written with value version 4, or 1 if they have an expiry of their own, generations
 * with version 3: what Kafka 4.3 writes. All older versions are read.
 */
import {
  decodeCoordinatorRecord,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
} from '../../../protocol/state/coordinator-frame.ts'
import {
  type GroupMetadataValue,
  groupMetadataKey,
  groupMetadataValue,
  type LegacyOffsetCommitValue,
  type OffsetCommitValue,
  offsetCommitKey,
  offsetCommitValue,
  offsetsTopicRecords,
} from '../../../protocol/state/offset-records.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { ClassicGroup } from './classic/classic-group.ts'
import { noBytes } from './classic/member.ts'
import type { CommittedOffset } from './offsets.ts'

/** A generation of a group. */
export interface GroupMetadata {
  /** Null if no member ever came. */
  readonly protocolType: string | null
  readonly generationId: number
  readonly protocolName: string | null
  readonly leaderId: string | null
  /** When the group got into its state; -1 if that was not recorded. */
  readonly stateSinceMs: Milliseconds
  /** Empty in an empty group. */
  readonly members: readonly GroupMetadataMember[]
}

export interface GroupMetadataMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: Milliseconds
  readonly sessionTimeoutMs: Milliseconds
  readonly subscription: Buffer
  readonly assignment: Buffer
}

export interface GroupMetadataRecord {
  readonly kind: 'group'
  readonly groupId: string
  readonly value: GroupMetadata | null
}

export interface OffsetRecord {
  readonly kind: 'offset'
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  readonly value: CommittedOffset | null
}

export type GroupRecord = GroupMetadataRecord | OffsetRecord

/** What is known of a group of which only offsets are recorded. */
export const simpleGroup: GroupMetadata = {
  protocolType: null,
  generationId: 0,
  protocolName: null,
  leaderId: null,
  stateSinceMs: -1,
  members: [],
}

/** The group's current generation, with `parts` as assignments instead of what members have now. */
export function generationRecord(
  group: ClassicGroup,
  parts?: ReadonlyMap<string, Buffer>,
): GroupMetadataRecord {
  const { protocolType, generationId, protocolName, leaderId, stateSinceMs } = group
  const members = [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    sessionTimeoutMs: member.sessionTimeoutMs,
    subscription: member.metadataOf(protocolName),
    assignment: parts === undefined ? member.assignment : (parts.get(member.memberId) ?? noBytes),
  }))
  const value = { protocolType, generationId, protocolName, leaderId, stateSinceMs, members }
  return { kind: 'group', groupId: group.groupId, value }
}

/** That a group exists of which nobody is a member yet. */
export function emptyGroupRecord(group: ClassicGroup): GroupMetadataRecord {
  const value = { ...simpleGroup, stateSinceMs: group.stateSinceMs }
  return { kind: 'group', groupId: group.groupId, value }
}

const groupValueVersion = 3
const offsetValueVersion = 4
const offsetValueVersionWithExpiry = 1

export function encodeGroupRecord(record: GroupRecord): { key: Buffer; value: Buffer | null } {
  if (record.kind === 'group') {
    const key = encodeCoordinatorKey(groupMetadataKey, { group: record.groupId })
    return { key, value: record.value === null ? null : encodeMetadata(record.value) }
  }
  const { groupId: group, topic, partition, value } = record
  const key = encodeCoordinatorKey(offsetCommitKey, { group, topic, partition })
  return { key, value: value === null ? null : encodeOffset(value) }
}

function encodeMetadata(metadata: GroupMetadata): Buffer {
  return encodeCoordinatorValue(groupMetadataValue, groupValueVersion, {
    protocolType: metadata.protocolType ?? '',
    generation: metadata.generationId,
    protocol: metadata.protocolName,
    leader: metadata.leaderId,
    currentStateTimestamp: metadata.stateSinceMs,
    members: metadata.members.map(({ rebalanceTimeoutMs, sessionTimeoutMs, ...member }) => ({
      ...member,
      rebalanceTimeout: rebalanceTimeoutMs,
      sessionTimeout: sessionTimeoutMs,
    })),
  })
}

function encodeOffset(offset: CommittedOffset): Buffer {
  const hasExpiry = offset.expireTimestampMs !== -1
  const version = hasExpiry ? offsetValueVersionWithExpiry : offsetValueVersion
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

const { LegacyOffsetCommit, OffsetCommit, GroupMetadata: GroupMetadataKind } = offsetsTopicRecords
const kinds = { LegacyOffsetCommit, OffsetCommit, GroupMetadata: GroupMetadataKind }

/** Null for a record of another kind of group. Throws MalformedError. */
export function decodeGroupRecord(key: Buffer, value: Buffer | null): GroupRecord | null {
  const record = decodeCoordinatorRecord(kinds, key, value)
  if (record === null) return null
  if (record.type === 'GroupMetadata') {
    const metadata = record.value === null ? null : metadataFrom(record.value)
    return { kind: 'group', groupId: record.key.group, value: metadata }
  }
  const { group: groupId, topic, partition } = record.key
  const offset = record.value === null ? null : offsetFrom(record.value)
  return { kind: 'offset', groupId, topic, partition, value: offset }
}

function metadataFrom(value: GroupMetadataValue): GroupMetadata {
  return {
    protocolType: value.protocolType === '' ? null : value.protocolType,
    generationId: value.generation,
    protocolName: value.protocol,
    leaderId: value.leader,
    stateSinceMs: value.currentStateTimestamp,
    members: value.members.map(({ rebalanceTimeout, sessionTimeout, ...member }) => ({
      ...member,
      // Copies: the originals are slices of the log's bytes, which they would keep in memory.
      subscription: Buffer.from(member.subscription),
      assignment: Buffer.from(member.assignment),
      rebalanceTimeoutMs: rebalanceTimeout === -1 ? sessionTimeout : rebalanceTimeout,
      sessionTimeoutMs: sessionTimeout,
    })),
  }
}

function offsetFrom(value: OffsetCommitValue | LegacyOffsetCommitValue): CommittedOffset {
  return {
    offset: value.offset,
    metadata: value.metadata,
    commitTimestampMs: value.commitTimestamp,
    leaderEpoch: 'leaderEpoch' in value ? value.leaderEpoch : -1,
    expireTimestampMs: 'expireTimestamp' in value ? value.expireTimestamp : -1,
    topicId: 'topicId' in value ? value.topicId : zeroUuid,
  }
}
