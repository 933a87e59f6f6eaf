/**
 * Groups in a story: members that join, sync, beat and leave, in virtual time, over a log in
 * memory. After a scenario `replay` starts a second coordinator from the log and compares what both
 * know.
 */
import type { Test } from 'tap'
import { codec } from '../../../protocol/codec.ts'
import { errors } from '../../../protocol/errors.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../../protocol/messages/join-group.ts'
import type { OffsetCommitRequest } from '../../../protocol/messages/offset-commit.ts'
import type { SyncGroupResponse } from '../../../protocol/messages/sync-group.ts'
import type { TxnOffsetCommitRequest } from '../../../protocol/messages/txn-offset-commit.ts'
import { consumerProtocolSubscription } from '../../../protocol/state/consumer-protocol.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import { Writer } from '../../../protocol/writer.ts'
import type { GroupCoordinatorConfig } from '../../../src/coordinator/group/config.ts'
import { GroupCoordinator } from '../../../src/coordinator/group/group-coordinator.ts'
import type { GroupState } from '../../../src/coordinator/group/share/share-groups.ts'
import type { ShareCoordinatorConfig } from '../../../src/coordinator/share/config.ts'
import { ShareCoordinator } from '../../../src/coordinator/share/share-coordinator.ts'
import type { Environment, Logger } from '../../../src/environment/environment.ts'
import { type SimulatedProcess, SimulatedWorld } from '../../simulator/simulated-world.ts'
import { MemoryLog, PrunableMemoryLog } from '../memory-log.ts'
import { StoryTopics } from './story-topics.ts'

export const defaults: GroupCoordinatorConfig = {
  groupInitialRebalanceDelayMs: 3000,
  groupMinSessionTimeoutMs: 6000,
  groupMaxSessionTimeoutMs: 1_800_000,
  groupMaxSize: 2_147_483_647,
  offsetMetadataMaxBytes: 4096,
  offsetsCommitTimeoutMs: 5000,
  offsetsRetentionMinutes: 10_080,
  offsetsRetentionCheckIntervalMs: 600_000,
  groupConsumerMaxSize: 2_147_483_647,
  groupConsumerAssignors: ['uniform', 'range'],
  groupConsumerMigrationPolicy: 'bidirectional',
  groupConsumerRegexRefreshIntervalMs: 600_000,
  groupShareMaxSize: 200,
  groupStreamsMaxSize: 2_147_483_647,
  offsetsTopicCompressionCodec: 0,
}

export const shareDefaults: ShareCoordinatorConfig = {
  snapshotUpdateRecordsPerSnapshot: 500,
  writeTimeoutMs: 5000,
  stateTopicCompressionCodec: 0,
  stateTopicPruneIntervalMs: 300_000,
  coldPartitionSnapshotIntervalMs: 300_000,
}

/** For stories in which no group is a share group. */
export const noGroupState: GroupState = {
  initialize: async () => ({ results: [] }),
  delete: async () => ({ results: [] }),
}

/** Of all groups. */
export const storySettings: Record<string, unknown> = {
  'consumer.assignment.interval.ms': 0,
  'consumer.heartbeat.interval.ms': 5000,
  'consumer.session.timeout.ms': 45_000,
  'share.assignment.interval.ms': 0,
  'share.heartbeat.interval.ms': 5000,
  'share.session.timeout.ms': 45_000,
  'streams.assignment.interval.ms': 0,
  'streams.heartbeat.interval.ms': 5000,
  'streams.initial.rebalance.delay.ms': 0,
  'streams.num.standby.replicas': 0,
  'streams.session.timeout.ms': 45_000,
}

/** An answer that may come later. */
export class Asked<T> {
  value: T | undefined = undefined

  constructor(pending: T | Promise<T>) {
    void Promise.resolve(pending).then((value) => {
      this.value = value
    })
  }

  get isAnswered(): boolean {
    return this.value !== undefined
  }
}

export class GroupStory {
  readonly world: SimulatedWorld
  readonly environment: Environment
  readonly log = new MemoryLog()
  readonly config: { -readonly [K in keyof GroupCoordinatorConfig]: GroupCoordinatorConfig[K] }
  readonly groups: GroupCoordinator
  readonly shareState: ShareCoordinator
  readonly topics = new StoryTopics()
  readonly settings = { ...storySettings }
  readonly #process: SimulatedProcess

