/** StreamsGroupDescribe: state, epochs, topology, members and tasks of streams groups (KIP-1071). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import {
  type DescribedStreamsGroup,
  undescribedStreams,
} from '../coordinator/group/streams/describe.ts'
import { topicsOf } from '../coordinator/group/streams/topology.ts'
import { handler } from '../server/handler.ts'
import { describedGroups, describeGroup, describeTopics } from './described-groups.ts'

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
      const described = await describedGroups(request, context, {
        describe: (groupIds) => groups.streams.describe(groupIds),
        topicsOf: namesIn,
        failed: undescribedStreams,
        unseen: 'The described group uses topics that the client is not authorized to describe.',
      })
      return { groups: described }
    },
    {
      versions,
      access: [describeGroup, describeTopics],
      onError: (request, error) => ({
        groups: request.groupIds.map((groupId) => undescribedStreams(groupId, error.code)),
      }),
    },
  )

function namesIn({ topology }: DescribedStreamsGroup): string[] {
  return [...new Set(topology?.subtopologies?.flatMap(topicsOf))]
}
