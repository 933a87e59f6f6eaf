/**
 * A streams group (KIP-1071), as recorded, and what follows from it.
 *
 *   Empty        nobody is in it
 *   NotReady     the topics do not fit its topology: some are missing, or have wrong numbers of partitions
 *   and those of `reconciling-group.ts`
 *
 * Not recorded, and so begun anew when a shard is loaded: the epoch of what is told of endpoints, who
 * asked all to shut down, and the wait for more members after the first one joined.
 */
import type { ErrorRow } from '../../../../protocol/errors.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Deadline } from '../../deadlines.ts'
import type { Decision } from '../../shard.ts'
import { TimelineValue } from '../../timeline.ts'
import type { GroupContext } from '../group.ts'
import { memberStateFrom } from '../modern/reconciliation.ts'
import { ReconcilingGroup } from '../modern/reconciling-group.ts'
import type { GroupRecord, StreamsGroupRecord } from '../records.ts'
import { type ConfiguredTopology, configuredTopology } from './configured-topology.ts'
import { startDeadlines } from './leave.ts'
import { memberBytes, newMember, type StreamsMember } from './member.ts'
import { groupTombstones } from './records.ts'
import { TaskHolders } from './task-holders.ts'
import { byKind, noTasks, ownedTasksFrom, type Tasks, tasksFrom } from './tasks.ts'
import { Topology } from './topology.ts'

export type StreamsGroupState = 'Empty' | 'NotReady' | 'Assigning' | 'Reconciling' | 'Stable'

interface Configuration {
  readonly topology: Topology
  readonly metadataHash: bigint
  readonly configured: ConfiguredTopology
}

const noConfigs: ReadonlyMap<string, string> = new Map()

export class StreamsGroup extends ReconcilingGroup<StreamsMember, Tasks> {
  readonly type = 'streams'
  readonly protocolType = 'streams'
  readonly expires = true
  readonly holders = new TaskHolders()
  /** Grows whenever tasks of a member with an endpoint move. */
  endpointEpoch = 0
  readonly #topology: TimelineValue<Topology | null>
  readonly #validatedTopologyEpoch: TimelineValue<number>
  readonly #assignmentConfigs: TimelineValue<ReadonlyMap<string, string>>
  /** The last that was asked for. */
  #configuration: Configuration | null = null
  /** The first member came, and others may be about to. */
  #isGathering = false
  #gathering: Deadline | null = null
  #shutdownBy: string | null = null

  constructor(groupId: string, context: GroupContext) {
    super(groupId, context)
    this.#topology = new TimelineValue<Topology | null>(context.timeline, null)
    this.#validatedTopologyEpoch = new TimelineValue(context.timeline, 0)
    this.#assignmentConfigs = new TimelineValue(context.timeline, noConfigs)
  }

  get state(): StreamsGroupState {
    if (this.isEmpty) return 'Empty'
    if (this.topology?.epoch !== this.validatedTopologyEpoch) return 'NotReady'
    return this.progress
  }

  /** Null before anything is recorded. */
  get topology(): Topology | null {
    return this.#topology.value
  }

  /** Of the topology that the topics fitted when the group's epoch last grew; -1: they did not. */
  get validatedTopologyEpoch(): number {
    return this.#validatedTopologyEpoch.value
  }

  /** The settings of the last assignment, by name. */
  get assignmentConfigs(): ReadonlyMap<string, string> {
    return this.#assignmentConfigs.value
  }

  targetOf(memberId: string): Tasks {
    return this.targets.get(memberId) ?? noTasks
  }

  /** Whether `configured` is at hand for topics that look like that. */
  isConfigured(topology: Topology, metadataHash: bigint): boolean {
    const known = this.#configuration
    return known !== null && known.topology === topology && known.metadataHash === metadataHash
  }

  /**
   * The topology held against the topics, whose hash is `metadataHash`. Throws KafkaError
   * STREAMS_INVALID_TOPOLOGY.
   */
  configured(topology: Topology, metadataHash: bigint): ConfiguredTopology {
    const known = this.#configuration
    if (known !== null && this.isConfigured(topology, metadataHash)) return known.configured
    const configured = configuredTopology(topology, this.context.topics)
    this.#configuration = { topology, metadataHash, configured }
    return configured
  }

  /** Only topics that are read, and only while somebody reads: offsets of the others may go. */
  isSubscribedTo(topic: string): boolean {
    return !this.isEmpty && this.topology?.readerOf(topic) !== undefined
  }

  protected override uses(topic: string): boolean {
    return this.topology?.requiredTopics.has(topic) ?? false
  }

  sessionMs(): Milliseconds {
    return this.context.setting(this.groupId, 'streams.session.timeout.ms')
  }

