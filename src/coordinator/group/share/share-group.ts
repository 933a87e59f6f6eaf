/**
 * A share group (KIP-932), as recorded, and what follows from it: members, what each shall read, and the
 * partitions whose delivery state is set up. Empty without members, else Stable: who has to give up a
 * partition hinders nobody who gets it, so members go straight to their target.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import { TimelineValue } from '../../timeline.ts'
import type { GroupContext } from '../group.ts'
import { type Assignment, assignmentFrom, noPartitions } from '../modern/assignment.ts'
import { leaveEpoch, ModernGroup } from '../modern/modern-group.ts'
import { SubscriptionCounts } from '../modern/subscriptions.ts'
import type { GroupRecord, ShareGroupRecord } from '../records.ts'
import { memberBytes, newMember, type ShareMember } from './member.ts'
import { groupTombstones } from './records.ts'
import { expectSession } from './session.ts'
import { noStateTopics, type StateTopics, stateTopicsFrom } from './state-topics.ts'

export type ShareGroupState = 'Empty' | 'Stable'

export class ShareGroup extends ModernGroup<ShareMember, Assignment> {
  readonly type = 'share'
  readonly protocolType = 'share'
  readonly expires = false
  readonly subscriptions = new SubscriptionCounts()
  readonly #stateTopics: TimelineValue<StateTopics>

  constructor(groupId: string, context: GroupContext) {
    super(groupId, context)
    this.#stateTopics = new TimelineValue(context.timeline, noStateTopics)
  }

  get state(): ShareGroupState {
    return this.isEmpty ? 'Empty' : 'Stable'
  }

  get stateTopics(): StateTopics {
    return this.#stateTopics.value
  }

  targetOf(memberId: string): Assignment {
    return this.targets.get(memberId) ?? noPartitions
  }

  isSubscribedTo(topic: string): boolean {
    return this.subscriptions.has(topic)
  }

  checkCommit(): never {
    throw this.#hasNoOffsets()
  }

  checkFetch(): never {
    throw this.#hasNoOffsets()
  }

  checkOffsetDelete(): never {
    throw this.#hasNoOffsets()
  }

  #hasNoOffsets(): KafkaError {
    const message = `Group ${this.groupId} is not a consumer group.`
    return new KafkaError(errors.GROUP_ID_NOT_FOUND, message)
  }

  tombstones(): GroupRecord[] {
    return groupTombstones(this.groupId, this.members.keys())
  }

  onLoaded(): void {
    for (const memberId of this.members.keys()) expectSession(this, memberId)
  }

  apply(record: ShareGroupRecord): void {
    switch (record.kind) {
      case 'ShareGroupMetadata':
        if (record.value !== null) {
          this.setGroupEpoch(record.value.epoch, record.value.metadataHash)
        }
        break
      case 'ShareGroupMemberMetadata':
        this.#applyMember(record)
        break
      case 'ShareGroupTargetAssignmentMetadata':
        this.setTargetEpoch(record.value)
        break
      case 'ShareGroupTargetAssignmentMember': {
        const { memberId } = record.key
        if (record.value === null) this.targets.delete(memberId)
        else this.targets.set(memberId, assignmentFrom(record.value.topicPartitions))
        break
      }
      case 'ShareGroupCurrentMemberAssignment':
        this.#applyCurrent(record)
        break
      case 'ShareGroupStatePartitionMetadata': {
        const { value } = record
        const topics = value === null ? noStateTopics : stateTopicsFrom(value, this.context.now())
        this.#stateTopics.set(topics)
        break
      }
    }
  }

  #applyMember({ key, value }: RecordOf<'ShareGroupMemberMetadata'>): void {
    const { memberId } = key
    if (value === null) this.removeMember(memberId)
    else this.setMember({ ...(this.members.get(memberId) ?? newMember(memberId)), ...value })
  }

  #applyCurrent({ key, value }: RecordOf<'ShareGroupCurrentMemberAssignment'>): void {
    const { memberId } = key
    const before = this.members.get(memberId)
    if (value !== null) {
      const { memberEpoch, previousMemberEpoch } = value
      const assigned = assignmentFrom(value.assignedPartitions)
      const member = before ?? newMember(memberId)
      this.setMember({ ...member, memberEpoch, previousMemberEpoch, assigned })
    } else if (before !== undefined) {
      const epochs = { memberEpoch: leaveEpoch, previousMemberEpoch: leaveEpoch }
      this.setMember({ ...before, ...epochs, assigned: noPartitions })
    }
  }

  protected count(member: ShareMember, change: 1 | -1): void {
    this.subscriptions.countNames(member.subscribedTopicNames, change)
  }

  protected bytesOf(member: ShareMember): number {
    return memberBytes(member)
  }
}

type RecordOf<Kind extends ShareGroupRecord['kind']> = Extract<ShareGroupRecord, { kind: Kind }>
