/**
 * What groups with a protocol of their own have in common (KIP-848, KIP-932, KIP-1071): members that
 * send one kind of request, the heartbeat, and a coordinator that says what each shall have.
 *
 * Three epochs order it all. The group's epoch grows whenever what is to be assigned, or to whom, has
 * changed. The assignment's epoch is that of the group for which the target was computed. A member's
 * epoch is that of the target to which it was brought; from the others it can be seen how far behind
 * the group it is.
 *
 *   group epoch  --assignor-->  target assignment epoch  --reconciliation-->  member epoch
 *
 * Everything recorded changes in `apply` alone. All that follows from the members (counts, indexes)
 * changes with them, in `count`, forwards and, where the log refused a record, backwards. What is not
 * recorded is deadlines, which begin anew when a shard is loaded, and when to look at the topics again.
 */
import { type ErrorRow, errors, KafkaError } from '../../../../protocol/errors.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import { TimelineMap, TimelineValue } from '../../timeline.ts'
import type { TopicChanges } from '../../topic-changes.ts'
import type { CommitCheck, Committer, Group, GroupContext, GroupType } from '../group.ts'
import type { CommittedOffset } from '../partition-offsets.ts'
import type { GroupRecord, ModernRecord } from '../records.ts'
import { MemberDeadlines } from './member-deadlines.ts'

/** What all members have; a member is never changed, only replaced. */
export interface ModernMember {
  readonly memberId: string
  /** -1 where it is not in the group, or not any more. */
  readonly memberEpoch: number
  /** The one before: its answer may have been lost. */
  readonly previousMemberEpoch: number
}

/** -1: leaves the group, or has left it; -2: leaves it for a while, as a static member. */
export const leaveEpoch = -1
export const staticLeaveEpoch = -2
/** What is recorded of a target that was taken away. */
const noTarget = { assignmentEpoch: -1, assignmentTimestamp: 0 }

/** Epochs of a group about which nothing is recorded yet. */
const firstEpoch = 1
/** How long what the topics look like is taken for granted, if nobody says that it changed. */
const refreshIntervalMs = 3_600_000