  constructor(overrides: Partial<GroupCoordinatorConfig> = {}, log?: Logger) {
    this.world = new SimulatedWorld(7)
    this.#process = this.world.start('broker')
    const { environment } = this.#process
    this.environment = log === undefined ? environment : { ...environment, log }
    this.config = { ...defaults, ...overrides }
    this.shareState = new ShareCoordinator({
      environment: this.environment,
      config: () => shareDefaults,
      statePartitionCount: () => 1,
      partitionCountOf: (id) => this.topics.partitionCountOf(this.topics.topicNameOf(id) ?? ''),
    })
    void this.shareState.onElection(0, 1, new PrunableMemoryLog())
    this.groups = this.#coordinator()
    void this.groups.onElection(0, 1, this.log)
  }

  #coordinator(): GroupCoordinator {
    const { environment, config } = this
    return new GroupCoordinator({
      environment,
      config: () => config,
      setting: (_groupId, name) => this.settings[name] as never,
      topics: this.topics,
      shareState: this.shareState,
      partitionCount: () => 1,
    })
  }

  async createTopic(name: string, partitionCount: number): Promise<void> {
    await this.world.run(this.groups.onTopicsChanged(this.topics.create(name, partitionCount)))
  }

  async deleteTopics(...names: string[]): Promise<void> {
    await this.world.run(this.groups.onTopicsChanged(this.topics.delete(names)))
  }

  /** Somebody sets the clock. */
  setClock(byMs: number): void {
    this.world.jumpClock(this.#process, byMs)
  }

  async pass(ms: number): Promise<void> {
    await this.world.runFor(ms)
  }

  /** The answer, which must come within 10 ms. */
  async now<T>(pending: T | Promise<T>): Promise<T> {
    const asked = new Asked(pending)
    await this.pass(10)
    if (asked.value === undefined) throw new Error('no answer')
    return asked.value
  }

  member(options: MemberOptions = {}): StoryMember {
    return new StoryMember(this, options)
  }

  /**
   * Lets members join and sync one generation; returns the leader and the last of its followers.
   */
  async stable(...members: StoryMember[]): Promise<readonly [StoryMember, StoryMember]> {
    for (const member of members) await member.identify()
    const joins = members.map((member) => member.join())
    // Twice: all but the first come after the delay began.
    await this.pass(2 * this.config.groupInitialRebalanceDelayMs + 20)
    for (const join of joins) if (join.value?.errorCode !== 0) throw new Error('did not join')
    await this.syncAll(members)
    const leader = members.find(({ isLeader }) => isLeader)
    if (leader === undefined) throw new Error('nobody leads')
    return [leader, members.findLast((member) => member !== leader) ?? leader]
  }

  async syncAll(members: readonly StoryMember[]): Promise<void> {
    const syncs = members.map((member) => member.sync(members))
    await this.pass(20)
    for (const sync of syncs) if (sync.value?.errorCode !== 0) throw new Error('did not sync')
  }

  async state(groupId = 'g'): Promise<string | undefined> {
    const { groups } = await this.now(this.groups.describeGroups([groupId], 5))
    return groups[0]?.groupState
  }

  commit(overrides: Partial<OffsetCommitRequest> & CommitOptions = {}, apiVersion = 9) {
    const { offset = 42, metadata = '', topic = 't', partition = 0, ...rest } = overrides
    const partitions = [
      {
        partitionIndex: partition,
        committedOffset: offset,
        commitTimestamp: -1,
        committedLeaderEpoch: apiVersion >= 6 ? 3 : -1,
        committedMetadata: metadata,
      },
    ]
    const request: OffsetCommitRequest = {
      groupId: 'g',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [{ name: topic, topicId: zeroUuid, partitions }],
      ...rest,
    }
    return this.groups.commitOffsets(request, apiVersion)
  }

  /** The error of a commit of one partition as a part of a transaction. */
  async commitInTransaction(
    producerId: number,
    overrides: Partial<TxnOffsetCommitRequest> & CommitOptions = {},
  ): Promise<number | undefined> {
    const { offset = 42, metadata = '', topic = 't', partition = 0, ...rest } = overrides
    const partitions = [
      {
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: 3,
        committedMetadata: metadata,
      },
    ]
    const request: TxnOffsetCommitRequest = {
      transactionalId: 'tx',
      groupId: 'g',
      producerId,
      producerEpoch: 0,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      topics: [{ name: topic, topicId: zeroUuid, partitions }],
      ...rest,
    }
    const response = await this.now(this.groups.commitInTransaction(request, null))
    return response.topics[0]?.partitions[0]?.errorCode
  }

  async endTransaction(producerId: number, isCommit: boolean): Promise<string> {
    const end = { producerId, producerEpoch: 0, coordinatorEpoch: 0, transactionVersion: 1 }
    return (await this.now(this.groups.endTransaction(0, { ...end, isCommit }))).name
  }

  /** The offsets that no transaction is about to replace; those others by their error. */
  async stableOffsets(groupId = 'g'): Promise<Record<string, number | string>> {
    const fetched = await this.now(
      this.groups.fetchOffsets({ ...allOffsets(groupId), requireStable: true }),
    )
    return Object.fromEntries(
      fetched.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, errorCode, committedOffset }) => [
          `${name}-${partitionIndex}`,
          errorCode === errors.UNSTABLE_OFFSET_COMMIT.code ? 'unstable' : committedOffset,
        ]),
      ),
    )
  }

  /** The error of a commit of one partition. */
  async commitError(...args: Parameters<GroupStory['commit']>): Promise<number | undefined> {
    const response = await this.now(this.commit(...args))
    return response.topics[0]?.partitions[0]?.errorCode
  }

  /** All offsets of a group, as `topic-partition` to offset. */
  async offsets(groupId = 'g'): Promise<Record<string, number>> {
    return offsetsOf(await this.now(this.groups.fetchOffsets(allOffsets(groupId))))
  }

  /** A coordinator that starts from what the log holds now. */
  async restarted(): Promise<GroupCoordinator> {
    const other = this.#coordinator()
    await this.world.run(other.onElection(0, 1, this.log.copy()))
    return other
  }

  /**
   * A coordinator that starts from this log knows the same groups and offsets. Groups amid a
   * rebalance it knows as they were before; their members are told to join again.
   */
  async replay(t: Test): Promise<GroupCoordinator> {
    const other = await this.restarted()
    const everything = { statesFilter: [], typesFilter: [] }
    const live = (await this.now(this.groups.listGroups(everything))).groups
    const replayed = (await this.now(other.listGroups(everything))).groups
    const ids = live.map(({ groupId }) => groupId).sort()
    t.same(replayed.map(({ groupId }) => groupId).sort(), ids, 'the same groups')
    for (const { groupId, groupState } of live) {
      const mine = await this.now(this.groups.fetchOffsets(allOffsets(groupId)))
      const theirs = await this.now(other.fetchOffsets(allOffsets(groupId)))
      t.same(sorted(theirs), sorted(mine), `the same offsets of ${groupId}`)
      if (groupState !== 'Stable' && groupState !== 'Empty') continue
      const [described] = (await this.now(this.groups.describeGroups([groupId], 5))).groups
      const [again] = (await this.now(other.describeGroups([groupId], 5))).groups
      t.same(again, described, `the same ${groupId}`)
    }
    return other
  }
}

