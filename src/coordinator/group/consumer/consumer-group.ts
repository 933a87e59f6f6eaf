/**
 * A consumer group (KIP-848), as recorded, and what follows from it.
 *
 * Members of the classic protocol may be in it while their application moves from one protocol to the
 * other (`classic-members.ts`).
 */
import type { ErrorRow } from '../../../../protocol/errors.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import { TimelineMap, TimelineValue } from '../../timeline.ts'
import type { GroupContext } from '../group.ts'
import {
  type Assignment,
  assignmentFrom,
  noPartitions,
  type OwnedPartitions,
  ownedFrom,
} from '../modern/assignment.ts'
import { memberStateFrom } from '../modern/reconciliation.ts'
import { ReconcilingGroup } from '../modern/reconciling-group.ts'
import { SubscriptionCounts } from '../modern/subscriptions.ts'
import type { ConsumerGroupRecord, GroupRecord } from '../records.ts'
import { startDeadlines } from './leave.ts'
import {
  assignmentEpochOf,
  type ConsumerMember,
  memberBytes,
  newMember,
  regexOf,
} from './member.ts'
import { groupTombstones } from './records.ts'
import type { ResolvedRegex } from './regexes.ts'

export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable'

export class ConsumerGroup extends ReconcilingGroup<ConsumerMember, Assignment> {
  readonly type = 'consumer'
  readonly protocolType = 'consumer'
  readonly expires = true
  readonly subscriptions = new SubscriptionCounts()
  /** What the regular expressions of members stand for; one that is not here is not resolved yet. */
  readonly regexes: TimelineMap<string, ResolvedRegex>
  /** Stands for the one who looks up regular expressions now; null: nobody does. Not recorded. */
  regexLookup: object | null = null
  /** Whether there is a record of before Kafka 4.1 to be taken away. */
  readonly #hasPartitionMetadata: TimelineValue<boolean>
  /** group.instance.id -> member id. */
  readonly #staticMembers = new Map<string, string>()
  readonly #regexCounts = new Map<string, number>()
  readonly #assignorCounts = new Map<string, number>()
  /** Protocols that members of the classic protocol know, each with how many of them. */
  readonly #classicProtocolCounts = new Map<string, number>()
  #classicMemberCount = 0
  /** Topic id -> partition -> the member that has it, or has not let go of it yet. */
  readonly #holders = new Map<Uuid, Map<number, string>>()

  constructor(groupId: string, context: GroupContext) {
    super(groupId, context)
    this.regexes = new TimelineMap(context.timeline)
    this.#hasPartitionMetadata = new TimelineValue(context.timeline, false)
  }

  get state(): ConsumerGroupState {
    return this.isEmpty ? 'Empty' : this.progress
  }

  get staticMembers(): ReadonlyMap<string, string> {
    return this.#staticMembers
  }

  get classicMemberCount(): number {
    return this.#classicMemberCount
  }

  get classicProtocolCounts(): ReadonlyMap<string, number> {
    return this.#classicProtocolCounts
  }

  /** How many members are subscribed to each regular expression. */
  get regexCounts(): ReadonlyMap<string, number> {
    return this.#regexCounts
  }

  get assignorCounts(): ReadonlyMap<string, number> {
    return this.#assignorCounts
  }

  get hasPartitionMetadata(): boolean {
    return this.#hasPartitionMetadata.value
  }

  staticMember(instanceId: string | null): ConsumerMember | undefined {
    const memberId = instanceId === null ? undefined : this.#staticMembers.get(instanceId)
    return memberId === undefined ? undefined : this.members.get(memberId)
  }

  targetOf(memberId: string): Assignment {
    return this.targets.get(memberId) ?? noPartitions
  }

  /** Undefined: nobody has it, nor has still to let go of it. */
  holderOf(topicId: Uuid, partition: number): string | undefined {
    return this.#holders.get(topicId)?.get(partition)
  }

  isSubscribedTo(topic: string): boolean {
    return this.subscriptions.has(topic)
  }

  override isClassic({ classic }: ConsumerMember): boolean {
    return classic !== null
  }

  sessionMs({ classic }: ConsumerMember): Milliseconds {
    const { context, groupId } = this
    return classic?.sessionTimeoutMs ?? context.setting(groupId, 'consumer.session.timeout.ms')
  }

  protected givenIn(member: ConsumerMember, topicId: Uuid, partition: number): number | undefined {
    return assignmentEpochOf(member, topicId, partition)
  }

  tombstones(): GroupRecord[] {
    return groupTombstones(this, this.members.keys())
  }

  override end(error: ErrorRow): void {
    this.regexLookup = null
    super.end(error)
  }

  /** Members are given a whole session to show up. */
  onLoaded(): void {
    for (const member of this.members.values()) startDeadlines(this, member, true)
  }

