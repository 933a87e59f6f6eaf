/**
 * The groups of one partition of `__consumer_offsets`, of all types, by one id each.
 *
 * What is recorded (`#recorded`, `offsets`) changes in `apply` alone. Groups with a protocol of their
 * own (`modern/`) are there as they are. Of classic groups there is the last record; beside it are
 * those that are alive: made of their record when they are first needed, changed by requests and
 * timers, and forgotten with the shard or with the record. A group exists if it is recorded.
 *
 * A classic group in which something goes wrong that should not (an exception in a decision or in what
 * follows a commit) is not trusted any further: whoever waits in it is answered
 * UNKNOWN_SERVER_ERROR, and it starts over from its record, as after a restart. The others have nothing
 * that a decision could have changed.
 */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type { DeleteGroupsResponse } from '../../../protocol/messages/delete-groups.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../../protocol/messages/offset-commit.ts'
import type {
  OffsetDeleteRequest,
  OffsetDeleteResponse,
} from '../../../protocol/messages/offset-delete.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../../protocol/messages/txn-offset-commit.ts'
import type { Uuid } from '../../../protocol/types.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Deadline } from '../deadlines.ts'
import type { Decision, Shard, ShardContext } from '../shard.ts'
import { TimelineMap } from '../timeline.ts'
import type { TopicChanges } from '../topic-changes.ts'
import { ClassicGroup } from './classic/classic-group.ts'
import {
  emptyGroupRecord,
  type GroupMetadata,
  type GroupMetadataRecord,
  simpleGroup,
} from './classic/generation-record.ts'
import { joinGroup } from './classic/join.ts'
import { type Join, joinFailed } from './classic/join-answer.ts'
import { expireMember } from './classic/rebalance.ts'
import type { GroupCoordinatorConfig, GroupSetting } from './config.ts'
import { joinConsumerGroup } from './consumer/classic-members.ts'
import { expireGroup } from './expiry.ts'
import { type Group, type GroupContext, type GroupType, type NewTopics, nothing } from './group.ts'
import { type AnyGroup, type AnyModernGroup, modernTypeOf } from './group-types.ts'
import type { MetadataHashes } from './modern/metadata-hash.ts'
import { ModernGroup } from './modern/modern-group.ts'
import { commitOffsets } from './offset-commit.ts'
import { deleteOffsets, offsetTombstones } from './offset-delete.ts'
import type { OffsetRecord } from './offset-record.ts'
import { Offsets } from './offsets.ts'
import type { GroupRecord, ModernRecord } from './records.ts'
import { topicsForgotten } from './share/share-groups.ts'
import type { SharedLimits } from './shared-limits.ts'
import type { TopicView } from './topics.ts'
import { commitInTransaction } from './txn-offset-commit.ts'

const minuteMs = 60_000

export class GroupShard implements Shard<GroupRecord> {
  readonly offsets: Offsets
  readonly #context: ShardContext<GroupRecord>
  readonly context: GroupContext
  readonly #config: () => GroupCoordinatorConfig
  /** A classic group as it was last recorded; any other as it is. */
  readonly #recorded: TimelineMap<string, GroupMetadata | AnyModernGroup>
  readonly #alive = new Map<string, ClassicGroup>()
  readonly #expiry: Deadline

  constructor(context: ShardContext<GroupRecord>, surroundings: Surroundings) {
    this.#context = context
    this.#config = surroundings.config
    this.context = this.#contextOf(context, surroundings)
    this.#recorded = new TimelineMap(context.timeline)
    this.offsets = new Offsets(context.timeline)
    this.#expiry = context.deadline((nowMs) => this.#expire(nowMs))
  }

