/**
 * Where state can be queried: for each member with an endpoint the partitions whose tasks it runs, and
 * those of which it keeps copies.
 */
import type { StreamsGroupHeartbeatResponse } from '../../../../protocol/messages/streams-group-heartbeat.ts'
import type { Assignment, OwnedPartitions } from '../modern/assignment.ts'
import type { TopicLookup } from '../topics.ts'
import type { ConfiguredTopology } from './configured-topology.ts'
import type { StreamsMember } from './member.ts'

type PartitionsByEndpoint = NonNullable<StreamsGroupHeartbeatResponse['partitionsByUserEndpoint']>

export function partitionsByEndpoint(
  members: Iterable<StreamsMember>,
  { subtopologies }: ConfiguredTopology,
  topics: TopicLookup,
): PartitionsByEndpoint {
  const partitionsOf = (tasks: Assignment | OwnedPartitions) =>
    [...tasks].flatMap(([subtopologyId, partitions]) =>
      (subtopologies?.get(subtopologyId)?.topicsRead ?? []).map((topic) => {
        const count = topics.partitionCountOf(topic) ?? 0
        // A subtopology has as many tasks as its widest topic has partitions.
        return { topic, partitions: [...partitions.keys()].filter((index) => index < count) }
      }),
    )
  const told: PartitionsByEndpoint[number][] = []
  for (const { userEndpoint, assigned } of members) {
    if (userEndpoint === null) continue
    told.push({
      userEndpoint,
      activePartitions: partitionsOf(assigned.active),
      standbyPartitions: partitionsOf(assigned.standby),
    })
  }
  return told
}
