/**
 * A classic group as it lives: who is a member now, who is awaited, and how far its rebalance is.
 *
 *   Empty --join--> PreparingRebalance --all joined, or time is up--> CompletingRebalance
 *     ^                 |    ^    ^                                          |
 *     |  nobody joined  |    |    +-- a member changed, left or died --------+
 *     +-----------------+    +-- a member changed, left or died -- Stable <--+ the leader's
 *                                                                    assignment is committed
 *
 * Everything here is what a restart may forget. What it must not forget is a `GroupMetadata`
 * record, written whenever a generation is assigned or emptied; `fromMetadata` makes a group of it
 * again. A group that is not here is what DescribeGroups calls Dead.
 */
import { type ErrorRow, errors, KafkaError } from '../../../../protocol/errors.ts'
import type { JoinGroupResponse } from '../../../../protocol/messages/join-group.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import { inTurns } from '../../../environment/in-turns.ts'
import type { Deadline } from '../../deadlines.ts'
import type { Decision } from '../../shard.ts'
import type { CommitCheck, Committer, Group, GroupContext } from '../group.ts'
import type { CommittedOffset } from '../partition-offsets.ts'
import type { GroupRecord } from '../records.ts'
import { memberOverheadBytes } from '../shared-limits.ts'
import { syncFailed } from './assignment.ts'
import type { GroupMetadata } from './generation-record.ts'
import { HandOut } from './hand-out.ts'
import { joinFailed } from './join-answer.ts'
import { type Answer, Member } from './member.ts'
import { prepareRebalance } from './rebalance.ts'
import { type ConsumerTopics, subscribedTopics } from './subscription.ts'
import { commitError } from './validation.ts'

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

const previousStates: Readonly<Record<GroupState, readonly GroupState[]>> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
}

export class ClassicGroup implements Group {
  readonly groupId: string
  readonly type = 'classic'
  readonly expires = true
  readonly context: GroupContext
  generationId = 0
  /** Null until the first member came. */
  protocolType: string | null = null
  /** Chosen for the current generation. */
  protocolName: string | null = null
  leaderId: string | null = null
  /** When the state last changed; -1 if that is not known. */
  stateSinceMs: Milliseconds
  /** What the members of the last generation subscribed to; null if that cannot be known. */
  topics: ConsumerTopics = null
  readonly members = new Map<string, Member>()
  /** Members that were given an id and are expected to join with it. */
  readonly pendingJoins = new Map<string, Deadline>()
  /** Members of this generation that did not send SyncGroup yet. */
  readonly pendingSyncs = new Set<string>()
  /** During the first rebalance of an empty group: somebody joined since the delay last began. */
  newMemberAdded = false
  #state: GroupState = 'Empty'
  #previousState: GroupState | null = null
  /** group.instance.id -> member id. */
  readonly #staticMembers = new Map<string, string>()
  #awaitingJoin = 0
  /** How many members know each protocol. */
  readonly #protocolCounts = new Map<string, number>()
  /** Of the memory that all groups share. */
  #heldBytes = 0
  #hasEnded = false
  #joinDeadline: Deadline | null = null
  #syncDeadline: Deadline | null = null

  constructor(groupId: string, context: GroupContext) {
    this.groupId = groupId
    this.context = context
    this.stateSinceMs = context.now()
  }

  /** The group as the record left it; sessions of its members are not running yet. */
  static fromMetadata(
    groupId: string,
    metadata: GroupMetadata,
    context: GroupContext,
    expire: (group: ClassicGroup, memberId: string) => Decision<GroupRecord, void>,
  ): ClassicGroup {
    const group = new ClassicGroup(groupId, context)
    for (const { assignment, subscription, ...stored } of metadata.members) {
      const protocols = [{ name: metadata.protocolName ?? '', metadata: subscription }]
      const session = context.deadline(group, () => expire(group, stored.memberId))
      const member = new Member({ ...stored, protocols }, session)
      member.assignment = assignment
      group.add(member)
    }
    group.#state = metadata.members.length > 0 ? 'Stable' : 'Empty'
    group.generationId = metadata.generationId
    group.protocolType = metadata.protocolType
    group.protocolName = metadata.protocolName
    group.leaderId = metadata.leaderId
    group.stateSinceMs = metadata.stateSinceMs
    group.#learnTopics()
    return group
  }

  get state(): GroupState {
    return this.#state
  }

  get previousState(): GroupState | null {
    return this.#previousState
  }

  /** Its members are consumers, whose subscriptions the broker can read. */
  get isConsumerGroup(): boolean {
    return this.protocolType === 'consumer'
  }