  /** Offsets are of the tasks that read the topic. */
  protected givenIn(
    { assigned, pendingRevocation }: StreamsMember,
    topicId: Uuid,
    partition: number,
  ): number | undefined {
    const topic = this.context.topics.topicNameOf(topicId) ?? ''
    const subtopologyId = this.topology?.readerOf(topic) ?? ''
    return (
      assigned.active.get(subtopologyId)?.get(partition) ??
      pendingRevocation.active.get(subtopologyId)?.get(partition)
    )
  }

  tombstones(): GroupRecord[] {
    return groupTombstones(this.groupId, this.members.keys())
  }

  /** Members are given a whole session to show up; who else may come had the time before. */
  onLoaded(): void {
    this.#isGathering = false
    for (const member of this.members.values()) startDeadlines(this, member, true)
  }

  /** Whether the first target waits for more members. */
  get isGathering(): boolean {
    return this.#isGathering
  }

  /** The first target waits so long; `decide` then computes it. Nothing if it waits already. */
  gather(delayMs: Milliseconds, decide: () => Decision<GroupRecord, void>): void {
    if (this.#gathering !== null) return
    this.#gathering = this.context.deadline(this, () => {
      this.#gathering = null
      this.#isGathering = false
      return decide()
    })
    this.#gathering.set(delayMs)
  }

  /** Who asked first that everybody shuts down, while anybody is there. */
  get shutdownBy(): string | null {
    return this.#shutdownBy
  }

  /** The first that asks is told of, until all have gone. */
  askForShutdown(memberId: string): void {
    if (!this.isEmpty) this.#shutdownBy ??= memberId
  }

  override end(error: ErrorRow): void {
    super.end(error)
    this.#gathering?.clear()
  }

  apply(record: StreamsGroupRecord): void {
    switch (record.kind) {
      case 'StreamsGroupMetadata':
        if (record.value !== null) this.#applyEpoch(record.value)
        break
      case 'StreamsGroupTopology':
        this.#applyTopology(record)
        break
      case 'StreamsGroupMemberMetadata':
        this.#applyMember(record)
        break
      case 'StreamsGroupTargetAssignmentMetadata':
        this.setTargetEpoch(record.value)
        break
      case 'StreamsGroupTargetAssignmentMember': {
        const { memberId } = record.key
        const { value } = record
        if (value === null) this.targets.delete(memberId)
        else
          this.targets.set(
            memberId,
            byKind((kind) => tasksFrom(value[`${kind}Tasks`])),
          )
        break
      }
      case 'StreamsGroupCurrentMemberAssignment':
        this.#applyCurrent(record)
        break
    }
  }

  #applyEpoch(value: ValueOf<'StreamsGroupMetadata'>): void {
    this.setGroupEpoch(value.epoch, value.metadataHash)
    this.#validatedTopologyEpoch.set(value.validatedTopologyEpoch)
    const configs = value.lastAssignmentConfigs ?? []
    this.#assignmentConfigs.set(new Map(configs.map((config) => [config.key, config.value])))
  }

  #applyTopology({ value }: RecordOf<'StreamsGroupTopology'>): void {
    const before = this.topology?.bytes ?? 0
    this.#topology.set(value === null ? null : new Topology(value))
    const bytes = (this.topology?.bytes ?? 0) - before
    this.hold(bytes)
    this.context.timeline.note(() => this.hold(-bytes))
  }

  #applyMember({ key, value }: RecordOf<'StreamsGroupMemberMetadata'>): void {
    const { memberId } = key
    if (value === null) {
      this.removeMember(memberId)
      if (this.isEmpty) this.#shutdownBy = null
      return
    }
    if (this.isEmpty) this.#isGathering = true
    this.setMember({ ...(this.members.get(memberId) ?? newMember(memberId)), ...value })
  }

  #applyCurrent({ key, value }: RecordOf<'StreamsGroupCurrentMemberAssignment'>): void {
    const { memberId } = key
    if (value === null) {
      this.forgetCurrent(memberId, noTasks)
      return
    }
    const { memberEpoch, previousMemberEpoch } = value
    this.setMember({
      ...(this.members.get(memberId) ?? newMember(memberId)),
      memberEpoch,
      previousMemberEpoch,
      state: memberStateFrom(value.state),
      assigned: byKind((kind) => ownedTasksFrom(kind, value[`${kind}Tasks`], memberEpoch)),
      pendingRevocation: byKind((kind) =>
        ownedTasksFrom(kind, value[`${kind}TasksPendingRevocation`], memberEpoch),
      ),
    })
  }

  protected count({ processId, assigned, pendingRevocation }: StreamsMember, change: 1 | -1): void {
    this.holders.count(processId, assigned, change)
    this.holders.count(processId, pendingRevocation, change)
  }

  protected bytesOf(member: StreamsMember): number {
    return memberBytes(member)
  }
}

type RecordOf<Kind extends StreamsGroupRecord['kind']> = Extract<StreamsGroupRecord, { kind: Kind }>
type ValueOf<Kind extends StreamsGroupRecord['kind']> = NonNullable<RecordOf<Kind>['value']>
