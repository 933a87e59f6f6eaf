/**
 * The groups of one partition of `__consumer_offsets`.
 *
 * What is recorded (`#recorded`, `offsets`) changes in `apply` alone. Beside it are the groups that
 * are alive: made of their record when they are first needed, changed by requests and timers, and
 * forgotten with the shard or with the record. A group exists if it is recorded.
 *
 * A group in which something goes wrong that should not (an exception in a decision or in what
 * follows a commit) is not trusted any further: whoever waits in it is answered
 * UNKNOWN_SERVER_ERROR, and it starts over from its record, as after a restart.
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
import type { Milliseconds } from '../../environment/environment.ts'
import type { Deadline } from '../deadlines.ts'
import type { Decision, Shard, ShardContext } from '../shard.ts'
import { TimelineMap } from '../timeline.ts'
import { syncFailed } from './classic/assignment.ts'
import { ClassicGroup, type GroupContext, nothing } from './classic/classic-group.ts'
import { joinGroup } from './classic/join.ts'
import { type Join, joinFailed } from './classic/join-answer.ts'
import { expireMember, prepareRebalance } from './classic/rebalance.ts'
import type { GroupCoordinatorConfig } from './config.ts'
import { expireGroup } from './expiry.ts'
import { commitOffsets } from './offset-commit.ts'
import { deleteOffsets, offsetTombstones } from './offset-delete.ts'
import { Offsets } from './offsets.ts'
import { emptyGroupRecord, type GroupMetadata, type GroupRecord, simpleGroup } from './records.ts'
import type { SharedLimits } from './shared-limits.ts'
import { commitInTransaction } from './txn-offset-commit.ts'

const minuteMs = 60_000

export class GroupShard implements Shard<GroupRecord> {
  readonly offsets: Offsets
  readonly #context: ShardContext<GroupRecord>
  readonly #groupContext: GroupContext
  readonly #config: () => GroupCoordinatorConfig
  readonly #recorded: TimelineMap<string, GroupMetadata>
  readonly #alive = new Map<string, ClassicGroup>()
  readonly #expiry: Deadline

  constructor(
    context: ShardContext<GroupRecord>,
    config: () => GroupCoordinatorConfig,
    shared: SharedLimits,
  ) {
    this.#context = context
    this.#config = config
    this.#groupContext = groupContext(context, config, shared, (group, decide) => {
      const isAlive = this.#alive.get(group.groupId) === group
      return isAlive ? this.guarded(group.groupId, decide) : nothing
    })
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

  /**
   * Members are given a whole session to show up; a group that has become too large sorts itself
   * out.
   */
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
    if (this.#recorded.get(groupId)?.members.length === 0) return
    const group = this.group(groupId)
    if (group === null) return
    for (const member of group.members.values()) member.touch()
    if (group.members.size > this.#config().groupMaxSize) {
      this.#context.write(() => prepareRebalance(group, 'the group is over its maximum size'))
    }
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

  commitInTransaction(
    request: TxnOffsetCommitRequest,
    nowMs: Milliseconds,
  ): Decision<GroupRecord, TxnOffsetCommitResponse> {
    return commitInTransaction(this.group(request.groupId), request, this.#config(), nowMs)
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
    group.end()
    for (const member of group.members.values()) {
      group.answerJoin(member, joinFailed(member.memberId, error))
      member.answerSync(syncFailed(error))
    }
  }
}

function groupContext(
  context: ShardContext<GroupRecord>,
  config: () => GroupCoordinatorConfig,
  shared: SharedLimits,
  guard: (
    group: ClassicGroup,
    decide: () => Decision<GroupRecord, void>,
  ) => Decision<GroupRecord, void>,
): GroupContext {
  const { clock, random } = context.environment
  return {
    log: context.log,
    shared,
    config,
    now: () => clock.now(),
    uuid: () => randomUuid(random.bytes(16)),
    deadline: (group, decide) => context.deadline(() => guard(group, decide)),
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
