/** Whether somebody is who they say they are: the checks that all requests of members share. */
import { type ErrorRow, errors } from '../../../../protocol/errors.ts'
import type { Committer } from '../group.ts'
import type { ClassicGroup } from './classic-group.ts'

/**
 * Null if `memberId` is a member; FENCED_INSTANCE_ID if its group.instance.id belongs to another
 * member now (KIP-345).
 */
export function memberError(
  group: ClassicGroup,
  memberId: string,
  groupInstanceId: string | null,
): ErrorRow | null {
  if (groupInstanceId !== null) {
    const holder = group.staticMemberId(groupInstanceId)
    if (holder === undefined) return errors.UNKNOWN_MEMBER_ID
    if (holder !== memberId) return errors.FENCED_INSTANCE_ID
  }
  return group.members.has(memberId) ? null : errors.UNKNOWN_MEMBER_ID
}

/** As `memberError`, for what must come from the current generation. */
export function generationError(
  group: ClassicGroup,
  memberId: string,
  groupInstanceId: string | null,
  generationId: number,
): ErrorRow | null {
  const error = memberError(group, memberId, groupInstanceId)
  if (error !== null) return error
  return generationId === group.generationId ? null : errors.ILLEGAL_GENERATION
}

/**
 * Transactions of older clients do not say who commits, and the others' members may commit while the
 * parts of the coming generation are given out: its transaction belongs to the one before.
 */
export function commitError(group: ClassicGroup, committer: Committer): ErrorRow | null {
  const { memberId, groupInstanceId, memberEpoch: generationId, isTransactional } = committer
  if (generationId < 0 && group.isEmpty) return null
  const isMember = generationId >= 0 || memberId !== '' || groupInstanceId !== null
  if (!isMember) return isTransactional || group.isEmpty ? null : errors.UNKNOWN_MEMBER_ID
  const error = generationError(group, memberId, groupInstanceId, generationId)
  if (error !== null || isTransactional) return error
  // The partitions of the coming generation are not given out yet: a commit would be a guess.
  return group.state === 'CompletingRebalance' ? errors.REBALANCE_IN_PROGRESS : null
}
