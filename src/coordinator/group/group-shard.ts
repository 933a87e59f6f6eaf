/**
 * The groups of one partition of `__consumer_offsets`.
 *
 * What is recorded (`#recorded`, `offsets`) changes in `apply` alone. Beside it are the groups that
 * are alive: made of their record when they are first needed, changed by requests and timers, and
 * forgotten with the shard or with the record. A group exists if it is recorded.
 */
import { type ErrorRow, errors } from '../../../protocol/errors.ts'
import type { DeleteGroupsResponse } from '../../../protocol/messages/delete-groups.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../../protocol/messages/offset-commit.ts'
import type {
  OffsetDeleteRequest,
  OffsetDeleteResponse,
} from '../../../protocol/messages/offset-delete.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Deadline } from '../deadlines.ts'
import type { Decision, Shard, ShardContext } from '../shard.ts'
import { TimelineMap } from '../timeline.ts'
import { syncFailed } from './assignment.ts'
import type { GroupCoordinatorConfig } from './config.ts'
import { expireGroup } from './expiry.ts'
import { ClassicGroup, type GroupContext, nothing } from './group.ts'
import { joinGroup } from './join.ts'
import { type Join, joinFailed } from './join-answer.ts'
import { commitOffsets } from './offset-commit.ts'
import { deleteOffsets, offsetTombstones } from './offset-delete.ts'
import { Offsets } from './offsets.ts'
import { expireMember, prepareRebalance } from './rebalance.ts'
import { emptyGroupRecord, type GroupMetadata, type GroupRecord, simpleGroup } from './records.ts'

const minuteMs = 60_000

export class GroupShard implements Shard<GroupRecord> {
  readonly offsets: Offsets
  readonly #context: ShardContext<GroupRecord>
  readonly #groupContext: GroupContext
  readonly #config: () => GroupCoordinatorConfig
  readonly #recorded: TimelineMap<string, GroupMetadata>
  readonly #alive = new Map<string, ClassicGroup>()
  readonly #expiry: Deadline

  constructor(context: ShardContext<GroupRecord>, config: () => GroupCoordinatorConfig) {
    this.#context = context
    this.#config = config
    this.#groupContext = groupContext(context, config)
    this.#recorded = new TimelineMap(context.timeline)
    this.offsets = new Offsets(context.timeline)
    this.#expiry = context.deadline((nowMs) => this.#expire(nowMs))
  }

  apply(record: GroupRecord): void {
    const { groupId } = record
    if (record.kind === 'offset') {
      const { topic, partition, value } = record
      if (value === null) {
        this.offsets.delete(groupId, topic, partition)
        return
      }
      if (!this.#recorded.has(groupId)) this.#recorded.set(groupId, simpleGroup)
      this.offsets.set(groupId, topic, partition, value)
    } else if (record.value === null) {
      this.#recorded.delete(groupId)
      this.#forget(groupId, errors.UNKNOWN_MEMBER_ID)
    } else {
      this.#recorded.set(groupId, record.value)
    }
  }

  /**
   * Members are given a whole session to show up; a group that has become too large sorts itself
   * out.
   */
  onLoaded(): void {
    for (const [groupId, metadata] of this.#recorded) {
      if (metadata.members.length === 0) continue
      const group = this.group(groupId) as ClassicGroup
      for (const member of group.members.values()) member.touch()
      if (group.members.size > this.#config().groupMaxSize) {
        this.#context.write(() => prepareRebalance(group, 'the group is over its maximum size'))
      }
    }
    this.#expiry.set(this.#config().offsetsRetentionCheckIntervalMs)
  }

  onUnloaded(error: ErrorRow): void {
    for (const groupId of [...this.#alive.keys()]) this.#forget(groupId, error)
  }

  /** Null if there is no such group. */
  group(groupId: string): ClassicGroup | null {
    const metadata = this.#recorded.get(groupId)
    if (metadata === undefined) {
      // Its record was taken back.
      this.#forget(groupId, errors.UNKNOWN_MEMBER_ID)
      return null
    }
    const alive = this.#alive.get(groupId)
    if (alive !== undefined) return alive
    const context = this.#groupContext
    const group = ClassicGroup.fromMetadata(groupId, metadata, context, expireMember)
    this.#alive.set(groupId, group)
    return group
  }

  groups(): ClassicGroup[] {
    return [...this.#recorded.keys()].map((groupId) => this.group(groupId) as ClassicGroup)
  }

  /** A member without an id makes the group if there is none. */
  join(join: Join): Decision<GroupRecord, void> {
    const { groupId, memberId } = join.request
    const existing = this.group(groupId)
    if (existing !== null) return joinGroup(existing, join)
    if (memberId !== '') {
      join.answer(joinFailed(memberId, errors.UNKNOWN_MEMBER_ID))
      return nothing
    }
    const group = new ClassicGroup(groupId, this.#groupContext)
    const decision = joinGroup(group, join)
    if (group.members.size === 0 && group.pendingJoins.size === 0) return decision
    this.#alive.set(groupId, group)
    return {
      records: [emptyGroupRecord(group), ...decision.records],
      reply: undefined,
      onFailed: (error) => this.#forget(groupId, error),
    }
  }

  commit(
    request: OffsetCommitRequest,
    apiVersion: number,
    nowMs: Milliseconds,
  ): Decision<GroupRecord, OffsetCommitResponse> {
    const group = this.group(request.groupId)
    return commitOffsets(group, request, this.#config(), apiVersion, nowMs)
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
        records.push({ kind: 'group', groupId, value: null })
      }
      const errorMessage = error === errors.NONE ? null : error.message
      return { groupId, errorCode: error.code, errorMessage }
    })
    return { records, reply }
  }

  /** The topics are gone: so are all offsets of theirs. */
  deleteTopics(names: ReadonlySet<string>): Decision<GroupRecord, void> {
    const isGone = (topic: string) => names.has(topic)
    const records: GroupRecord[] = []
    for (const groupId of this.offsets.groupIds()) {
      records.push(...offsetTombstones(this.offsets, groupId, isGone))
    }
    return { records, reply: undefined, isAtomic: false }
  }

  #deletionError(groupId: string): ErrorRow {
    const group = this.group(groupId)
    if (group === null) return errors.GROUP_ID_NOT_FOUND
    return group.state === 'Empty' ? errors.NONE : errors.NON_EMPTY_GROUP
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

  /** Whoever waits in the group is answered with `error`; its timers run no more. */
  #forget(groupId: string, error: ErrorRow): void {
    const group = this.#alive.get(groupId)
    if (group === undefined) return
    this.#alive.delete(groupId)
    group.clearDeadlines()
    for (const member of group.members.values()) {
      group.answerJoin(member, joinFailed(member.memberId, error))
      member.answerSync(syncFailed(error))
    }
  }
}

function groupContext(
  context: ShardContext<GroupRecord>,
  config: () => GroupCoordinatorConfig,
): GroupContext {
  const { clock, random } = context.environment
  return {
    log: context.log,
    config,
    now: () => clock.now(),
    uuid: () => randomUuid(random.bytes(16)),
    deadline: (decide) => context.deadline(decide),
  }
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
