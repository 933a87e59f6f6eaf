/**
 * StreamsGroupHeartbeat: the one request of a member. It joins with epoch 0 and brings its topology, says
 * what it owns and hears what to own; with epoch -1 it leaves.
 *
 *   1. the member, new or changed, and the topology of a new group are recorded;
 *   2. the topology is held against the topics (`configured-topology.ts`); if the member, the topics or
 *      the settings are not as they were, the group's epoch grows;
 *   3. if the target is older than the group's epoch, a new one is computed and recorded (`target.ts`);
 *   4. the member is brought a step closer to the target (`reconcile.ts`);
 *   5. whoever made the request is told which topics are missing, and makes them.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type {
  StreamsGroupHeartbeatRequest,
  StreamsGroupHeartbeatResponse,
} from '../../../../protocol/messages/streams-group-heartbeat.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import type { Caller, GroupContext } from '../group.ts'
import { leaveEpoch } from '../modern/modern-group.ts'
import type { GroupRecord } from '../records.ts'
import type { ConfiguredTopology } from './configured-topology.ts'
import { partitionsByEndpoint } from './endpoints.ts'
import { fence, startDeadlines, streamsGroupOf, streamsGroupOrNull } from './leave.ts'
import { type StreamsMember, saysTheSame } from './member.ts'
import { checkTasks, findMember, toldTasks, updated } from './membership.ts'
import { reconcile } from './reconcile.ts'
import { groupRecord, memberRecord, topologyRecord } from './records.ts'
import { type Status, status, statusCode } from './status.ts'
import { StreamsGroup } from './streams-group.ts'
import { assignGathered, assignmentConfigs, currentTarget, type Draft } from './target.ts'
import { taskIdsOf } from './tasks.ts'
import { type TopicInfo, Topology } from './topology.ts'

export interface Heartbeat {
  readonly response: StreamsGroupHeartbeatResponse
  /** Topics of the application that are to be made. */
  readonly missingTopics: readonly TopicInfo[]
}

export function streamsHeartbeat(
  context: GroupContext,
  request: StreamsGroupHeartbeatRequest,
  caller: Caller,
  nowMs: Milliseconds,
): Decision<GroupRecord, Heartbeat> {
  if (request.memberEpoch === leaveEpoch) return leave(context, request)
  const draft = draftFor(context, request, nowMs)
  const { group } = draft
  group.checkSize(request.memberId, context.config().groupStreamsMaxSize)
  const before = findMember(group, request)
  if (group.members.has(before.memberId)) startDeadlines(group, before, false)
  const said = updated(before, request, caller)
  const topology = topologyOf(draft, request)
  group.checkMemory(said, group.topology === null ? topology.bytes : 0)
  const look = noteEpoch(draft, before, said, topology, request)
  const target = currentTarget(draft, said, look.groupEpoch, look.configured)
  const after = reconcile(draft, said, target, toldTasks(request))
  const shutdownBy = group.shutdownBy ?? (request.shutdownApplication ? said.memberId : null)
  const told = [
    staleness(topology, group, said),
    target.delay,
    look.configured.hindrance,
    shutdown(shutdownBy),
  ]
  const step = {
    before,
    after,
    isTold: request.memberEpoch === 0 || before.assigned !== after.assigned,
  }
  const response = replyTo(group, request, step, look.configured, told)
  const delayMs = context.setting(group.groupId, 'streams.initial.rebalance.delay.ms')
  return {
    records: draft.records,
    reply: { response, missingTopics: look.configured.missingTopics },
    onCommitted: () => {
      const living = streamsGroupOrNull(context, group.groupId)
      if (living === null) return
      if (request.shutdownApplication) living.askForShutdown(said.memberId)
      if (living === group && movesEndpoint(step)) living.endpointEpoch++
      if (look.seenVersion !== null) living.trustMetadata(nowMs, look.seenVersion)
      if (living.members.has(after.memberId)) startDeadlines(living, after, after !== said)
      if (living.isGathering && delayMs > 0) {
        living.gather(delayMs, () => assignGathered(context, group.groupId, context.now()))
      }
    },
  }
}

/** Throws KafkaError GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID. */
function leave(
  context: GroupContext,
  { groupId, memberId, memberEpoch, shutdownApplication }: StreamsGroupHeartbeatRequest,
): Decision<GroupRecord, Heartbeat> {
  const group = streamsGroupOf(context, groupId)
  group.member(memberId)
  const response = { ...emptyResponse, memberId, memberEpoch }
  const fenced = fence(group, memberId)
  return {
    ...fenced,
    reply: { response, missingTopics: [] },
    onCommitted: () => {
      fenced.onCommitted?.()
      if (shutdownApplication) group.askForShutdown(memberId)
    },
  }
}

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
function draftFor(
  context: GroupContext,
  { groupId, memberEpoch }: StreamsGroupHeartbeatRequest,
  nowMs: Milliseconds,
): Draft {
  const existing = context.group(groupId)
  if (existing?.type === 'streams') return { group: existing, records: [], nowMs }
  const isReplaceable = existing === null || (existing.type === 'classic' && existing.isEmpty)
  if (memberEpoch !== 0 || !isReplaceable) {
    const what =
      existing === null
        ? `Streams group ${groupId} not found.`
        : `Group ${groupId} is not a streams group.`
    throw new KafkaError(errors.GROUP_ID_NOT_FOUND, what)
  }
  const group = new StreamsGroup(groupId, context)
  return { group, records: existing?.tombstones() ?? [], nowMs }
}

/**
 * The topology of the group: the first member's. Who comes with an older one is told so, who comes with
 * another is refused (INVALID_REQUEST), as in Kafka 4.3.
 */
