/** Whether a StreamsGroupHeartbeat makes sense by itself, before its group is asked. */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { StreamsGroupHeartbeatRequest } from '../../../../protocol/messages/streams-group-heartbeat.ts'
import { checkFilled, invalid } from '../modern/invalid-heartbeat.ts'
import { staticLeaveEpoch } from '../modern/modern-group.ts'

/** Applications have a few dozen at most; how topics depend on each other is gone through for each. */
const subtopologiesMax = 1000

/** Throws KafkaError INVALID_REQUEST or STREAMS_INVALID_TOPOLOGY. */
export function checkHeartbeat(request: StreamsGroupHeartbeatRequest): void {
  checkSupported(request)
  const { memberEpoch, topology, activeTasks, standbyTasks, warmupTasks } = request
  checkFilled(request.memberId, 'MemberId')
  checkFilled(request.groupId, 'GroupId')
  checkFilled(request.rackId, 'RackId')
  if (memberEpoch === 0) checkJoining(request)
  else if (memberEpoch === staticLeaveEpoch) throw invalid("InstanceId can't be null.")
  else if (memberEpoch < staticLeaveEpoch) {
    throw invalid(`MemberEpoch is ${memberEpoch}, but must be greater than or equal to -2.`)
  }
  const told = [activeTasks, standbyTasks, warmupTasks].filter((tasks) => tasks !== null)
  if (told.length > 0 && told.length < 3) {
    throw invalid('If one task-type is non-null, all must be non-null.')
  }
  if (memberEpoch !== 0 && topology !== null) {
    throw invalid('Topology can only be provided when (re-)joining.')
  }
}

/** What the API has a place for and Kafka 4.3 does not serve. */
function checkSupported(request: StreamsGroupHeartbeatRequest): void {
  const { instanceId, taskOffsets, taskEndOffsets, warmupTasks, topology } = request
  if (instanceId !== null) throw invalid('Static membership is not yet supported.')
  if (taskOffsets !== null) throw invalid('TaskOffsets are not supported yet.')
  if (taskEndOffsets !== null) throw invalid('TaskEndOffsets are not supported yet.')
  if ((warmupTasks?.length ?? 0) > 0) throw invalid('WarmupTasks are not supported yet.')
  if (topology?.subtopologies.some(({ sourceTopicRegex }) => sourceTopicRegex.length > 0)) {
    throw invalid('Regular expressions for source topics are not supported yet.')
  }
}

function checkJoining(request: StreamsGroupHeartbeatRequest): void {
  const { rebalanceTimeoutMs, topology, activeTasks, standbyTasks } = request
  if (rebalanceTimeoutMs === -1) {
    throw invalid('RebalanceTimeoutMs must be provided in first request.')
  }
  checkNone(activeTasks, 'ActiveTasks')
  checkNone(standbyTasks, 'StandbyTasks')
  checkNone(request.warmupTasks, 'WarmupTasks')
  if (topology === null) throw invalid('Topology must be non-null when (re-)joining.')
  const { subtopologies } = topology
  for (const { name, partitions } of subtopologies.flatMap((each) => each.stateChangelogTopics)) {
    if (partitions === 0) continue
    const what = `Changelog topic ${name} must have an undefined partition count`
    throw invalidTopology(`${what}, but it is set to ${partitions}.`)
  }
  if (new Set(subtopologies.map((each) => each.subtopologyId)).size < subtopologies.length) {
    throw invalidTopology('Two subtopologies have the same id.')
  }
  if (topology.epoch < 0) throw invalidTopology('Topology epoch must be non-negative.')
  if (subtopologies.length > subtopologiesMax) {
    throw invalidTopology(`At most ${subtopologiesMax} subtopologies are served.`)
  }
}

/** Required where a member says what it owns for the first time: nothing. */
function checkNone(tasks: readonly unknown[] | null, what: string): void {
  if (tasks === null || tasks.length > 0) throw invalid(`${what} must be empty when (re-)joining.`)
}

function invalidTopology(message: string): KafkaError {
  return new KafkaError(errors.STREAMS_INVALID_TOPOLOGY, message)
}
