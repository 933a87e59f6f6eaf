/** Who a heartbeat is from, what it says of itself, and whether it may be so. */
import type { StreamsGroupHeartbeatRequest } from '../../../../protocol/messages/streams-group-heartbeat.ts'
import type { Caller } from '../group.ts'
import { isSubset } from '../modern/assignment.ts'
import { invalid } from '../modern/invalid-heartbeat.ts'
import { checkEpoch } from '../modern/modern-group.ts'
import type { ConfiguredTopology } from './configured-topology.ts'
import { type ClientTag, newMember, type StreamsMember } from './member.ts'
import type { ToldTasks } from './reconcile.ts'
import type { StreamsGroup } from './streams-group.ts'
import { type TaskIds, taskKinds } from './tasks.ts'

/** Throws KafkaError UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH. */
export function findMember(
  group: StreamsGroup,
  request: StreamsGroupHeartbeatRequest,
): StreamsMember {
  const { memberId, memberEpoch } = request
  // Epoch 0 is always welcome: it starts over.
  if (memberEpoch === 0) return group.members.get(memberId) ?? newMember(memberId)
  const member = group.member(memberId)
  checkEpoch('streams', member, memberEpoch, () => ownsNoMore(member, toldTasks(request)))
  return member
}

function ownsNoMore({ assigned }: StreamsMember, told: ToldTasks): boolean {
  if (told === null) return false
  return taskKinds.every((kind) => {
    const owned = told[kind].map(({ subtopologyId: topicId, partitions }) => ({
      topicId,
      partitions,
    }))
    return isSubset(owned, assigned[kind])
  })
}

export function toldTasks(request: StreamsGroupHeartbeatRequest): ToldTasks {
  const { activeTasks: active, standbyTasks: standby, warmupTasks: warmup } = request
  return active === null || standby === null || warmup === null ? null : { active, standby, warmup }
}

/** Null is no change. */
export function updated(
  member: StreamsMember,
  request: StreamsGroupHeartbeatRequest,
  { clientId, clientHost }: Caller,
): StreamsMember {
  const { rebalanceTimeoutMs, clientTags } = request
  return {
    ...member,
    instanceId: null,
    rackId: request.rackId ?? member.rackId,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : rebalanceTimeoutMs,
    topologyEpoch: request.topology?.epoch ?? member.topologyEpoch,
    processId: request.processId ?? member.processId,
    userEndpoint: request.userEndpoint ?? member.userEndpoint,
    clientTags: clientTags === null ? member.clientTags : distinctTags(clientTags),
    clientId,
    clientHost,
  }
}

function distinctTags(tags: readonly ClientTag[]): ClientTag[] {
  const values = new Map(tags.map(({ key, value }) => [key, value]))
  return [...values]
    .map(([key, value]) => ({ key, value }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** Whether the tasks that the member says it owns exist. Throws KafkaError INVALID_REQUEST. */
export function checkTasks(
  { subtopologies }: ConfiguredTopology,
  request: StreamsGroupHeartbeatRequest,
): void {
  const told: readonly TaskIds[] = [
    ...(request.activeTasks ?? []),
    ...(request.standbyTasks ?? []),
    ...(request.warmupTasks ?? []),
  ]
  for (const { subtopologyId, partitions } of told) {
    const subtopology = subtopologies?.get(subtopologyId)
    if (subtopology === undefined) {
      throw invalid(`Subtopology ${subtopologyId} does not exist in the topology.`)
    }
    const { taskCount } = subtopology
    const unknown = partitions.find((partition) => partition < 0 || partition >= taskCount)
    if (unknown === undefined) continue
    throw invalid(
      `Task ${unknown} for subtopology ${subtopologyId} is invalid. ` +
        `Number of tasks for this subtopology: ${taskCount}`,
    )
  }
}