  moveTo(state: GroupState): void {
    if (!previousStates[state].includes(this.#state)) {
      throw new Error(`group ${this.groupId} cannot go from ${this.#state} to ${state}`)
    }
    this.#previousState = this.#state
    this.#state = state
    this.stateSinceMs = this.context.now()
  }

  isLeader(memberId: string): boolean {
    return this.leaderId === memberId
  }

  staticMemberId(groupInstanceId: string): string | undefined {
    return this.#staticMembers.get(groupInstanceId)
  }

  add(member: Member): void {
    const { memberId, groupInstanceId } = member
    if (groupInstanceId !== null) this.#staticMembers.set(groupInstanceId, memberId)
    this.leaderId ??= memberId
    const old = this.members.get(memberId)
    if (old !== undefined) this.#count(old, -1)
    this.members.set(memberId, member)
    this.#count(member, 1)
    if (member.isAwaitingJoin) this.#awaitingJoin++
    this.#forgetPendingJoin(memberId)
  }

  /**
   * Takes out a member, or somebody who was only expected to join. Parked answers stay unanswered.
   */
  remove(memberId: string): void {
    const member = this.members.get(memberId)
    if (member !== undefined) {
      this.members.delete(memberId)
      this.#count(member, -1)
      member.session.clear()
      if (member.isAwaitingJoin) this.#awaitingJoin--
      if (member.groupInstanceId !== null) this.#staticMembers.delete(member.groupInstanceId)
    }
    if (this.isLeader(memberId)) this.leaderId = this.members.keys().next().value ?? null
    this.#forgetPendingJoin(memberId)
    this.pendingSyncs.delete(memberId)
  }

  /** A member says anew what it knows and how long it takes. */
  update(member: Member, said: Parameters<Member['update']>[0]): void {
    this.#count(member, -1)
    member.update(said)
    this.#count(member, 1)
  }

  /** Somebody was given an id, and is to join with it until the deadline passes. */
  expect(memberId: string, deadline: Deadline): void {
    this.pendingJoins.set(memberId, deadline)
    this.#hold(memberId.length + memberOverheadBytes)
  }

  /** Puts a member in the place of another that has the same group.instance.id. */
  replaceStatic(old: Member, member: Member): void {
    const wasLeader = this.isLeader(old.memberId)
    const wasPendingSync = this.pendingSyncs.has(old.memberId)
    this.remove(old.memberId)
    this.add(member)
    if (wasLeader) this.leaderId = member.memberId
    if (wasPendingSync) this.pendingSyncs.add(member.memberId)
  }

  /**
   * Parks a JoinGroup; an older one of the same member is never answered, its client gave it up.
   */
  parkJoin(member: Member, answer: Answer<JoinGroupResponse>): void {
    if (!member.isAwaitingJoin) this.#awaitingJoin++
    member.joinAnswer = answer
  }

  /** Where the member waits for an answer it is taken out, and has to be given; null if it does not wait. */
  takeJoin(member: Member): Answer<JoinGroupResponse> | null {
    const answer = member.joinAnswer
    if (answer === null) return null
    member.joinAnswer = null
    this.#awaitingJoin--
    return answer
  }

  /** A sign of life of somebody who may have gone meanwhile. */
  touch(member: Member): void {
    if (this.members.get(member.memberId) === member) member.touch()
  }

  answerJoin(member: Member, response: JoinGroupResponse): void {
    this.takeJoin(member)?.(response)
  }

  get awaitingJoinCount(): number {
    return this.#awaitingJoin
  }

  get hasAllMembersJoined(): boolean {
    return this.#awaitingJoin === this.members.size && this.pendingJoins.size === 0
  }

  /** The longest time that a member takes to join again. */
  get rebalanceTimeoutMs(): Milliseconds {
    let longest = 0
    for (const member of this.members.values()) {
      longest = Math.max(longest, member.rebalanceTimeoutMs)
    }
    return longest
  }

  /** Ends the join phase at `decide` in `delayMs`, instead of whatever was to end it before. */
  scheduleJoin(delayMs: Milliseconds, decide: () => Decision<GroupRecord, void>): void {
    this.clearJoinDeadline()
    this.#joinDeadline = this.context.deadline(this, decide)
    this.#joinDeadline.set(delayMs)
  }

  clearJoinDeadline(): void {
    this.#joinDeadline?.clear()
  }

  scheduleSync(delayMs: Milliseconds, decide: () => Decision<GroupRecord, void>): void {
    this.clearSyncDeadline()
    this.#syncDeadline = this.context.deadline(this, decide)
    this.#syncDeadline.set(delayMs)
  }

  clearSyncDeadline(): void {
    this.#syncDeadline?.clear()
  }

  get isEmpty(): boolean {
    return this.#state === 'Empty'
  }

  /** Not while somebody who was given an id is expected to join with it. */
  get isOver(): boolean {
    return this.isEmpty && this.pendingJoins.size === 0
  }

  isSubscribedTo(topic: string): boolean {
    // A group of consumers whose topics are unknown may use all.
    return this.topics === null ? this.isConsumerGroup : this.topics.has(topic)
  }

  /**
   * Counted since the group became empty, if it had members; since the commit, if it never had any,
   * or if it is a stable group of consumers, which do not use all topics any more.
   */
  retentionStartMs(offset: CommittedOffset): Milliseconds | null {
    if (this.protocolType === null) return offset.commitTimestampMs
    if (this.isEmpty) {
      return this.stateSinceMs === -1 ? offset.commitTimestampMs : this.stateSinceMs
    }
    const isKnown = this.isConsumerGroup && this.topics !== null && this.#state === 'Stable'
    return isKnown ? offset.commitTimestampMs : null
  }

  /**
   * Members commit in their generation. A consumer that assigns its partitions itself has none, and
   * may commit as long as the group has no members.
   */
  checkCommit(committer: Committer): CommitCheck | null {
    const error = commitError(this, committer)
    if (error !== null) throw new KafkaError(error)
    const isAlive = this.#state === 'Stable' || this.#state === 'PreparingRebalance'
    if (isAlive && !committer.isTransactional) this.members.get(committer.memberId)?.touch()
    return null
  }

  checkFetch(): void {
    // Whoever asks may know.
  }

  checkOffsetDelete(): void {
    // Of other members than consumers nobody knows what they use.
    if (!this.isEmpty && !this.isConsumerGroup) throw new KafkaError(errors.NON_EMPTY_GROUP)
  }

  tombstones(): GroupRecord[] {
    return [{ kind: 'group', groupId: this.groupId, value: null }]
  }

  /**
   * Members are given a whole session to show up; a group that has become too large sorts itself
   * out.
   */
  onLoaded(): void {
    for (const member of this.members.values()) member.touch()
    if (this.members.size <= this.context.config().groupMaxSize) return
    this.context.write(() => prepareRebalance(this, 'the group is over its maximum size'))
  }

  /** It holds no memory of the shared any more, either. */
  end(error: ErrorRow): void {
    this.#hold(-this.#heldBytes)
    this.#hasEnded = true
    this.clearJoinDeadline()
    this.clearSyncDeadline()
    for (const deadline of this.pendingJoins.values()) deadline.clear()
    for (const member of this.members.values()) member.session.clear()
    this.answerAll(error)
  }

  /** Whoever waits waits no more. */
  answerAll(error: ErrorRow): void {
    const handOut = new HandOut()
    for (const member of this.members.values()) {
      const join = this.takeJoin(member)
      if (join !== null) handOut.add(join, joinFailed(member.memberId, error))
      const sync = member.takeSync()
      if (sync !== null) handOut.add(sync, syncFailed(error))
    }
    handOut.begin(this.context)
  }

  /** Chooses protocol and leader's view for the members that joined; Empty if there is none. */
  nextGeneration(): void {
    this.generationId++
    this.protocolName = this.members.size > 0 ? this.selectProtocol() : null
    this.#learnTopics()
    this.moveTo(this.members.size > 0 ? 'CompletingRebalance' : 'Empty')
    this.pendingSyncs.clear()
  }

  /** Of a large group in turns with everybody else; until it is done the group may use all topics. */
  #learnTopics(): void {
    const { protocolName, generationId } = this
    const members = [...this.members.values()]
    this.topics = null
    if (!this.isConsumerGroup || (members.length > 0 && protocolName === null)) return
    const said = members.map((member) => member.metadataOf(protocolName))
    const learned = inTurns(this.context.turns, subscribedTopics(said))
    if (learned instanceof Promise) {
      void learned.then((topics) => {
        if (this.generationId === generationId) this.topics = topics
      })
    } else {
      this.topics = learned
    }
  }