/** `M`: its members, `T`: what the assignor gives one of them. */
export abstract class ModernGroup<M extends ModernMember = ModernMember, T = unknown>
  implements Group
{
  readonly groupId: string
  readonly context: GroupContext
  readonly deadlines: MemberDeadlines
  readonly #members = new Map<string, M>()
  /** What members shall have; who is not in it shall have nothing. */
  readonly targets: TimelineMap<string, T>
  readonly #groupEpoch: TimelineValue<number>
  /** Of the topics that the group uses, as they were when its epoch last grew. */
  readonly #metadataHash: TimelineValue<bigint>
  readonly #assignmentEpoch: TimelineValue<number>
  readonly #assignedAtMs: TimelineValue<Milliseconds>
  /** Until when what the topics look like is taken for granted, if no change of them is told. */
  #trustedAtMs: Milliseconds = Number.NEGATIVE_INFINITY
  /** Versions of the topics: when they were last looked at, and when they last changed. */
  #seenVersion = 0
  #changedVersion = 0
  #heldBytes = 0

  constructor(groupId: string, context: GroupContext) {
    const { timeline } = context
    this.groupId = groupId
    this.context = context
    this.deadlines = new MemberDeadlines((decide) => context.deadline(this, decide))
    this.targets = new TimelineMap(timeline)
    this.#groupEpoch = new TimelineValue(timeline, firstEpoch)
    this.#metadataHash = new TimelineValue(timeline, 0n)
    this.#assignmentEpoch = new TimelineValue(timeline, firstEpoch)
    this.#assignedAtMs = new TimelineValue(timeline, 0)
  }

  abstract readonly type: GroupType
  abstract readonly protocolType: string
  abstract readonly state: string
  abstract readonly expires: boolean
  abstract isSubscribedTo(topic: string): boolean
  abstract checkCommit(committer: Committer): CommitCheck | null
  abstract checkFetch(memberId: string | null, memberEpoch: number): void
  abstract checkOffsetDelete(): void
  abstract tombstones(): GroupRecord[]
  abstract onLoaded(): void
  /** The only place where what is recorded of the group changes. */
  abstract apply(record: ModernRecord): void
  /** A member comes (`change` 1) or goes (-1): counts and indexes follow. Must not fail. */
  protected abstract count(member: M, change: 1 | -1): void
  /** What the member holds of the memory that all groups share. */
  protected abstract bytesOf(member: M): number

  get members(): ReadonlyMap<string, M> {
    return this.#members
  }

  /** Throws KafkaError UNKNOWN_MEMBER_ID. */
  member(memberId: string): M {
    const member = this.#members.get(memberId)
    if (member !== undefined) return member
    const message = `Member ${memberId} is not a member of group ${this.groupId}.`
    throw new KafkaError(errors.UNKNOWN_MEMBER_ID, message)
  }

  /** Throws KafkaError GROUP_MAX_SIZE_REACHED where somebody new is one too many. */
  checkSize(memberId: string, sizeMax: number): void {
    if (this.#members.size < sizeMax || this.#members.has(memberId)) return
    const message = `The ${this.type} group has reached its maximum capacity of ${sizeMax} members.`
    throw new KafkaError(errors.GROUP_MAX_SIZE_REACHED, message)
  }

  /**
   * What members say, and `otherBytes` of the group's own, is kept in memory, for all groups together no
   * more than there is room for. Throws KafkaError COORDINATOR_NOT_AVAILABLE.
   */
  checkMemory(said: M, otherBytes = 0): void {
    const known = this.#members.get(said.memberId)
    const bytes = this.bytesOf(said) - (known === undefined ? 0 : this.bytesOf(known)) + otherBytes
    if (!this.context.shared.members.hasRoomFor(bytes)) {
      throw new KafkaError(errors.COORDINATOR_NOT_AVAILABLE)
    }
  }

  get groupEpoch(): number {
    return this.#groupEpoch.value
  }

  get metadataHash(): bigint {
    return this.#metadataHash.value
  }

  /** -1 after the target was taken away. */
  get assignmentEpoch(): number {
    return this.#assignmentEpoch.value
  }

  /** When the target was computed; 0 where that is not known. */
  get assignedAtMs(): Milliseconds {
    return this.#assignedAtMs.value
  }

  get isEmpty(): boolean {
    return this.#members.size === 0
  }

  get isOver(): boolean {
    return this.isEmpty
  }

  /** Counted from the commit: topics to which a member is subscribed are left out before. */
  retentionStartMs(offset: CommittedOffset): Milliseconds | null {
    return offset.commitTimestampMs
  }

  protected setGroupEpoch(epoch: number, metadataHash: bigint): void {
    this.#groupEpoch.set(epoch)
    this.#metadataHash.set(metadataHash)
  }

  /** Null: the target was taken away. */
  protected setTargetEpoch(recorded: typeof noTarget | null): void {
    const { assignmentEpoch, assignmentTimestamp } = recorded ?? noTarget
    this.#assignmentEpoch.set(assignmentEpoch)
    this.#assignedAtMs.set(assignmentTimestamp)
  }

  protected setMember(member: M): void {
    this.#replace(member.memberId, member)
  }

  protected removeMember(memberId: string): void {
    if (this.#members.has(memberId)) this.#replace(memberId, undefined)
  }

  /** Notes how to undo itself. */
  #replace(memberId: string, after: M | undefined): void {
    const before = this.#members.get(memberId)
    this.context.timeline.note(() => this.#swap(memberId, after, before))
    this.#swap(memberId, before, after)
  }

  #swap(memberId: string, before: M | undefined, after: M | undefined): void {
    if (before !== undefined) {
      this.count(before, -1)
      this.hold(-this.bytesOf(before))
    }
    if (after === undefined) {
      this.#members.delete(memberId)
      return
    }
    this.#members.set(memberId, after)
    this.count(after, 1)
    this.hold(this.bytesOf(after))
  }

  /** It holds so many bytes more, or fewer, of the memory that all groups share. */
  protected hold(bytes: number): void {
    this.#heldBytes += bytes
    this.context.shared.members.hold(bytes)
  }

  /** Whether the topics must be looked at again before the target is trusted. */
  isMetadataStale(nowMs: Milliseconds): boolean {
    const isOld = isPast(this.#trustedAtMs, refreshIntervalMs, nowMs)
    return isOld || this.#changedVersion > this.#seenVersion
  }

  /** The topics were looked at in their version `version`, and what came of it is committed. */
  trustMetadata(nowMs: Milliseconds, version: number): void {
    this.#trustedAtMs = nowMs
    this.#seenVersion = version
  }

  /** Whether it matters to the group what the topic looks like. */
  protected uses(topic: string): boolean {
    return this.isSubscribedTo(topic)
  }

  /** The next heartbeat looks at the topics again, if one of the group's is among the changed. */
  onTopicsChanged({ changed, deleted }: TopicChanges): void {
    const isConcerned = (name: string) => this.uses(name)
    if ([...changed].some(isConcerned) || [...deleted.values()].some(isConcerned)) {
      this.#changedVersion = this.context.topics.version
    }
  }

  end(_error: ErrorRow): void {
    this.deadlines.end()
    this.hold(-this.#heldBytes)
  }
}

/**
 * A member comes in its epoch; or in the one before if it has `noMore` than it was given then, as the answer
 * that told it of the new one may have been lost. Throws KafkaError FENCED_MEMBER_EPOCH.
 */
export function checkEpoch(
  type: GroupType,
  { memberEpoch, previousMemberEpoch }: ModernMember,
  epoch: number,
  noMore: () => boolean,
): void {
  if (epoch === memberEpoch) return
  if (epoch < memberEpoch && epoch === previousMemberEpoch && noMore()) return
  const which = epoch > memberEpoch ? 'greater' : 'smaller'
  throw new KafkaError(
    errors.FENCED_MEMBER_EPOCH,
    `The ${type} group member has a ${which} member epoch (${epoch}) than the one known by the ` +
      `group coordinator (${memberEpoch}). ` +
      'The member must abandon all its partitions and rejoin.',
  )
}

/**
 * Whether a target may be computed now: not twice within the interval (KIP-1263), unless nobody
 * knows when the last one was.
 */
export function mayAssign(
  assignedAtMs: Milliseconds,
  intervalMs: Milliseconds,
  nowMs: Milliseconds,
): boolean {
  return assignedAtMs === 0 || isPast(assignedAtMs, intervalMs, nowMs)
}

/**
 * Whether so much time has passed since, for all that is known: where the clock was set back meanwhile, it
 * may have. (Apache Kafka waits until that time comes again.)
 */
export function isPast(
  sinceMs: Milliseconds,
  intervalMs: Milliseconds,
  nowMs: Milliseconds,
): boolean {
  return nowMs < sinceMs || nowMs - sinceMs >= intervalMs
}
