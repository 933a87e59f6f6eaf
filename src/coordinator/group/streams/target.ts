/** The target of a streams group, computed anew when the group's epoch is ahead of it. */

import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import { type GroupContext, nothing } from '../group.ts'
import { mayAssign } from '../modern/modern-group.ts'
import type { GroupRecord } from '../records.ts'
import type { ConfiguredTopology } from './configured-topology.ts'
import { streamsGroupOrNull } from './leave.ts'
import type { StreamsMember } from './member.ts'
import { targetEpochRecord, targetRecord } from './records.ts'
import { type Status, status, statusCode } from './status.ts'
import { assignSticky, type MemberSpec } from './sticky-assignor.ts'
import type { StreamsGroup } from './streams-group.ts'
import { noTasks, sameTasks, type Tasks } from './tasks.ts'

/** A decision on a streams group in the making: the group as it is, and what is to be recorded of it. */
export interface Draft {
  readonly group: StreamsGroup
  readonly records: GroupRecord[]
  readonly nowMs: Milliseconds
}

export interface MemberTarget {
  readonly epoch: number
  readonly tasks: Tasks
  /** Why it is an old one; null: it is not. */
  readonly delay: Status | null
}

/** The setting with which tasks are assigned, as it is recorded. */
const standbySetting = 'num.standby.replicas'

export function assignmentConfigs(
  context: GroupContext,
  groupId: string,
): ReadonlyMap<string, string> {
  const replicas = context.setting(groupId, 'streams.num.standby.replicas')
  return new Map([[standbySetting, String(replicas)]])
}

/** What `said` shall have, and in which epoch; records a new target if one is due. */
export function currentTarget(
  draft: Draft,
  said: StreamsMember,
  groupEpoch: number,
  configured: ConfiguredTopology,
): MemberTarget {
  const { group, nowMs } = draft
  const { context, groupId, assignmentEpoch: epoch } = group
  const delayMs = context.setting(groupId, 'streams.initial.rebalance.delay.ms')
  if (delayMs > 0 && (group.isEmpty || group.isGathering)) {
    return { epoch, tasks: noTasks, delay: delayed('initial rebalance delay') }
  }
  const tasks = group.targetOf(said.memberId)
  if (epoch >= groupEpoch) return { epoch, tasks, delay: null }
  const intervalMs = context.setting(groupId, 'streams.assignment.interval.ms')
  if (!mayAssign(group.assignedAtMs, intervalMs, nowMs)) {
    return { epoch, tasks, delay: delayed('assignment interval') }
  }
  const members = new Map(group.members).set(said.memberId, said)
  const configs = assignmentConfigs(context, groupId)
  const targets = newTarget(draft, { members, groupEpoch, configured, configs })
  return { epoch: groupEpoch, tasks: targets.get(said.memberId) ?? noTasks, delay: null }
}

function delayed(by: string): Status {
  return status(statusCode.assignmentDelayed, `Assignment delayed due to the configured ${by}.`)
}

/** The first target, once those who came together had the time to. */
export function assignGathered(
  context: GroupContext,
  groupId: string,
  nowMs: Milliseconds,
): Decision<GroupRecord, void> {
  const group = streamsGroupOrNull(context, groupId)
  if (group === null || group.isEmpty || group.topology === null) return nothing
  if (group.groupEpoch <= group.assignmentEpoch) return nothing
  const { members, groupEpoch, assignmentConfigs: configs, topology, metadataHash } = group
  // Topics that changed meanwhile have another hash: the next heartbeat sees that, and assigns anew.
  const hash = context.hashes.of(topology.requiredTopics)
  if (hash !== metadataHash) return nothing
  const records: GroupRecord[] = []
  const configured = group.configured(topology, hash)
  newTarget({ group, records, nowMs }, { members, groupEpoch, configured, configs })
  return { records, reply: undefined }
}

interface Assigned {
  readonly members: ReadonlyMap<string, StreamsMember>
  readonly groupEpoch: number
  readonly configured: ConfiguredTopology
  readonly configs: ReadonlyMap<string, string>
}

/** Records what became different. While something hinders the application, nobody has anything. */
function newTarget(
  { group, records, nowMs }: Draft,
  { members, groupEpoch, configured, configs }: Assigned,
): ReadonlyMap<string, Tasks> {
  const { groupId, context } = group
  const specs = new Map<string, MemberSpec>()
  for (const [memberId, { processId }] of members) {
    specs.set(memberId, { processId, before: group.targetOf(memberId) })
  }
  const isReady = configured.hindrance === null && configured.subtopologies !== null
  const targets = assignSticky({
    members: specs,
    subtopologies: isReady ? [...(configured.subtopologies?.values() ?? [])] : [],
    standbyReplicas: Number(configs.get(standbySetting) ?? 0),
  })
  for (const [memberId, target] of targets) {
    const before = group.targets.get(memberId)
    if (before === undefined || !sameTasks(before, target)) {
      records.push(targetRecord(groupId, memberId, target))
    }
  }
  records.push(targetEpochRecord(groupId, groupEpoch, nowMs))
  const fields = { groupId, groupEpoch, members: members.size }
  context.shared.tell(context.log, nowMs, 'streams group has a target', fields)
  return targets
}