  /** Every member votes for the first protocol of its own that all members know; most votes win. */
  selectProtocol(): string {
    const candidates = this.#commonProtocols()
    const votes = new Map<string, number>()
    for (const member of this.members.values()) {
      const choice = member.vote(candidates)
      if (choice !== undefined) votes.set(choice, (votes.get(choice) ?? 0) + 1)
    }
    let winner: string | undefined
    for (const [name, count] of votes) {
      if (winner === undefined || count > (votes.get(winner) ?? 0)) winner = name
    }
    if (winner === undefined) throw new Error(`group ${this.groupId} has no protocol in common`)
    return winner
  }

  /** Whether somebody of this type who knows these protocols fits in with the members. */
  supports(protocolType: string, names: readonly string[]): boolean {
    if (this.#state === 'Empty') return protocolType !== '' && names.length > 0
    if (this.protocolType !== protocolType) return false
    const common = this.#commonProtocols()
    return this.members.size === 0 ? names.length > 0 : names.some((name) => common.has(name))
  }

  #commonProtocols(): Set<string> {
    const common = new Set<string>()
    for (const [name, count] of this.#protocolCounts) {
      if (count === this.members.size) common.add(name)
    }
    return common
  }

  #hold(bytes: number): void {
    if (this.#hasEnded) return
    this.#heldBytes += bytes
    this.context.shared.members.hold(bytes)
  }

  #count(member: Member, change: 1 | -1): void {
    this.#hold(change * member.bytes)
    const { protocols } = member
    for (const name of new Set(protocols.map(({ name }) => name))) {
      const count = (this.#protocolCounts.get(name) ?? 0) + change
      if (count === 0) this.#protocolCounts.delete(name)
      else this.#protocolCounts.set(name, count)
    }
  }

  #forgetPendingJoin(memberId: string): void {
    const deadline = this.pendingJoins.get(memberId)
    if (deadline === undefined) return
    deadline.clear()
    this.pendingJoins.delete(memberId)
    this.#hold(-memberId.length - memberOverheadBytes)
  }
}