interface CommitOptions {
  offset?: number
  metadata?: string | null
  topic?: string
  partition?: number
}

interface MemberOptions {
  readonly groupId?: string
  readonly clientId?: string
  readonly groupInstanceId?: string
  readonly apiVersion?: number
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
  readonly protocolType?: string
  readonly protocols?: readonly string[]
  readonly topics?: readonly string[]
}

export class StoryMember {
  readonly story: GroupStory
  readonly groupId: string
  readonly caller: { clientId: string; clientHost: string; apiVersion: number }
  memberId = ''
  generationId = -1
  joined: JoinGroupResponse | undefined
  protocols: readonly string[]
  topics: readonly string[]
  readonly #options: MemberOptions

  constructor(story: GroupStory, options: MemberOptions) {
    this.story = story
    this.#options = options
    this.groupId = options.groupId ?? 'g'
    this.protocols = options.protocols ?? ['range']
    this.topics = options.topics ?? ['t']
    const { clientId = 'c', apiVersion = 9 } = options
    this.caller = { clientId, clientHost: '/192.0.2.1', apiVersion }
  }

  get isLeader(): boolean {
    return this.joined?.leader === this.memberId
  }

  get groupInstanceId(): string | null {
    return this.#options.groupInstanceId ?? null
  }

  /** A dynamic member gets its id. */
  async identify(): Promise<void> {
    if (this.memberId !== '' || this.groupInstanceId !== null) return
    if (this.caller.apiVersion < 4) return
    const join = this.join()
    await this.story.pass(5)
    if (join.value?.errorCode !== errors.MEMBER_ID_REQUIRED.code) throw new Error('got no id')
    this.memberId = join.value.memberId
  }

