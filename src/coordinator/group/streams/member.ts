/** One member of a streams group, as recorded; never changed, only replaced. */
import type { StreamsGroupMemberMetadataValue } from '../../../../protocol/state/streams-group-records.ts'
import { memberState } from '../modern/reconciliation.ts'
import type { ReconcilingMember } from '../modern/reconciling-group.ts'
import { memberOverheadBytes } from '../shared-limits.ts'
import { noTasks, type OwnedTasks, sameOwnedTasks, taskCount } from './tasks.ts'

export type Endpoint = NonNullable<StreamsGroupMemberMetadataValue['userEndpoint']>
export type ClientTag = StreamsGroupMemberMetadataValue['clientTags'][number]

export interface StreamsMember extends ReconcilingMember<OwnedTasks> {
  /** -1 before it said which topology it runs. */
  readonly topologyEpoch: number
  /** Members of one process share its state: a task is in a process once at most. */
  readonly processId: string
  /** Where its state can be queried. */
  readonly userEndpoint: Endpoint | null
  /** Each key once, in the order of the keys. */
  readonly clientTags: readonly ClientTag[]
}

/** A member about which nothing is known yet. */
export function newMember(memberId: string): StreamsMember {
  return {
    memberId,
    memberEpoch: 0,
    previousMemberEpoch: 0,
    instanceId: null,
    rackId: null,
    clientId: '',
    clientHost: '',
    rebalanceTimeoutMs: -1,
    topologyEpoch: -1,
    processId: '',
    userEndpoint: null,
    clientTags: [],
    state: memberState.stable,
    assigned: noTasks,
    pendingRevocation: noTasks,
  }
}

/** Whether what is recorded of the member beside its assignment is the same. */
export function saysTheSame(a: StreamsMember, b: StreamsMember): boolean {
  return (
    a.instanceId === b.instanceId &&
    a.rackId === b.rackId &&
    a.clientId === b.clientId &&
    a.clientHost === b.clientHost &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
    a.topologyEpoch === b.topologyEpoch &&
    a.processId === b.processId &&
    a.userEndpoint?.host === b.userEndpoint?.host &&
    a.userEndpoint?.port === b.userEndpoint?.port &&
    a.clientTags.length === b.clientTags.length &&
    a.clientTags.every(({ key, value }, at) => {
      const other = b.clientTags[at]
      return key === other?.key && value === other.value
    })
  )
}

/** Whether what is recorded of the member's assignment is the same. */
export function hasTheSame(a: StreamsMember, b: StreamsMember): boolean {
  return (
    a.memberEpoch === b.memberEpoch &&
    a.previousMemberEpoch === b.previousMemberEpoch &&
    a.state === b.state &&
    sameOwnedTasks(a.assigned, b.assigned) &&
    sameOwnedTasks(a.pendingRevocation, b.pendingRevocation)
  )
}

const bytesPerTask = 32

/** What it holds of the memory that all groups share. */
export function memberBytes(member: StreamsMember): number {
  const { memberId, clientId, clientHost, instanceId, rackId, processId, userEndpoint } = member
  const texts = [memberId, clientId, clientHost, instanceId, rackId, processId, userEndpoint?.host]
  const textBytes = texts.reduce((bytes, text) => bytes + (text?.length ?? 0), 0)
  const tagBytes = member.clientTags.reduce(
    (bytes, { key, value }) => bytes + key.length + value.length + bytesPerTask,
    0,
  )
  const tasks = taskCount(member.assigned) + taskCount(member.pendingRevocation)
  return memberOverheadBytes + textBytes + tagBytes + tasks * bytesPerTask
}
