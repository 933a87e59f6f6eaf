/**
 * Membership in a group by the classic protocol: join, have the leader's assignment handed out, then
 * heartbeats until the coordinator asks everybody to join anew. Partitions are given up before each
 * join (eager rebalancing). What runs by itself are the heartbeats; joining is the consumer's move.
 *
 *     outside --join--> joining --sync--> member --heartbeat says so--> must join --> joining
 *                                            `--leave, or thrown out--> outside
 */
import { apis } from '../../protocol/apis.ts'
import { codec, encode } from '../../protocol/codec.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { Reader } from '../../protocol/reader.ts'
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
} from '../../protocol/state/consumer-protocol.ts'
import type { Milliseconds, Timer } from '../environment/environment.ts'
import type { Assignor, Subscriber, TopicPartitions } from './assignors.ts'
import type { Cluster } from './cluster.ts'
import type { Answered, Asked } from './connection.ts'
import { isAnswer, isRetriable } from './failures.ts'
import type { Committer } from './offsets.ts'
import { pause } from './retry.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface MemberOptions {
  readonly groupId: string
  /** The same name after a restart keeps the partitions (KIP-345). */
  readonly groupInstanceId?: string | undefined
  /** In order of preference; the group takes one that all members have. */
  readonly assignors: readonly Assignor[]
  readonly sessionTimeoutMs: Milliseconds
  readonly heartbeatIntervalMs: Milliseconds
  /** Milliseconds that members get to join anew, and a consumer between two polls. */
  readonly rebalanceTimeoutMs: Milliseconds
}

/** Answers after which a member starts from nothing. */
const thrownOut = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION']

/** As whom a request was sent. */
export type Membership = Pick<GroupMember, 'memberId' | 'generationId'>

const missingTopicCheckMs = 5_000
const partitionCountCheckMs = 300_000

export class GroupMember implements Committer {
  readonly #cluster: Cluster
  readonly #options: MemberOptions
  /** The consumer has to look: a rebalance has begun, or membership is over. */
  readonly #onChange: () => void
  memberId = ''
  generationId = -1
  /** True when the next move is `join`. */
  mustJoin = true
  /** True when the coordinator forgot this member: its partitions may already be another's. */
  hasLost = false
  /** Why this member can never join again. */
  fatal: Error | null = null
  /** Monotonic time of the consumer's last sign of life. */
  lastPollMs: Milliseconds
  #topics: readonly string[] = []
  /** As the leader knew them when it assigned; null for followers. */
  #assignedCounts: ReadonlyMap<string, number> | null = null
  #countsCheckedMs: Milliseconds = 0
  #heartbeat: Timer | null = null

  constructor(cluster: Cluster, options: MemberOptions, onChange: () => void) {
    this.#cluster = cluster
    this.#options = options
    this.#onChange = onChange
    this.lastPollMs = cluster.environment.clock.monotonic()
  }

  get groupId(): string {
    return this.#options.groupId
  }

  get groupInstanceId(): string | null {
    return this.#options.groupInstanceId ?? null
  }