  #contextOf(context: ShardContext<GroupRecord>, surroundings: Surroundings): GroupContext {
    const { clock, random } = context.environment
    const guard = (group: Group, decide: () => Decision<GroupRecord, void>) => {
      const { groupId } = group
      const isAlive = this.#alive.get(groupId) === group || this.#recorded.get(groupId) === group
      return isAlive ? this.guarded(groupId, decide) : nothing
    }
    return {
      ...surroundings,
      log: context.log,
      turns: context.environment,
      timeline: context.timeline,
      group: (groupId) => this.group(groupId),
      revive: (groupId) => this.#startSessions(groupId),
      now: () => clock.now(),
      uuid: () => randomUuid(random.bytes(16)),
      shortUuid: () => random.bytes(16).toString('base64url'),
      deadline: (group, decide) => context.deadline(() => guard(group, decide)),
      write: (decide) => context.write(decide),
    }
  }

  apply(record: GroupRecord): void {
    switch (record.kind) {
      case 'offset':
        this.#applyOffset(record)
        break
      case 'group':
        this.#applyGeneration(record)
        break
      default:
        this.#applyModern(record)
    }
  }

  /** Offsets only are committed in transactions; a tombstone of one counts at once. */
  applyInTransaction(record: GroupRecord, producerId: number): void {
    if (record.kind !== 'offset' || record.value === null) {
      this.apply(record)
      return
    }
    const { groupId, topic, partition, value } = record
    if (!this.#recorded.has(groupId)) this.#recorded.set(groupId, simpleGroup)
    this.offsets.setPending(producerId, groupId, topic, partition, value)
  }

  endTransaction(producerId: number, isCommit: boolean): void {
    this.offsets.endTransaction(producerId, isCommit)
  }

  #applyOffset({ groupId, topic, partition, value }: OffsetRecord): void {
    if (value === null) {
      this.offsets.delete(groupId, topic, partition)
      return
    }
    if (!this.#recorded.has(groupId)) this.#recorded.set(groupId, simpleGroup)
    this.offsets.set(groupId, topic, partition, value)
  }

  #applyGeneration({ groupId, value }: GroupMetadataRecord): void {
    const before = this.#recorded.get(groupId)
    if (value !== null) {
      this.#recorded.set(groupId, value)
      if (before instanceof ModernGroup) before.end(errors.UNKNOWN_MEMBER_ID)
    } else if (!(before instanceof ModernGroup)) {
      this.#recorded.delete(groupId)
      this.#forget(groupId, errors.UNKNOWN_MEMBER_ID)
    }
  }

  #applyModern(record: ModernRecord): void {
    const { groupId } = record.key
    const type = modernTypeOf(record.kind)
    const before = this.#recorded.get(groupId)
    if (before instanceof ModernGroup && before.type === type.type) {
      if (record.value !== null || record.kind !== type.groupRecord) {
        applyTo(before, record)
        return
      }
      this.#recorded.delete(groupId)
      before.end(errors.UNKNOWN_MEMBER_ID)
      return
    }
    // A tombstone of a group that is not there, or not of this type any more.
    if (record.value === null) return
    const group = type.create(groupId, this.context)
    this.#recorded.set(groupId, group)
    this.#forget(groupId, errors.UNKNOWN_MEMBER_ID)
    applyTo(group, record)
  }

  onLoaded(): void {
    this.#expiry.set(this.#config().offsetsRetentionCheckIntervalMs)
    for (const groupId of [...this.#recorded.keys()]) {
      try {
        this.#startSessions(groupId)
      } catch (err) {
        this.#context.log.error('a group could not be restored', { groupId, err })
      }
    }
  }

  #startSessions(groupId: string): void {
    const recorded = this.#recorded.get(groupId)
    if (recorded === undefined) return
    // A group without members is brought to life when somebody asks for it.
    if (!(recorded instanceof ModernGroup) && recorded.members.length === 0) return
    this.group(groupId)?.onLoaded()
  }

  onUnloaded(error: ErrorRow): void {
    for (const groupId of [...this.#alive.keys()]) this.#forget(groupId, error)
    for (const recorded of this.#recorded.values()) {
      if (recorded instanceof ModernGroup) recorded.end(error)
    }
  }

  /** The group of that id, whatever its type; null if there is none. */
  group(groupId: string): AnyGroup | null {
    const recorded = this.#recorded.get(groupId)
    if (recorded === undefined || recorded instanceof ModernGroup) {
      // The record of a classic group was taken back.
      this.#forget(groupId, errors.UNKNOWN_MEMBER_ID)
      return recorded ?? null
    }
    const alive = this.#alive.get(groupId)
    if (alive !== undefined) return alive
    const context = this.context
    const group = ClassicGroup.fromMetadata(groupId, recorded, context, expireMember)
    this.#alive.set(groupId, group)
    return group
  }

  /** Null if there is no such group, or it is of another type. */
  classicGroup(groupId: string): ClassicGroup | null {
    const group = this.group(groupId)
    return group?.type === 'classic' ? group : null
  }

  /**
   * What `decide` decides for the group. If it throws, or what follows the commit does, the group
   * starts over. Throws KafkaError only: UNKNOWN_SERVER_ERROR instead of anything else.
   */
  guarded<T>(groupId: string, decide: () => Decision<GroupRecord, T>): Decision<GroupRecord, T> {
    try {
      const decision = decide()
      const { onCommitted, onFailed } = decision
      if (onCommitted === undefined && onFailed === undefined) return decision
      return {
        ...decision,
        onCommitted: () => this.#contained(groupId, () => onCommitted?.()),
        onFailed: (error) => this.#contained(groupId, () => onFailed?.(error)),
      }
    } catch (err) {
      if (err instanceof KafkaError) throw err
      this.#startOver(groupId, err)
      throw new KafkaError(errors.UNKNOWN_SERVER_ERROR)
    }
  }

  #contained(groupId: string, act: () => void): void {
    try {
      act()
    } catch (err) {
      this.#startOver(groupId, err)
    }
  }

  #startOver(groupId: string, err: unknown): void {
    this.#context.log.error('a group failed and starts over from its record', { groupId, err })
    this.#forget(groupId, errors.UNKNOWN_SERVER_ERROR)
    try {
      this.#startSessions(groupId)
    } catch (again) {
      this.#context.log.error('a group could not be restored', { groupId, err: again })
    }
  }

  /** Calls `count` for each group; one without members is not brought to life for it. */
  census(count: (type: GroupType, state: string) => void): void {
    for (const [groupId, recorded] of this.#recorded) {
      const group = recorded instanceof ModernGroup ? recorded : this.#alive.get(groupId)
      if (group === undefined) count('classic', 'Empty')
      else count(group.type, group.state)
    }
  }

  groups(): AnyGroup[] {
    return [...this.#recorded.keys()].map((groupId) => this.group(groupId) as AnyGroup)
  }

  onTopicsChanged(changes: TopicChanges): void {
    for (const recorded of this.#recorded.values()) {
      if (recorded instanceof ModernGroup) recorded.onTopicsChanged(changes)
    }
  }

  /** A member without an id makes the group if there is none. */
  join(join: Join, nowMs: Milliseconds): Decision<GroupRecord, void> {
    const { groupId, memberId } = join.request
    const existing = this.group(groupId)
    if (existing?.type === 'classic') return joinGroup(existing, join)
    if (existing?.type === 'consumer' && !existing.isEmpty) {
      return joinConsumerGroup(existing, join, nowMs)
    }
    const isReplaceable = existing?.isEmpty === true && existing.type !== 'share'
    if (existing !== null && !isReplaceable) {
      join.answer(joinFailed('', errors.INCONSISTENT_GROUP_PROTOCOL))
      return nothing
    }
    if (memberId !== '') {
      join.answer(joinFailed(memberId, errors.UNKNOWN_MEMBER_ID))
      return nothing
    }
    const group = new ClassicGroup(groupId, this.context)
    const decision = joinGroup(group, join)
    if (group.members.size === 0 && group.pendingJoins.size === 0) return decision
    this.#alive.set(groupId, group)
    const replaced = existing?.tombstones() ?? []
    return {
      records: [...replaced, emptyGroupRecord(group), ...decision.records],
      reply: undefined,
      onFailed: (error) => this.#forget(groupId, error),
    }
  }

  commit(
    request: OffsetCommitRequest,
    apiVersion: number,
    nowMs: Milliseconds,
  ): Decision<GroupRecord, OffsetCommitResponse> {
    const { topics } = this.context
    const surroundings = { config: this.#config(), topics, apiVersion, nowMs }
    return commitOffsets(this.group(request.groupId), request, surroundings)
  }

  commitInTransaction(
    request: TxnOffsetCommitRequest,
    nowMs: Milliseconds,
  ): Decision<GroupRecord, TxnOffsetCommitResponse> {
    const { topics } = this.context
    const surroundings = { config: this.#config(), topics, nowMs }
    return commitInTransaction(this.group(request.groupId), request, surroundings)
  }

  deleteOffsets(request: OffsetDeleteRequest): Decision<GroupRecord, OffsetDeleteResponse> {
    return deleteOffsets(this.group(request.groupId), this.offsets, request)
  }

  deleteGroups(
    groupIds: readonly string[],
  ): Decision<GroupRecord, DeleteGroupsResponse['results'][number][]> {
    const records: GroupRecord[] = []
    const reply = groupIds.map((groupId) => {
      const error = this.#deletionError(groupId)
      if (error === errors.NONE) {
        records.push(...offsetTombstones(this.offsets, groupId))
        records.push(...(this.group(groupId)?.tombstones() ?? []))
      }
      const errorMessage = error === errors.NONE ? null : error.message
      return { groupId, errorCode: error.code, errorMessage }
    })
    return { records, reply }
  }

  /** The topics, names by id, are gone: so is all that groups keep of them. */
  deleteTopics(topics: ReadonlyMap<Uuid, string>): Decision<GroupRecord, void> {
    const names = new Set(topics.values())
    const modern = [...this.#recorded.values()].filter((each) => each instanceof ModernGroup)
    const records = topicsForgotten(modern, this.context, new Set(topics.keys()))
    records.push(...this.#tombstonesOf((topic) => names.has(topic)))
    return { records, reply: undefined, isAtomic: false }
  }

  /** Forgets the offsets of all other topics. */
  keepTopics(names: ReadonlySet<string>): Decision<GroupRecord, void> {
    const records = this.#tombstonesOf((topic) => !names.has(topic))
    const offsets = records.length
    if (offsets > 0)
      this.#context.log.info('offsets of topics that are gone are removed', { offsets })
    return { records, reply: undefined, isAtomic: false }
  }

  #tombstonesOf(isGone: (topic: string) => boolean): GroupRecord[] {
    const records: GroupRecord[] = []
    for (const groupId of this.offsets.groupIds()) {
      records.push(...offsetTombstones(this.offsets, groupId, isGone))
    }
    return records
  }

  #deletionError(groupId: string): ErrorRow {
    const group = this.group(groupId)
    if (group === null) return errors.GROUP_ID_NOT_FOUND
    return group.isEmpty ? errors.NONE : errors.NON_EMPTY_GROUP
  }

  #expire(nowMs: Milliseconds): Decision<GroupRecord, void> {
    const { offsetsRetentionCheckIntervalMs, offsetsRetentionMinutes } = this.#config()
    this.#expiry.set(offsetsRetentionCheckIntervalMs)
    const retentionMs = offsetsRetentionMinutes * minuteMs
    const records = this.groups().flatMap((group) =>
      expireGroup(group, this.offsets, retentionMs, nowMs),
    )
    if (records.length > 0)
      this.#context.log.info('group state expired', { records: records.length })
    return { records, reply: undefined, isAtomic: false }
  }

  /** A classic group lives no more; its record, if there is one, stays. */
  #forget(groupId: string, error: ErrorRow): void {
    const group = this.#alive.get(groupId)
    if (group === undefined) return
    this.#alive.delete(groupId)
    group.end(error)
  }
}

/** The record is of the group's own type. */
function applyTo(group: ModernGroup, record: ModernRecord): void {
  group.apply(record)
}

/** What all shards of a coordinator share. */
export interface Surroundings {
  readonly config: () => GroupCoordinatorConfig
  readonly setting: GroupSetting
  readonly topics: TopicView
  readonly newTopics: NewTopics
  readonly hashes: MetadataHashes
  readonly shared: SharedLimits
}

/** Version 4 of the given random bytes, in the usual form: 8-4-4-4-12 hexadecimal digits. */
function randomUuid(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  const cuts = [0, 8, 12, 16, 20, 32]
  return cuts
    .slice(1)
    .map((end, index) => hex.slice(cuts[index], end))
    .join('-')
}
