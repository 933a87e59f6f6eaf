/**
 * StreamsGroupHeartbeat: the one request of the members of streams groups (KIP-1071): joins, leaves, brings
 * the topology, says which tasks it has, and hears which to have. Topics that the application needs for
 * itself are made for it.
 */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type {
  StreamsGroupHeartbeatRequest,
  StreamsGroupHeartbeatResponse,
} from '../../protocol/messages/streams-group-heartbeat.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { type Status, statusCode } from '../coordinator/group/streams/status.ts'
import { failedHeartbeat } from '../coordinator/group/streams/streams-groups.ts'
import { type TopicInfo, topicsOf } from '../coordinator/group/streams/topology.ts'
import { invalidTopicName } from '../metadata/controller/topic-names.ts'
import type { StreamsTopicCreation } from '../metadata/streams-topic-creation.ts'
import { remark, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'
import { groupCaller } from './group-caller.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')
const describeTopics = rule('DESCRIBE', 'TOPIC', 'errorCode')
/** Of the topics that the application needs for itself. */
const createTopics = remark('CREATE', 'TOPIC', 'status.statusDetail', { unless: 'CREATE' })

interface Parts {
  readonly groups: GroupCoordinator
  /** Whether streams.version and group.coordinator.rebalance.protocols have it so. */
  readonly isEnabled: () => boolean
  readonly isInternal: (topic: string) => boolean
  readonly creation: StreamsTopicCreation
}

/** As Kafka 4.3 has it. */
const versions = [0, 0] as const

export const streamsGroupHeartbeat = ({ groups, isEnabled, isInternal, creation }: Parts) =>
  handler(
    apis.streamsGroupHeartbeat,
    async (request, context) => {
      if (!isEnabled()) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      readGroup.require(context, request.groupId)
      const names = namesIn(request)
      checkNames(names, isInternal)
      if (describeTopics.split(context, names, (name) => name).denied.length > 0) {
        throw new KafkaError(describeTopics.error)
      }
      const { response, missingTopics } = await groups.streams.heartbeat(
        request,
        groupCaller(context),
      )
      if (missingTopics.length === 0) return response
      return withCreation(response, missingTopics, context, creation)
    },
    {
      versions,
      access: [readGroup, describeTopics, createTopics],
      onError: (_request, error, _version, message) => failedHeartbeat(error, message),
    },
  )

/** Each once. */
function namesIn({ topology }: StreamsGroupHeartbeatRequest): string[] {
  return [...new Set(topology?.subtopologies.flatMap(topicsOf))]
}

/** Throws KafkaError STREAMS_INVALID_TOPOLOGY. */
function checkNames(names: readonly string[], isInternal: (topic: string) => boolean): void {
  const internal = names.filter(isInternal)
  if (internal.length > 0) {
    const list = internal.join(',')
    throw new KafkaError(
      errors.STREAMS_INVALID_TOPOLOGY,
      `Use of Kafka internal topics ${list} in a Kafka Streams topology is prohibited.`,
    )
  }
  const invalid = names.filter((name) => invalidTopicName(name) !== undefined)
  if (invalid.length > 0) {
    throw new KafkaError(
      errors.STREAMS_INVALID_TOPOLOGY,
      `Topic names ${invalid.join(',')} are not valid topic names.`,
    )
  }
}

/** Has the topics made, and tells what hinders that. */
function withCreation(
  response: StreamsGroupHeartbeatResponse,
  missing: readonly TopicInfo[],
  context: RequestContext,
  creation: StreamsTopicCreation,
): StreamsGroupHeartbeatResponse {
  const { denied } = createTopics.split(context, missing, ({ name }) => name)
  if (denied.length > 0) {
    const names = denied.map(({ name }) => name).join(', ')
    return withRemark(response, `Unauthorized to CREATE on topics ${names}.`)
  }
  const countMutations = (partitions: number) => context.countMutations(partitions, true, false)
  creation.begin(missing, 2 * response.heartbeatIntervalMs, countMutations)
  const failures = creation.failures(missing)
  if (failures.length === 0) return response
  return withRemark(response, `Creation failed: ${summary(failures)}.`)
}

const failuresTold = 3

function summary(failures: readonly string[]): string {
  const told = failures.slice(0, failuresTold).join(', ')
  const rest = failures.length - failuresTold
  return rest > 0 ? `${told} and ${rest} more` : told
}

function withRemark(
  response: StreamsGroupHeartbeatResponse,
  text: string,
): StreamsGroupHeartbeatResponse {
  const status = response.status?.map((each: Status) =>
    each.statusCode === statusCode.missingInternalTopics
      ? { ...each, statusDetail: `${each.statusDetail}; ${text}` }
      : each,
  )
  return { ...response, status: status ?? null }
}
