/** Handing out what the leader assigned: the answers to SyncGroup. */
import type { ErrorRow } from '../../../../protocol/errors.ts'
import type { SyncGroupResponse } from '../../../../protocol/messages/sync-group.ts'
import type { ClassicGroup } from './classic-group.ts'
import { HandOut } from './hand-out.ts'
import { type Member, noBytes } from './member.ts'

/**
 * Answers every parked SyncGroup, with its part or with an error, which takes the parts away.
 * Sessions of those answered start again: while they waited, theirs may have run out unnoticed.
 */
export function answerSyncs(group: ClassicGroup, error: ErrorRow | null): void {
  const handOut = new HandOut()
  for (const member of group.members.values()) {
    if (error !== null) member.assignment = noBytes
    const answer = member.takeSync()
    if (answer === null) continue
    const response = error === null ? synced(group, member) : syncFailed(error)
    handOut.add(answer, response, () => group.touch(member))
  }
  handOut.begin(group.context)
}

export function synced(group: ClassicGroup, member: Member): SyncGroupResponse {
  return {
    errorCode: 0,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    assignment: member.assignment,
  }
}

export function syncFailed(error: ErrorRow): SyncGroupResponse {
  return { errorCode: error.code, assignment: noBytes }
}
