/** Heartbeat: a member lives, and hears whether its group rebalances. */
import { type ErrorRow, errors } from '../../../../protocol/errors.ts'
import type { HeartbeatRequest } from '../../../../protocol/messages/heartbeat.ts'
import type { ClassicGroup } from './classic-group.ts'
import { generationError } from './validation.ts'

/** NONE, also between joining and syncing, when clients begin to send heartbeats. */
export function heartbeat(group: ClassicGroup | null, request: HeartbeatRequest): ErrorRow {
  if (group === null) return errors.UNKNOWN_MEMBER_ID
  const { memberId, groupInstanceId, generationId } = request
  const error = generationError(group, memberId, groupInstanceId, generationId)
  if (error !== null) return error
  group.members.get(memberId)?.touch()
  return group.state === 'PreparingRebalance' ? errors.REBALANCE_IN_PROGRESS : errors.NONE
}