  apply(record: ConsumerGroupRecord): void {
    switch (record.kind) {
      case 'ConsumerGroupMetadata':
        if (record.value !== null) {
          this.setGroupEpoch(record.value.epoch, record.value.metadataHash)
        }
        break
      case 'ConsumerGroupPartitionMetadata':
        this.#hasPartitionMetadata.set(record.value !== null)
        break
      case 'ConsumerGroupMemberMetadata':
        this.#applyMember(record)
        break
      case 'ConsumerGroupTargetAssignmentMetadata':
        this.setTargetEpoch(record.value)
        break
      case 'ConsumerGroupTargetAssignmentMember': {
        const { memberId } = record.key
        if (record.value === null) this.targets.delete(memberId)
        else this.targets.set(memberId, assignmentFrom(record.value.topicPartitions))
        break
      }
      case 'ConsumerGroupCurrentMemberAssignment':
        this.#applyCurrent(record)
        break
      case 'ConsumerGroupRegularExpression':
        this.#applyRegex(record)
        break
    }
  }

  #applyMember({ key, value }: RecordOf<'ConsumerGroupMemberMetadata'>): void {
    const { memberId } = key
    if (value === null) {
      this.removeMember(memberId)
      return
    }
    const { classicMemberMetadata: classic, ...said } = value
    const before = this.members.get(memberId) ?? newMember(memberId)
    this.setMember({
      ...before,
      ...said,
      // Copies: the originals may be slices of the log's bytes, which they would keep in memory.
      classic: classic && {
        ...classic,
        supportedProtocols: classic.supportedProtocols.map(({ name, metadata }) => ({
          name,
          metadata: Buffer.from(metadata),
        })),
      },
    })
  }

  #applyCurrent({ key, value }: RecordOf<'ConsumerGroupCurrentMemberAssignment'>): void {
    const { memberId } = key
    if (value === null) {
      this.forgetCurrent(memberId, noPartitions)
      return
    }
    const { memberEpoch, previousMemberEpoch } = value
    this.setMember({
      ...(this.members.get(memberId) ?? newMember(memberId)),
      memberEpoch,
      previousMemberEpoch,
      state: memberStateFrom(value.state),
      assigned: ownedFrom(value.assignedPartitions, memberEpoch),
      pendingRevocation: ownedFrom(value.partitionsPendingRevocation, memberEpoch),
    })
  }

  #applyRegex({ key, value }: RecordOf<'ConsumerGroupRegularExpression'>): void {
    const { regularExpression } = key
    const before = this.regexes.get(regularExpression)
    if (before !== undefined) this.#countRegexTopics(before.topics, -1)
    if (value === null) {
      this.regexes.delete(regularExpression)
      return
    }
    const topics = new Set(value.topics)
    const { version, timestamp: resolvedAtMs } = value
    this.regexes.set(regularExpression, { topics, version, resolvedAtMs })
    this.#countRegexTopics(topics, 1)
  }

  /** Notes how to undo itself. */
  #countRegexTopics(topics: ReadonlySet<string>, change: 1 | -1): void {
    this.subscriptions.countRegex(topics, change)
    const back = change === 1 ? -1 : 1
    this.context.timeline.note(() => this.subscriptions.countRegex(topics, back))
  }

  protected count(member: ConsumerMember, change: 1 | -1): void {
    const { memberId, instanceId, classic, serverAssignor } = member
    const regex = regexOf(member)
    this.subscriptions.countNames(member.subscribedTopicNames, change)
    if (regex !== null) addTo(this.#regexCounts, regex, change)
    if (serverAssignor !== null) addTo(this.#assignorCounts, serverAssignor, change)
    if (classic !== null) {
      this.#classicMemberCount += change
      for (const { name } of classic.supportedProtocols) {
        addTo(this.#classicProtocolCounts, name, change)
      }
    }
    if (instanceId !== null) {
      if (change === 1) this.#staticMembers.set(instanceId, memberId)
      else if (this.#staticMembers.get(instanceId) === memberId) {
        this.#staticMembers.delete(instanceId)
      }
    }
    this.#hold(memberId, member.assigned, change)
    this.#hold(memberId, member.pendingRevocation, change)
  }

  /** Of a partition that two say they have, the later one is the holder. */
  #hold(memberId: string, owned: OwnedPartitions, change: 1 | -1): void {
    for (const [topicId, partitions] of owned) {
      let holders = this.#holders.get(topicId)
      if (holders === undefined) {
        holders = new Map()
        this.#holders.set(topicId, holders)
      }
      for (const partition of partitions.keys()) {
        if (change === 1) holders.set(partition, memberId)
        else if (holders.get(partition) === memberId) holders.delete(partition)
      }
      if (holders.size === 0) this.#holders.delete(topicId)
    }
  }

  protected bytesOf(member: ConsumerMember): number {
    return memberBytes(member)
  }
}

type RecordOf<Kind extends ConsumerGroupRecord['kind']> = Extract<
  ConsumerGroupRecord,
  { kind: Kind }
>

export function addTo(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change
  if (count <= 0) counts.delete(key)
  else counts.set(key, count)
}
