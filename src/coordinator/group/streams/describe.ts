/** What StreamsGroupDescribe tells of a group. */
import { errors } from '../../../../protocol/errors.ts'
import type { StreamsGroupDescribeResponse } from '../../../../protocol/messages/streams-group-describe.ts'
import type { GroupContext } from '../group.ts'
import { describedEpochs, undescribed } from '../modern/describe.ts'
import { byName } from './configured-topology.ts'
import { streamsGroupOf } from './leave.ts'
import type { StreamsMember } from './member.ts'
import type { StreamsGroup } from './streams-group.ts'
import { type OwnedTasks, type Tasks, taskIdsOf } from './tasks.ts'

export type DescribedStreamsGroup = StreamsGroupDescribeResponse['groups'][number]
type DescribedMember = DescribedStreamsGroup['members'][number]
type DescribedTopology = NonNullable<DescribedStreamsGroup['topology']>

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
export function describeStreamsGroup(
  context: GroupContext,
  groupId: string,
): DescribedStreamsGroup {
  const group = streamsGroupOf(context, groupId)
  return {
    ...undescribedStreams(groupId, errors.NONE.code),
    ...describedEpochs(group),
    topology: describeTopology(group),
    members: [...group.members.values()].map((member) => describeMember(group, member)),
  }
}

/** A described group for which nothing but an error can be said. */
export const undescribedStreams = (
  ...error: Parameters<typeof undescribed>
): DescribedStreamsGroup => ({
  ...undescribed(...error),
  topology: null,
  topologyDescription: null,
  topologyDescriptionStatus: 0,
  assignorName: null,
})

/**
 * With the numbers of partitions that the topics have which were made for it, where nothing hinders the
 * application; else as its members said it.
 */
function describeTopology(group: StreamsGroup): DescribedTopology | null {
  const { topology, context } = group
  if (topology === null) return null
  const hash = context.hashes.of(topology.requiredTopics)
  const { subtopologies, hindrance } = group.configured(topology, hash)
  const shown = hindrance === null ? subtopologies?.values() : topology.subtopologies
  return { epoch: topology.epoch, subtopologies: [...(shown ?? [])].map(describeSubtopology) }
}

type DescribedSubtopology = NonNullable<DescribedTopology['subtopologies']>[number]

function describeSubtopology(subtopology: DescribedSubtopology): DescribedSubtopology {
  return {
    subtopologyId: subtopology.subtopologyId,
    sourceTopics: [...subtopology.sourceTopics].sort(),
    repartitionSinkTopics: [...subtopology.repartitionSinkTopics].sort(),
    stateChangelogTopics: [...subtopology.stateChangelogTopics].sort(byName),
    repartitionSourceTopics: [...subtopology.repartitionSourceTopics].sort(byName),
  }
}

function describeMember(group: StreamsGroup, member: StreamsMember): DescribedMember {
  return {
    memberId: member.memberId,
    memberEpoch: member.memberEpoch,
    instanceId: member.instanceId,
    rackId: member.rackId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    topologyEpoch: member.topologyEpoch,
    processId: member.processId,
    userEndpoint: member.userEndpoint,
    clientTags: member.clientTags,
    taskOffsets: [],
    taskEndOffsets: [],
    assignment: describeTasks(member.assigned),
    targetAssignment: describeTasks(group.targetOf(member.memberId)),
    isClassic: false,
  }
}

function describeTasks({ active, standby, warmup }: Tasks | OwnedTasks) {
  return {
    activeTasks: taskIdsOf(active),
    standbyTasks: taskIdsOf(standby),
    warmupTasks: taskIdsOf(warmup),
  }
}
