/**
 * The record of a classic group: its last generation. Written with value version 3, as Kafka 4.3
 * does; all older versions are read.
 */
import {
  encodeCoordinatorKey,
  encodeCoordinatorValue,
} from '../../../../protocol/state/coordinator-frame.ts'
import {
  type GroupMetadataValue,
  groupMetadataKey,
  groupMetadataValue,
} from '../../../../protocol/state/offset-records.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { ClassicGroup } from './classic-group.ts'
import { noBytes } from './member.ts'

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

const valueVersion = 3

export function encodeGeneration({ groupId, value }: GroupMetadataRecord): {
  key: Buffer
  value: Buffer | null
} {
  const key = encodeCoordinatorKey(groupMetadataKey, { group: groupId })
  return { key, value: value === null ? null : encodeMetadata(value) }
}

function encodeMetadata(metadata: GroupMetadata): Buffer {
  return encodeCoordinatorValue(groupMetadataValue, valueVersion, {
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

export function generationFrom(value: GroupMetadataValue): GroupMetadata {
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
