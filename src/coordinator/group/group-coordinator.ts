/**
 * The group coordinator: one method per API, each of which finds the shard of the group, lets it
 * decide and turns failures into the API's own answers. What lives in this folder: groups and their
 * offsets, from request to record: `group-shard.ts` has the state, `group.ts` what all groups have in
 * common; `classic/` holds the classic protocol, `modern/` what the others share, `consumer/` that of
 * KIP-848, `share/` that of KIP-932, `streams/` that of KIP-1071. How a type is added: `group-types.ts`.
 * What must not live here: the wire, metadata, and anything that other coordinators need too.
 *
 * Methods answer at once where they can, else with a promise that never rejects but for a bug.
 */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type { DeleteGroupsResponse } from '../../../protocol/messages/delete-groups.ts'
import type { DescribeGroupsResponse } from '../../../protocol/messages/describe-groups.ts'
import type { HeartbeatRequest, HeartbeatResponse } from '../../../protocol/messages/heartbeat.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../../protocol/messages/join-group.ts'
import type {
  LeaveGroupRequest,
  LeaveGroupResponse,
} from '../../../protocol/messages/leave-group.ts'
import type {
  ListGroupsRequest,
  ListGroupsResponse,
} from '../../../protocol/messages/list-groups.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../../protocol/messages/offset-commit.ts'
import type {
  OffsetDeleteRequest,
  OffsetDeleteResponse,
} from '../../../protocol/messages/offset-delete.ts'
import type { SyncGroupRequest, SyncGroupResponse } from '../../../protocol/messages/sync-group.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../../protocol/messages/txn-offset-commit.ts'
import { compressions } from '../../../protocol/records/compression/compression.ts'
import type { Environment } from '../../environment/environment.ts'
import {
  allInTurns,
  distinctInSteps,
  inTurns,
  mapInSteps,
  type Steps,
} from '../../environment/in-turns.ts'
import { answered, type Pending } from '../answered.ts'
import { coordinatorPartition } from '../coordinator-partition.ts'
import { CoordinatorRuntime, type ShardCounts } from '../runtime.ts'
import type { CoordinatorLog, Decision, EndOfTransaction, Verification } from '../shard.ts'
import type { TopicChanges } from '../topic-changes.ts'
import { syncFailed } from './classic/assignment.ts'
import { heartbeat } from './classic/heartbeat.ts'
import { joinFailed } from './classic/join-answer.ts'
import { type Left, leaveGroup } from './classic/leave.ts'
import type { Answer } from './classic/member.ts'
import { syncGroup } from './classic/sync.ts'
import type { GroupCoordinatorConfig, GroupSetting } from './config.ts'
import {
  beatOfClassicMember,
  leaveConsumerGroup,
  syncClassicMember,
} from './consumer/classic-members.ts'
import { ConsumerGroups } from './consumer/consumer-groups.ts'
import {
  type DescribedGroup,
  describedError,
  describeGroup,
  groupFilter,
  type ListedGroup,
  listedGroup,
} from './describe.ts'
import type { Caller, GroupType, GroupWrite } from './group.ts'
import { GroupShard } from './group-shard.ts'
import { MetadataHashes } from './modern/metadata-hash.ts'
import { type FetchedGroup, fetchOffsets, type OffsetFetchGroup } from './offset-fetch.ts'
import { offsetRecordAt } from './offset-record.ts'
import { decodeGroupRecord, encodeGroupRecord, type GroupRecord } from './records.ts'
import { type GroupState, ShareGroups } from './share/share-groups.ts'
import { SharedLimits } from './shared-limits.ts'
import { StreamsGroups } from './streams/streams-groups.ts'
import type { TopicView } from './topics.ts'

export interface GroupCoordinatorOptions {
  readonly environment: Environment
  /** Read at each use: changes take effect at once. */
  readonly config: () => GroupCoordinatorConfig
  /** Read at each use, as `config`. */
  readonly setting: GroupSetting
  readonly topics: TopicView
  /** Where delivery state of share groups is set up. */
  readonly shareState: GroupState
  /** Partitions of __consumer_offsets; while it does not exist, those that it is to have. */
  readonly partitionCount: () => number
}

