/**
 * The steps that bring a member of a streams group to its target (see `modern/reconciliation.ts`). A task
 * is given only where no other process runs it, and the member's own process has no copy of it left.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import {
  isReconciled,
  memberState,
  type Steps,
  stepsBetween,
  withFree,
} from '../modern/reconciliation.ts'
import { hasTheSame, type StreamsMember } from './member.ts'
import { currentRecord } from './records.ts'
import type { StreamsGroup } from './streams-group.ts'
import type { Draft, MemberTarget } from './target.ts'
import {
  anyOwned,
  byKind,
  noTasks,
  type OwnedTasks,
  sameOwnedTasks,
  type TaskIds,
  type TaskKind,
  taskKinds,
} from './tasks.ts'

/** What a member says that it owns; null where it does not say: then it may own anything. */
export type ToldTasks = Readonly<Record<TaskKind, readonly TaskIds[]>> | null

/** The member after the next step; recorded if there was one. Throws KafkaError FENCED_MEMBER_EPOCH. */
export function reconcile(
  { group, records }: Draft,
  member: StreamsMember,
  target: MemberTarget,
  owned: ToldTasks,
): StreamsMember {
  if (isReconciled(member, target.epoch)) return member
  const next = step(group, member, target, owned)
  if (next === member || hasTheSame(next, member)) return member
  records.push(currentRecord(group.groupId, next))
  // What did not change is the same object still: the member need not be told of it.
  const isSame = sameOwnedTasks(next.assigned, member.assigned)
  return isSame ? { ...next, assigned: member.assigned } : next
}

function step(
  group: StreamsGroup,
  member: StreamsMember,
  target: MemberTarget,
  owned: ToldTasks,
): StreamsMember {
  const { memberEpoch } = member
  switch (member.state) {
    case memberState.stable:
    case memberState.unreleased:
      return approach(group, member, target, owned, memberEpoch)
    case memberState.unrevoked:
      if (mayOwn(owned, member.pendingRevocation)) return member
      return approach(group, member, target, owned, memberEpoch + 1)
    case memberState.unknown:
      // Of a later version: it starts over, without tasks.
      if (owned === null || taskKinds.some((kind) => owned[kind].length > 0)) {
        throw new KafkaError(
          errors.FENCED_MEMBER_EPOCH,
          'The streams group member is in a unknown state. ' +
            'The member must abandon all its tasks and rejoin.',
        )
      }
      return approach(group, member, target, owned, target.epoch)
  }
}

/** Takes away, gives, or waits, whichever is next. `epoch`: the member's while it gives up tasks. */
function approach(
  group: StreamsGroup,
  member: StreamsMember,
  target: MemberTarget,
  owned: ToldTasks,
  epoch: number,
): StreamsMember {
  const steps = byKind((kind) => stepsOf(group, member, target, kind))
  const revoked = byKind((kind) => steps[kind].revoked)
  const { memberEpoch: previousMemberEpoch } = member
  if (taskKinds.some((kind) => revoked[kind].size > 0) && mayOwn(owned, revoked)) {
    return {
      ...member,
      state: memberState.unrevoked,
      memberEpoch: epoch,
      previousMemberEpoch,
      assigned: byKind((kind) => steps[kind].kept),
      pendingRevocation: revoked,
    }
  }
  const hasUnreleased = taskKinds.some((kind) => steps[kind].hasUnreleased)
  return {
    ...member,
    state: hasUnreleased ? memberState.unreleased : memberState.stable,
    memberEpoch: target.epoch,
    previousMemberEpoch,
    assigned: byKind((kind) => withFree(steps[kind], kind === 'active' ? target.epoch : 0)),
    pendingRevocation: noTasks,
  }
}

function stepsOf(
  { holders }: StreamsGroup,
  { processId, assigned }: StreamsMember,
  { tasks }: MemberTarget,
  kind: TaskKind,
): Steps {
  return stepsBetween(assigned[kind], tasks[kind], (subtopologyId, partition) => {
    const activeIn = holders.activeIn(subtopologyId, partition)
    const isActive = kind === 'active' ? activeIn !== undefined : activeIn === processId
    return isActive || holders.hasCopy(processId, subtopologyId, partition)
  })
}

/** A member that does not say what it owns may own all it had. */
function mayOwn(owned: ToldTasks, tasks: OwnedTasks): boolean {
  return owned === null || taskKinds.some((kind) => anyOwned(owned[kind], tasks[kind]))
}