  /** Joins with these topics and gives the partitions assigned. Rejects with what repeating cannot cure. */
  async join(topics: readonly string[]): Promise<TopicPartition[]> {
    this.#topics = topics
    this.#stopHeartbeats()
    for (;;) {
      try {
        const assignment = await this.#joinOnce()
        this.mustJoin = false
        this.hasLost = false
        this.#scheduleHeartbeat()
        return assignment
      } catch (error) {
        if (isAnswer(error, 'MEMBER_ID_REQUIRED', 'REBALANCE_IN_PROGRESS')) continue
        if (isAnswer(error, ...thrownOut)) this.#forget()
        else if (!isRetriable(error)) throw error
        this.#cluster.environment.log.debug('joining again', { reason: String(error) })
        await pause(this.#cluster.environment, 100)
      }
    }
  }

  /** Leaves, so that others get the partitions at once. A static member stays, as its name promises. */
  async leave(reason: string): Promise<void> {
    this.#stopHeartbeats()
    const { memberId, groupInstanceId } = this
    const isMember = memberId !== '' && groupInstanceId === null
    this.#forget()
    if (!isMember) return
    const answer = await this.#call(apis.leaveGroup, {
      groupId: this.groupId,
      memberId,
      members: [{ memberId, groupInstanceId, reason }],
    })
    this.#check(answer.errorCode)
  }

  /** The consumer is over without leaving: heartbeats end. */
  stop(): void {
    this.#stopHeartbeats()
  }

  /**
   * What the answer to a request says about this member, which was `asked` as it sent it. Of a membership
   * that is over in the meantime nothing is said about the new one.
   */
  judge(error: unknown, asked: Membership): void {
    if (asked.memberId !== this.memberId || asked.generationId !== this.generationId) return
    if (isAnswer(error, 'REBALANCE_IN_PROGRESS')) this.#change()
    if (isAnswer(error, ...thrownOut)) this.#lose()
    if (isAnswer(error, 'FENCED_INSTANCE_ID')) this.#end(error as Error)
  }

  async #joinOnce(): Promise<TopicPartition[]> {
    const { groupId, memberId, groupInstanceId } = this
    const { sessionTimeoutMs, rebalanceTimeoutMs, assignors } = this.#options
    const metadata = encodeVersioned(
      encode(consumerProtocolSubscription, 1, { topics: [...this.#topics].sort() }),
    )
    const joined = await this.#call(
      apis.joinGroup,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId,
        groupInstanceId,
        protocolType: 'consumer',
        protocols: assignors.map(({ name }) => ({ name, metadata })),
      },
      rebalanceTimeoutMs + 5_000,
    )
    if (errorByCode(joined.errorCode) === errors.MEMBER_ID_REQUIRED) this.memberId = joined.memberId
    this.#check(joined.errorCode)
    this.memberId = joined.memberId
    this.generationId = joined.generationId
    const isLeader = joined.leader === joined.memberId
    this.#assignedCounts = null
    const assignments = isLeader && !joined.skipAssignment ? await this.#assign(joined) : []
    const synced = await this.#call(
      apis.syncGroup,
      {
        groupId,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupInstanceId,
        protocolType: 'consumer',
        protocolName: joined.protocolName,
        assignments,
      },
      rebalanceTimeoutMs + 5_000,
    )
    this.#check(synced.errorCode)
    return readAssignment(synced.assignment)
  }

  async #assign(joined: Answered<typeof apis.joinGroup>) {
    const assignor = this.#options.assignors.find(({ name }) => name === joined.protocolName)
    if (assignor === undefined)
      throw new KafkaError(
        errors.INCONSISTENT_GROUP_PROTOCOL,
        `unknown assignor ${joined.protocolName}`,
      )
    const members: Subscriber[] = joined.members.map(({ memberId, groupInstanceId, metadata }) => ({
      memberId,
      groupInstanceId,
      topics: readSubscription(metadata),
    }))
    const topics = [...new Set(members.flatMap((member) => member.topics))]
    const counts = await this.#partitionCounts(topics)
    this.#assignedCounts = counts
    this.#countsCheckedMs = this.#cluster.environment.clock.monotonic()
    return Array.from(assignor.assign(members, counts), ([memberId, assigned]) => ({
      memberId,
      assignment: encodeAssignment(assigned),
    }))
  }

  async #partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    if (topics.length > 0) await this.#cluster.refresh(topics)
    const { metadata } = this.#cluster
    return new Map(topics.map((name) => [name, metadata.topics.get(name)?.partitions.length ?? 0]))
  }

  #scheduleHeartbeat(): void {
    const { timers } = this.#cluster.environment
    this.#heartbeat = timers.after(this.#options.heartbeatIntervalMs, () => void this.#beat())
  }

  #stopHeartbeats(): void {
    this.#heartbeat?.cancel()
    this.#heartbeat = null
  }

  async #beat(): Promise<void> {
    const timer = this.#heartbeat
    const { clock, log } = this.#cluster.environment
    const { groupId, generationId, memberId, groupInstanceId } = this
    try {
      if (clock.monotonic() - this.lastPollMs > this.#options.rebalanceTimeoutMs) {
        log.warn('leaving the group: the consumer has not polled for too long', { groupId })
        await this.leave('not polled for longer than max.poll.interval.ms')
        return this.#lose()
      }
      const answer = await this.#call(apis.heartbeat, {
        groupId,
        generationId,
        memberId,
        groupInstanceId,
      })
      this.#check(answer.errorCode)
      await this.#checkPartitionCounts()
    } catch (error) {
      // An answer to a membership that is over in the meantime says nothing of the new one.
      if (this.#heartbeat !== timer) return
      this.judge(error, { memberId, generationId })
      if (!isRetriable(error)) log.debug('heartbeat refused', { reason: String(error) })
    }
    if (this.#heartbeat === timer && timer !== null) this.#scheduleHeartbeat()
  }

  /** The leader watches the topics: partitions that came are nobody's until the group joins anew. */
  async #checkPartitionCounts(): Promise<void> {
    const counts = this.#assignedCounts
    if (counts === null) return
    const now = this.#cluster.environment.clock.monotonic()
    const isMissing = [...counts.values()].includes(0)
    const everyMs = isMissing ? missingTopicCheckMs : partitionCountCheckMs
    if (now - this.#countsCheckedMs < everyMs) return
    this.#countsCheckedMs = now
    const current = await this.#partitionCounts([...counts.keys()])
    if ([...counts].some(([topic, count]) => current.get(topic) !== count)) this.#change()
  }

  #change(): void {
    this.mustJoin = true
    this.#onChange()
  }

  #lose(): void {
    this.#forget()
    this.hasLost = true
    this.#stopHeartbeats()
    this.#change()
  }

  #end(error: Error): void {
    this.fatal = error
    this.#lose()
  }

  #forget(): void {
    this.memberId = ''
    this.generationId = -1
  }

  #call<Api extends Parameters<Cluster['callCoordinator']>[1]>(
    api: Api,
    request: Asked<Api>,
    timeoutMs?: Milliseconds,
  ): Promise<Answered<Api>> {
    const key = { type: 'group', id: this.groupId } as const
    return this.#cluster.callCoordinator(key, api, request, { timeoutMs })
  }

  #check(errorCode: number): void {
    this.#cluster.checkCoordinator('group', this.groupId, errorCode)
  }
}

const embeddedVersion = 1

/** The consumer protocol writes its version in front of what it embeds. */
function encodeVersioned(body: Buffer): Buffer {
  const version = Buffer.alloc(2)
  version.writeInt16BE(embeddedVersion)
  return Buffer.concat([version, body])
}

function encodeAssignment(assignedPartitions: readonly TopicPartitions[]): Buffer {
  return encodeVersioned(
    encode(consumerProtocolAssignment, embeddedVersion, { assignedPartitions }),
  )
}

/** Versions only add at the end: a newer one is read as the newest known. */
function readEmbedded(bytes: Buffer): { reader: Reader; version: number } {
  const reader = new Reader(bytes)
  return { version: Math.max(0, Math.min(reader.int16(), 3)), reader }
}

function readSubscription(bytes: Buffer): readonly string[] {
  const { reader, version } = readEmbedded(bytes)
  return codec(consumerProtocolSubscription, version).read(reader).topics
}

/** The partitions of an assignment as members receive it; none for the empty one. */
export function readAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length === 0) return []
  const { reader, version } = readEmbedded(bytes)
  const { assignedPartitions } = codec(consumerProtocolAssignment, version).read(reader)
  return assignedPartitions.flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition })),
  )
}