/** Groups that are deleted by one decision. */
const deletedAtOnceMax = 50

const firstJoinVersionWithNullProtocol = 7
const firstLeaveVersionWithMembers = 3

export class GroupCoordinator {
  readonly topic = '__consumer_offsets'
  /** What consumer groups of KIP-848 alone are asked. */
  readonly consumer: ConsumerGroups
  /** What share groups alone are asked. */
  readonly share: ShareGroups
  /** What streams groups alone are asked. */
  readonly streams: StreamsGroups
  readonly #config: () => GroupCoordinatorConfig
  readonly #partitionCount: () => number
  readonly #environment: Environment
  readonly #topics: TopicView
  readonly #hashes: MetadataHashes
  readonly #newTopics: { version: number }
  readonly #runtime: CoordinatorRuntime<GroupShard, GroupRecord>

  constructor(options: GroupCoordinatorOptions) {
    const { environment, config, setting, topics, partitionCount } = options
    this.#config = config
    this.#partitionCount = partitionCount
    this.#environment = environment
    this.#hashes = new MetadataHashes(topics)
    this.#newTopics = { version: topics.version }
    this.#topics = topics
    const hashes = this.#hashes
    const newTopics = this.#newTopics
    const shared = new SharedLimits()
    const surroundings = { config, setting, topics, newTopics, hashes, shared }
    this.#runtime = new CoordinatorRuntime(environment, {
      name: 'group',
      topic: this.topic,
      create: (context) => new GroupShard(context, surroundings),
      encode: encodeGroupRecord,
      decode: decodeGroupRecord,
      decodeInPlace: offsetRecordAt,
      commitTimeoutMs: () => config().offsetsCommitTimeoutMs,
      compression: () => compressions[config().offsetsTopicCompressionCodec] ?? 'none',
    })
    const write: GroupWrite = (groupId, decide) =>
      this.#runtime.write(this.partitionFor(groupId), (shard, nowMs) =>
        shard.guarded(groupId, () => decide(shard.context, nowMs)),
      )
    this.consumer = new ConsumerGroups(environment, config, write)
    this.share = new ShareGroups({ environment, state: options.shareState, write })
    this.streams = new StreamsGroups(environment, write)
  }

  /** The partition of __consumer_offsets that holds the group. */
  partitionFor(groupId: string): number {
    return coordinatorPartition(groupId, this.#partitionCount())
  }

  /** This broker leads the partition of __consumer_offsets; resolves when its groups are loaded. */
  onElection(partition: number, leaderEpoch: number, log: CoordinatorLog): Promise<void> {
    return this.#runtime.load(partition, leaderEpoch, log)
  }

  /** This broker does not lead the partition any more, as of `leaderEpoch`. */
  onResignation(partition: number, leaderEpoch?: number): void {
    this.#runtime.unload(partition, leaderEpoch)
  }

  /** Everybody who waits is answered NOT_COORDINATOR. */
  close(): void {
    this.#runtime.close()
  }

  joinGroup(request: JoinGroupRequest, caller: Caller): Pending<JoinGroupResponse> {
    const { groupId, memberId, sessionTimeoutMs } = request
    const fail = (error: ErrorRow) => joinAnswerFor(caller, joinFailed(memberId, error))
    if (groupId === '') return fail(errors.INVALID_GROUP_ID)
    const { groupMinSessionTimeoutMs, groupMaxSessionTimeoutMs } = this.#config()
    if (
      sessionTimeoutMs < groupMinSessionTimeoutMs ||
      sessionTimeoutMs > groupMaxSessionTimeoutMs
    ) {
      return fail(errors.INVALID_SESSION_TIMEOUT)
    }
    return this.#answered<JoinGroupResponse>(groupId, fail, (shard, answerAs, nowMs) => {
      const answer = (response: JoinGroupResponse) => answerAs(joinAnswerFor(caller, response))
      return shard.join({ request, caller, answer }, nowMs)
    })
  }

  syncGroup(request: SyncGroupRequest): Pending<SyncGroupResponse> {
    const { groupId } = request
    if (groupId === '') return syncFailed(errors.INVALID_GROUP_ID)
    return this.#answered<SyncGroupResponse>(groupId, syncFailed, (shard, answer) => {
      const group = shard.group(groupId)
      if (group?.type === 'classic') return syncGroup(group, request, answer)
      if (group?.type === 'consumer') return syncClassicMember(group, request, answer)
      answer(syncFailed(errors.UNKNOWN_MEMBER_ID))
      return { records: [], reply: undefined }
    })
  }

  heartbeat(request: HeartbeatRequest): Pending<HeartbeatResponse> {
    const { groupId } = request
    if (groupId === '') return { errorCode: errors.INVALID_GROUP_ID.code }
    return this.#write(
      groupId,
      // While the group is loading nobody can tell: do not make its members rebalance for that.
      (error) => ({ errorCode: error === errors.COORDINATOR_LOAD_IN_PROGRESS ? 0 : error.code }),
      (shard) => {
        const group = shard.group(groupId)
        if (group?.type === 'consumer') return beatOfClassicMember(group, request)
        const error = heartbeat(shard.classicGroup(groupId), request)
        return { records: [], reply: { errorCode: error.code } }
      },
    )
  }

  leaveGroup(request: LeaveGroupRequest, apiVersion: number): Pending<LeaveGroupResponse> {
    const { groupId } = request
    if (groupId === '') return { errorCode: errors.INVALID_GROUP_ID.code }
    const isBatch = apiVersion >= firstLeaveVersionWithMembers
    const leaving = isBatch
      ? request.members
      : [{ memberId: request.memberId, groupInstanceId: null, reason: null }]
    const tell = (members: Left[]): LeaveGroupResponse =>
      isBatch ? { errorCode: 0, members } : { errorCode: members[0]?.errorCode ?? 0 }
    return this.#write<LeaveGroupResponse>(
      groupId,
      (error) => ({ errorCode: error.code }),
      (shard) => {
        const group = shard.group(groupId)
        const leave = () =>
          group?.type === 'consumer'
            ? leaveConsumerGroup(group, leaving)
            : leaveGroup(shard.classicGroup(groupId), leaving)
        const decision = shard.guarded(groupId, leave)
        return { ...decision, reply: tell(decision.reply) }
      },
    )
  }

  /** Topics carry their names, also where the request gave ids, and exist with these partitions. */
  commitOffsets(request: OffsetCommitRequest, apiVersion: number): Pending<OffsetCommitResponse> {
    return this.#write(
      request.groupId,
      (error) => ({
        topics: request.topics.map(({ name, topicId, partitions }) => ({
          name,
          topicId,
          partitions: partitions.map(({ partitionIndex }) => ({
            partitionIndex,
            errorCode: error.code,
          })),
        })),
      }),
      (shard, nowMs) => shard.commit(request, apiVersion, nowMs),
    )
  }

  /**
   * As `commitOffsets`, as a part of the transaction that `verification` stands for: the offsets count
   * once `endTransaction` commits it.
   */
  commitInTransaction(
    request: TxnOffsetCommitRequest,
    verification: Verification,
  ): Pending<TxnOffsetCommitResponse> {
    const { groupId, producerId, producerEpoch } = request
    const fail = (error: ErrorRow) => txnCommitFailed(request, error)
    if (groupId === '') return fail(errors.INVALID_GROUP_ID)
    const producer = { producerId, producerEpoch, verification }
    return answered<TxnOffsetCommitResponse>(
      ({ error }) => fail(error),
      () =>
        this.#runtime.writeInTransaction(this.partitionFor(groupId), producer, (shard, nowMs) =>
          shard.commitInTransaction(request, nowMs),
        ),
    )
  }

  /**
   * Commits or drops, with a marker, what a transaction has in a partition of __consumer_offsets.
   * NOT_LEADER_OR_FOLLOWER, on which the transaction's coordinator tries again, where the groups are
   * not here or not loaded.
   */
  endTransaction(partition: number, end: EndOfTransaction): Pending<ErrorRow> {
    const fail = ({ error }: KafkaError) =>
      isElsewhere.includes(error) ? errors.NOT_LEADER_OR_FOLLOWER : error
    return answered<ErrorRow>(fail, () => {
      const ended = this.#runtime.endTransaction(partition, end)
      return ended instanceof Promise ? ended.then(() => errors.NONE) : errors.NONE
    })
  }

  /** Topics carry their names. The answer holds only what is committed. */
  fetchOffsets(request: OffsetFetchGroup): Pending<FetchedGroup> {
    const { groupId } = request
    const fail = (error: ErrorRow): FetchedGroup => {
      // Older consumers do not know that they may try again after COORDINATOR_NOT_AVAILABLE.
      const told = error === errors.COORDINATOR_NOT_AVAILABLE ? errors.NOT_COORDINATOR : error
      return { groupId, topics: [], errorCode: told.code }
    }
    return this.#write(groupId, fail, (shard) => {
      shard.group(groupId)?.checkFetch(request.memberId, request.memberEpoch)
      return { records: [], reply: fetchOffsets(shard.offsets, request) }
    })
  }

  /** Topics exist with these partitions. */
  deleteOffsets(request: OffsetDeleteRequest): Pending<OffsetDeleteResponse> {
    const fail = (error: ErrorRow): OffsetDeleteResponse => ({ errorCode: error.code, topics: [] })
    if (request.groupId === '') return fail(errors.INVALID_GROUP_ID)
    return this.#write(request.groupId, fail, (shard) => shard.deleteOffsets(request))
  }

  async describeGroups(
    groupIds: readonly string[],
    apiVersion: number,
  ): Promise<DescribeGroupsResponse> {
    const describe = (groupId: string) =>
      this.#write<DescribedGroup>(
        groupId,
        (error) => describedError(groupId, error.code),
        (shard) => {
          const reply = describeGroup(groupId, shard.group(groupId), apiVersion)
          return { records: [], reply }
        },
      )
    // Each once, however often it is named: its answer may be long.
    const distinct = await inTurns(this.#environment, distinctInSteps(groupIds))
    return { groups: await allInTurns(this.#environment, distinct, describe) }
  }

  /** Calls `count` for each group of the shards that are loaded here. */
  census(count: (type: GroupType, state: string) => void): void {
    this.#runtime.forEachActive((shard) => shard.census(count))
  }

  /** How many shards are here, by their state. */
  get shardStates(): ShardCounts {
    return this.#runtime.shardStates
  }

  /** The groups of all shards here; an error if one of them is still loading. */
  async listGroups(request: ListGroupsRequest): Promise<ListGroupsResponse> {
    const groups: ListedGroup[] = []
    const isWanted = groupFilter(request)
    try {
      for await (const found of this.#runtime.readEach((shard) => shard.groups())) {
        const listed = await inTurns(this.#environment, mapInSteps(found, listedGroup))
        for (const group of listed) if (isWanted(group)) groups.push(group)
      }
      return { errorCode: 0, groups }
    } catch (failure) {
      if (!(failure instanceof KafkaError)) throw failure
      return { errorCode: failure.error.code, groups: [] }
    }
  }

  async deleteGroups(groupIds: readonly string[]): Promise<DeleteGroupsResponse> {
    type Result = DeleteGroupsResponse['results'][number]
    const distinct = await inTurns(this.#environment, distinctInSteps(groupIds))
    const undeletable = await this.share.deleteStates([...distinct])
    for (const groupId of undeletable.keys()) distinct.delete(groupId)
    const byPartition = await inTurns(this.#environment, this.#byPartition(distinct))
    const deletions = await allInTurns(this.#environment, byPartition, (ids) =>
      this.#write<Result[]>(
        ids[0] as string,
        (error) =>
          ids.map((groupId) => ({ groupId, errorCode: error.code, errorMessage: error.message })),
        (shard) => shard.deleteGroups(ids),
      ),
    )
    const refused = [...undeletable].map(([groupId, error]) => {
      return { groupId, errorCode: error.code, errorMessage: error.message }
    })
    return { results: [...refused, ...deletions.flat()] }
  }

  /** Some groups of the same partition each. */
  *#byPartition(groupIds: Iterable<string>): Steps<string[][]> {
    const open = new Map<number, string[]>()
    const all: string[][] = []
    for (const groupId of groupIds) {
      yield
      const partition = this.partitionFor(groupId)
      const ids = open.get(partition)
      if (ids !== undefined && ids.length < deletedAtOnceMax) {
        ids.push(groupId)
        continue
      }
      const begun = [groupId]
      open.set(partition, begun)
      all.push(begun)
    }
    return all
  }

  /**
   * Lets groups look at their topics again, and forgets every offset of topics that were deleted;
   * resolves when that is recorded, or failed. Never rejects: what goes wrong is logged.
   */
  async onTopicsChanged(changes: TopicChanges): Promise<void> {
    this.#hashes.onTopicsChanged(changes)
    if (changes.created.size > 0) this.#newTopics.version = this.#topics.version
    this.#runtime.forEachActive((shard) => shard.onTopicsChanged(changes))
    const gone = changes.deleted
    if (gone.size === 0) return
    await this.#runtime.writeEach(
      (shard) => shard.deleteTopics(gone),
      'offsets of deleted topics were not removed',
    )
  }

  /**
   * At the start: forgets, once they are loaded, the offsets of topics that are not there. They were deleted, and
   * a loss of power took the record of that alone; a topic of the same name would be read from where the one
   * before was left. Never rejects.
   */
  async forgetGoneTopics(): Promise<void> {
    const names = new Set(this.#topics.names())
    await this.#runtime.writeEach(
      (shard) => shard.keepTopics(names),
      'offsets of topics that are gone were not removed',
    )
  }

  /** Runs `decide` on the group's shard; `fail` is the answer to whatever goes wrong. */
  #write<T>(
    groupId: string,
    fail: (error: ErrorRow) => T,
    decide: (shard: GroupShard, nowMs: number) => Decision<GroupRecord, T>,
  ): Pending<T> {
    const write = () => this.#runtime.write(this.partitionFor(groupId), decide)
    return answered<T>(({ error }) => fail(error), write)
  }

  /** As `#write`, for what is answered by a callback, once, whenever the group gets there. */
  #answered<T>(
    groupId: string,
    fail: (error: ErrorRow) => T,
    decide: (shard: GroupShard, answer: Answer<T>, nowMs: number) => Decision<GroupRecord, void>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      try {
        const written = this.#write<null | ErrorRow>(
          groupId,
          (error) => error,
          (shard, nowMs) => {
            const decision = shard.guarded(groupId, () => decide(shard, resolve, nowMs))
            return { ...decision, reply: null }
          },
        )
        const settle = (error: null | ErrorRow) => {
          if (error !== null) resolve(fail(error))
        }
        if (written instanceof Promise) written.then(settle, reject)
        else settle(written)
      } catch (error) {
        reject(error)
      }
    })
  }
}

const isElsewhere: readonly ErrorRow[] = [
  errors.COORDINATOR_NOT_AVAILABLE,
  errors.COORDINATOR_LOAD_IN_PROGRESS,
  errors.NOT_COORDINATOR,
]

/** The same error for each of the partitions. */
export function txnCommitFailed(
  { topics }: TxnOffsetCommitRequest,
  { code: errorCode }: ErrorRow,
): TxnOffsetCommitResponse {
  return {
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }
}

/** Older versions cannot say that there is no protocol. */
function joinAnswerFor(caller: Caller, response: JoinGroupResponse): JoinGroupResponse {
  const isTold = response.protocolName !== null
  if (isTold || caller.apiVersion >= firstJoinVersionWithNullProtocol) return response
  return { ...response, protocolName: '' }
}