function topologyOf(
  { group, records }: Draft,
  { topology: value }: StreamsGroupHeartbeatRequest,
): Topology {
  const known = group.topology
  if (value === null) {
    if (known !== null) return known
    throw new Error(`streams group ${group.groupId} has members and no topology`)
  }
  const topology = new Topology(value)
  if (known === null) {
    records.push(topologyRecord(group.groupId, value))
    return topology
  }
  if (known.epoch <= topology.epoch && !known.equals(topology)) {
    throw new KafkaError(errors.INVALID_REQUEST, 'Topology updates are not supported yet.')
  }
  return known
}

interface Look {
  readonly configured: ConfiguredTopology
  /** Of the group, as it will be. */
  readonly groupEpoch: number
  /** The version in which the topics were looked at; null if they were not. */
  readonly seenVersion: number | null
}

/**
 * Records the member if it changed, and the group's epoch if that, the topics or the settings ask for it.
 * Throws KafkaError STREAMS_INVALID_TOPOLOGY, and INVALID_REQUEST for tasks that there are not.
 */
function noteEpoch(
  { group, records, nowMs }: Draft,
  before: StreamsMember,
  said: StreamsMember,
  topology: Topology,
  request: StreamsGroupHeartbeatRequest,
): Look {
  const { groupId, context } = group
  const isNew = !group.members.has(said.memberId)
  const hasChanged = isNew || !saysTheSame(before, said)
  if (hasChanged) records.push(memberRecord(groupId, said))
  const isKnown = !group.isMetadataStale(nowMs) && group.isConfigured(topology, group.metadataHash)
  const { version } = context.topics
  const metadataHash = isKnown ? group.metadataHash : context.hashes.of(topology.requiredTopics)
  const configured = group.configured(topology, metadataHash)
  const isReady = configured.hindrance === null
  if (isReady) checkTasks(configured, request)
  const validatedTopologyEpoch = isReady ? topology.epoch : -1
  const configs = assignmentConfigs(context, groupId)
  const grows =
    hasChanged ||
    metadataHash !== group.metadataHash ||
    validatedTopologyEpoch !== group.validatedTopologyEpoch ||
    !isSameMap(configs, group.assignmentConfigs)
  const groupEpoch = group.groupEpoch + (grows ? 1 : 0)
  if (grows) {
    const next = {
      epoch: groupEpoch,
      metadataHash,
      validatedTopologyEpoch,
      assignmentConfigs: configs,
    }
    records.push(groupRecord(groupId, next))
  }
  return { configured, groupEpoch, seenVersion: isKnown ? null : version }
}

function isSameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value)
}

function staleness(topology: Topology, group: StreamsGroup, said: StreamsMember): Status | null {
  if (group.topology === null || said.topologyEpoch >= topology.epoch) return null
  return status(
    statusCode.staleTopology,
    `The member's topology epoch ${said.topologyEpoch} is behind ` +
      `the group's topology epoch ${topology.epoch}.`,
  )
}

/** What is not told. */
export const emptyResponse: StreamsGroupHeartbeatResponse = {
  errorCode: errors.NONE.code,
  errorMessage: null,
  memberId: '',
  memberEpoch: 0,
  heartbeatIntervalMs: 0,
  acceptableRecoveryLagLegacy: 0,
  taskOffsetIntervalMs: 0,
  status: [],
  activeTasks: null,
  standbyTasks: null,
  warmupTasks: null,
  topologyDescriptionRequired: false,
  endpointInformationEpoch: 0,
  partitionsByUserEndpoint: null,
}

/** What the heartbeat made of the member. */
interface Step {
  readonly before: StreamsMember
  readonly after: StreamsMember
  /** Tasks are told when they changed, and to a member that joins. */
  readonly isTold: boolean
}

/** Whether others are to hear what can be asked of the member now. */
const movesEndpoint = ({ after, isTold }: Step): boolean => isTold && after.userEndpoint !== null

/** Endpoints are told to whoever has not heard of their epoch; a group that is about to be has none yet. */
function replyTo(
  group: StreamsGroup,
  request: StreamsGroupHeartbeatRequest,
  step: Step,
  configured: ConfiguredTopology,
  told: readonly (Status | null)[],
): StreamsGroupHeartbeatResponse {
  const { context, groupId } = group
  const { after, isTold } = step
  const endpointEpoch = group.endpointEpoch + (movesEndpoint(step) ? 1 : 0)
  const isNewToIt = endpointEpoch !== request.endpointInformationEpoch
  const others = [...group.members.values()].filter(({ memberId }) => memberId !== after.memberId)
  const exists = context.group(groupId) === group
  return {
    ...emptyResponse,
    memberId: after.memberId,
    memberEpoch: after.memberEpoch,
    heartbeatIntervalMs: context.setting(groupId, 'streams.heartbeat.interval.ms'),
    activeTasks: isTold ? taskIdsOf(after.assigned.active) : null,
    standbyTasks: isTold ? taskIdsOf(after.assigned.standby) : null,
    warmupTasks: isTold ? taskIdsOf(after.assigned.warmup) : null,
    partitionsByUserEndpoint: isNewToIt
      ? partitionsByEndpoint([...others, after], configured, context.topics)
      : null,
    endpointInformationEpoch: exists ? endpointEpoch : 0,
    status: told.filter((each) => each !== null),
  }
}

/** `by` has asked for it; null: nobody has. */
function shutdown(by: string | null): Status | null {
  if (by === null) return null
  return status(
    statusCode.shutdownApplication,
    `Streams group member ${by} encountered a fatal error and ` +
      'requested a shutdown for the entire application.',
  )
}