  join(overrides: Partial<JoinGroupRequest> = {}): Asked<JoinGroupResponse> {
    const { sessionTimeoutMs = 10_000, rebalanceTimeoutMs = 60_000 } = this.#options
    const request: JoinGroupRequest = {
      groupId: this.groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      memberId: this.memberId,
      groupInstanceId: this.groupInstanceId,
      protocolType: this.#options.protocolType ?? 'consumer',
      protocols: this.protocols.map((name) => ({ name, metadata: subscription(this.topics) })),
      reason: null,
      ...overrides,
    }
    const answer = Promise.resolve(this.story.groups.joinGroup(request, this.caller))
    const noted = answer.then((response) => {
      if (response.errorCode === 0) {
        this.joined = response
        this.memberId = response.memberId
        this.generationId = response.generationId ?? -1
      }
      return response
    })
    return new Asked(noted)
  }

  /** The leader gives each of `members` a part that names it. */
  sync(members: readonly StoryMember[] = [this], overrides: object = {}): Asked<SyncGroupResponse> {
    const parts = members.map(({ memberId }) => ({ memberId, assignment: partOf(memberId) }))
    return new Asked(
      this.story.groups.syncGroup({
        ...this.#self(),
        protocolType: null,
        protocolName: null,
        assignments: this.isLeader ? parts : [],
        ...overrides,
      }),
    )
  }

  async beat(overrides: object = {}): Promise<number> {
    const pending = this.story.groups.heartbeat({ ...this.#self(), ...overrides })
    return (await this.story.now(pending)).errorCode
  }

  async leave(): Promise<number | undefined> {
    const { memberId, groupInstanceId, groupId } = this
    const members = [{ memberId, groupInstanceId, reason: null }]
    const pending = this.story.groups.leaveGroup({ groupId, memberId, members }, 5)
    return (await this.story.now(pending)).members?.[0]?.errorCode
  }

  async commitError(overrides: object = {}): Promise<number | undefined> {
    const { generationId: generationIdOrMemberEpoch, ...self } = this.#self()
    return this.story.commitError({ ...self, generationIdOrMemberEpoch, ...overrides })
  }

  #self() {
    const { groupId, memberId, generationId, groupInstanceId } = this
    return { groupId, memberId, generationId, groupInstanceId }
  }
}

export function partOf(memberId: string): Buffer {
  return Buffer.from(`part of ${memberId}`)
}

/** What consumers say of themselves: the topics they want, and what they own. */
export function subscription(
  topics: readonly string[],
  owned: Record<string, readonly number[]> = {},
): Buffer {
  const writer = new Writer()
  writer.int16(1)
  const ownedPartitions = Object.entries(owned).map(([topic, partitions]) => ({
    topic,
    partitions,
  }))
  codec(consumerProtocolSubscription, 1).write(writer, { topics, userData: null, ownedPartitions })
  return Buffer.concat(writer.finish())
}

export function allOffsets(groupId: string) {
  return { groupId, memberId: null, memberEpoch: -1, topics: null }
}

type Fetched = Awaited<ReturnType<GroupCoordinator['fetchOffsets']>>

export function offsetsOf(group: Fetched): Record<string, number> {
  const entries = group.topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex, committedOffset }) => [
      `${name}-${partitionIndex}`,
      committedOffset,
    ]),
  )
  return Object.fromEntries(entries)
}

function sorted(group: Fetched) {
  return [...group.topics].sort((a, b) => (a.name ?? '').localeCompare(b.name ?? ''))
}
