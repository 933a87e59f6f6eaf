/** StreamsGroupDescribe: state, epochs, topology, members and tasks of streams groups (KIP-1071). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import {
  type DescribedStreamsGroup,
  describedStreamsError,
} from '../coordinator/group/streams/describe.ts'
import { topicsOf } from '../coordinator/group/streams/topology.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { authorizedOperations } from './authorized-operations.ts'

const describeGroup = rule('DESCRIBE', 'GROUP', 'groups.errorCode')
const describeTopics = rule('DESCRIBE', 'TOPIC', 'groups.errorCode')

interface Parts {
  readonly groups: GroupCoordinator
  /** Whether streams.version and group.coordinator.rebalance.protocols have it so. */
  readonly isEnabled: () => boolean
}

/** As Kafka 4.3 has it. */
const versions = [0, 0] as const

export const streamsGroupDescribe = ({ groups, isEnabled }: Parts) =>
  handler(
    apis.streamsGroupDescribe,
    async (request, context) => {
      if (!isEnabled()) throw new KafkaError(errors.UNSUPPORTED_VERSION)
      const asked = describeGroup.split(context, request.groupIds, (groupId) => groupId)
      const denied = asked.denied.map((id) => describedStreamsError(id, describeGroup.error.code))
      const described = (await groups.streams.describe(asked.allowed)).map((group) => {
        const names = [...new Set(group.topology?.subtopologies?.flatMap(topicsOf))]
        if (describeTopics.split(context, names, (name) => name).denied.length > 0) {
          return unseen(group.groupId)
        }
        if (!request.includeAuthorizedOperations || group.errorCode !== 0) return group
        const operations = authorizedOperations(context, 'GROUP', group.groupId)
        return { ...group, authorizedOperations: operations }
      })
      return { groups: [...denied, ...described] }
    },
    {
      versions,
      access: [describeGroup, describeTopics],
      onError: (request, error) => ({
        groups: request.groupIds.map((groupId) => describedStreamsError(groupId, error.code)),
      }),
    },
  )

function unseen(groupId: string): DescribedStreamsGroup {
  const message = 'The described group uses topics that the client is not authorized to describe.'
  return describedStreamsError(groupId, describeTopics.error.code, message)
}
