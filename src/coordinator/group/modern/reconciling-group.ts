/**
 * What groups have in common whose members are brought to their target step by step (KIP-848, KIP-1071; see
 * `reconciliation.ts`), and commit offsets of what they were given meanwhile.
 *
 *   Assigning    the group's epoch is ahead of its target's: a target is still to be computed
 *   Reconciling  a member has not got to the target yet
 *   Stable       everybody has what it shall have
 */
import { type ErrorRow, errors, KafkaError } from '../../../../protocol/errors.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { CommitCheck, Committer } from '../group.ts'
import { leaveEpoch, ModernGroup, type ModernMember } from './modern-group.ts'
import { isReconciled, type MemberState, memberState } from './reconciliation.ts'

/** From here on OffsetCommit tells the member's epoch. */
const firstCommitVersionWithEpoch = 9

/** `O`: how it is told what it owns. */
export interface ReconcilingMember<O = unknown> extends ModernMember {
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** In which it has to give up what it lost; -1 before it said so. */
  readonly rebalanceTimeoutMs: Milliseconds
  readonly state: MemberState
  readonly assigned: O
  /** What it was told to give up and has not given up yet. */
  readonly pendingRevocation: O
}

export abstract class ReconcilingGroup<
  M extends ReconcilingMember = ReconcilingMember,
  T = unknown,
> extends ModernGroup<M, T> {
  /** For how long the member need not be heard of. */
  abstract sessionMs(member: M): Milliseconds
  /** In which epoch the member was given the partition; undefined if it does not hold it. */
  protected abstract givenIn(member: M, topicId: Uuid, partition: number): number | undefined

  /** Whether the member came with the classic protocol, which knows generations and no epochs. */
  isClassic(_member: M): boolean {
    return false
  }

  /** How far those are that are in it. */
  protected get progress(): 'Assigning' | 'Reconciling' | 'Stable' {
    const { assignmentEpoch } = this
    if (this.groupEpoch > assignmentEpoch) return 'Assigning'
    for (const member of this.members.values()) {
      if (!isReconciled(member, assignmentEpoch)) return 'Reconciling'
    }
    return 'Stable'
  }

  /**
   * Members commit in the epoch that they are in, or in an older one what they have been given until
   * then and not lost since (KIP-1251). Who assigns partitions itself may commit while nobody is in
   * the group.
   */
  checkCommit(committer: Committer): CommitCheck | null {
    const { memberId, groupInstanceId, memberEpoch, isTransactional, apiVersion } = committer
    if (memberEpoch < 0 && this.isEmpty) return null
    const isUntold = memberEpoch === -1 && memberId === '' && groupInstanceId === null
    if (isTransactional && isUntold) return null
    const member = this.member(memberId)
    const tellsEpoch = isTransactional || apiVersion >= firstCommitVersionWithEpoch
    if (!tellsEpoch && !this.isClassic(member)) throw new KafkaError(errors.UNSUPPORTED_VERSION)
    if (memberEpoch === member.memberEpoch) return null
    const stale = this.#staleEpoch(member)
    if (memberEpoch > member.memberEpoch) throw new KafkaError(stale)
    return (topicId, partition) => {
      const since = this.givenIn(member, topicId, partition)
      return since === undefined || memberEpoch < since ? stale : null
    }
  }

  checkFetch(memberId: string | null, memberEpoch: number): void {
    if (memberId === null && memberEpoch < 0) return
    const member = this.member(memberId ?? '')
    if (memberEpoch !== member.memberEpoch) throw new KafkaError(this.#staleEpoch(member))
  }

  #staleEpoch(member: M): ErrorRow {
    return this.isClassic(member) ? errors.ILLEGAL_GENERATION : errors.STALE_MEMBER_EPOCH
  }

  checkOffsetDelete(): void {
    // Topics that members read are known, and refused one by one.
  }

  /** What was recorded of how far the member is was taken away; it owns `nothing` then. */
  protected forgetCurrent(memberId: string, nothing: M['assigned']): void {
    const member = this.members.get(memberId)
    if (member === undefined) return
    this.setMember({
      ...member,
      memberEpoch: leaveEpoch,
      previousMemberEpoch: leaveEpoch,
      state: memberState.stable,
      assigned: nothing,
      pendingRevocation: nothing,
    })
  }
}
