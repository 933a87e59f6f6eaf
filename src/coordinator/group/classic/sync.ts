/**
 * SyncGroup: the leader brings everybody's part of the new generation, the others wait for it.
 * Parts are handed out when the generation is recorded; a member that asks later reads its part off
 * the group.
 */
import { type ErrorRow, errors } from '../../../../protocol/errors.ts'
import type {
  SyncGroupRequest,
  SyncGroupResponse,
} from '../../../../protocol/messages/sync-group.ts'
import type { Decision } from '../../shard.ts'
import { nothing } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import { answerSyncs, synced, syncFailed } from './assignment.ts'
import type { ClassicGroup } from './classic-group.ts'
import { generationRecord } from './generation-record.ts'
import { type Answer, type Member, noBytes } from './member.ts'
import { prepareRebalance } from './rebalance.ts'
import { generationError } from './validation.ts'

export function syncGroup(
  group: ClassicGroup,
  request: SyncGroupRequest,
  answer: Answer<SyncGroupResponse>,
): Decision<GroupRecord, void> {
  const error = syncError(group, request)
  if (error !== null) {
    answer(syncFailed(error))
    return nothing
  }
  const member = group.members.get(request.memberId) as Member
  group.pendingSyncs.delete(member.memberId)
  if (group.pendingSyncs.size === 0) group.clearSyncDeadline()
  if (group.state === 'Stable') {
    answer(synced(group, member))
    return nothing
  }
  member.syncAnswer = answer
  return group.isLeader(member.memberId) ? assign(group, request) : nothing
}

function syncError(group: ClassicGroup, request: SyncGroupRequest): ErrorRow | null {
  if (group.state === 'Empty') return errors.UNKNOWN_MEMBER_ID
  const { memberId, groupInstanceId, generationId } = request
  const error = generationError(group, memberId, groupInstanceId, generationId)
  if (error !== null) return error
  const isConsistent =
    agrees(request.protocolType, group.protocolType) &&
    agrees(request.protocolName, group.protocolName)
  if (!isConsistent) return errors.INCONSISTENT_GROUP_PROTOCOL
  return group.state === 'PreparingRebalance' ? errors.REBALANCE_IN_PROGRESS : null
}

function agrees(said: string | null, known: string | null): boolean {
  return said === null || known === null || said === known
}

/**
 * Records the leader's assignment; if a rebalance starts before it is committed, it counts no more.
 */
function assign(group: ClassicGroup, request: SyncGroupRequest): Decision<GroupRecord, void> {
  const { generationId } = group
  const parts = new Map<string, Buffer>()
  for (const { memberId, assignment } of request.assignments) {
    parts.set(memberId, Buffer.from(assignment))
  }
  const isCurrent = () =>
    group.state === 'CompletingRebalance' && group.generationId === generationId
  return {
    records: [generationRecord(group, parts)],
    reply: undefined,
    onCommitted: () => {
      if (!isCurrent()) return
      for (const member of group.members.values()) {
        member.assignment = parts.get(member.memberId) ?? noBytes
      }
      group.moveTo('Stable')
      answerSyncs(group, null)
    },
    onFailed: (error) => {
      if (!isCurrent()) return
      answerSyncs(group, error)
      prepareRebalance(group, `the assignment could not be written: ${error.name}`)
    },
  }
}
