/** Groups: which there are, who is in them, and deleting them or their offsets. */
import { apis } from '../../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../../protocol/errors.ts'
import type { Cluster } from '../cluster.ts'
import { isAnswer, UnsupportedVersionError } from '../failures.ts'
import { readAssignment } from '../group-member.ts'
import { byTopic, nameOf, type TopicPartition } from '../topic-partition.ts'
import { check, failure, type Outcome, outcome, throwMoved } from './outcome.ts'

export interface ListedGroup {
  readonly groupId: string
  /** Empty where the broker does not say (before Kafka 2.6). */
  readonly state: string
  /** `classic`, `consumer`, `share`, `streams`; empty where the broker does not say (before Kafka 3.8). */
  readonly type: string
  readonly protocolType: string
  /** The broker that coordinates it. */
  readonly coordinator: number
}

/** All groups of all brokers, by name. */
export async function listGroups(
  cluster: Cluster,
  { states = [], types = [] }: { states?: readonly string[]; types?: readonly string[] } = {},
): Promise<ListedGroup[]> {
  const nodes = await cluster.nodes()
  const versionMin = types.length > 0 ? 5 : states.length > 0 ? 4 : 0
  const lists = await Promise.all(
    nodes.map(({ id }) =>
      cluster.retrying('list groups', async () => {
        const request = { statesFilter: states, typesFilter: types }
        const answer = await cluster.callNode(id, apis.listGroups, request, { versionMin })
        check(answer.errorCode)
        return answer.groups.map(({ groupId, groupState, groupType, protocolType }) => ({
          groupId,
          state: groupState,
          type: groupType.toLowerCase(),
          protocolType,
          coordinator: id,
        }))
      }),
    ),
  )
  return lists.flat().sort((left, right) => (left.groupId < right.groupId ? -1 : 1))
}

export interface DescribedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly host: string
  readonly assignment: readonly TopicPartition[]
  /** Of a streams group: `0_3` is the task of partition 3 of the subtopology 0. */
  readonly tasks?: readonly string[]
}

export interface DescribedGroup {
  readonly groupId: string
  readonly type: 'classic' | 'consumer' | 'share' | 'streams'
  readonly state: string
  /** Of members and subscriptions, and of what is assigned for them; null: a classic group has none. */
  readonly groupEpoch: number | null
  readonly assignmentEpoch: number | null
  /** The assignor in use; empty where there is none now. */
  readonly assignor: string
  readonly coordinator: number
  readonly members: readonly DescribedMember[]
}

/** One group with its members. Rejects with KafkaError: GROUP_ID_NOT_FOUND where there is none. */
export async function describeGroup(cluster: Cluster, groupId: string): Promise<DescribedGroup> {
  return cluster.retrying(`describe group ${groupId}`, async () => {
    const coordinator = await cluster.coordinator('group', groupId)
    for (const describe of [describeConsumerGroup, describeShareGroup, describeStreamsGroup]) {
      try {
        return await describe(cluster, groupId, coordinator)
      } catch (error) {
        const isUnknown = error instanceof UnsupportedVersionError
        // A group is found only among those of its own type.
        if (!isUnknown && !isAnswer(error, 'GROUP_ID_NOT_FOUND', 'UNSUPPORTED_VERSION')) throw error
      }
    }
    return describeClassicGroup(cluster, groupId, coordinator)
  })
}

type Describe = (cluster: Cluster, groupId: string, coordinator: number) => Promise<DescribedGroup>

const asked = (groupId: string) => ({ groupIds: [groupId], includeAuthorizedOperations: false })

/** What the newer protocols answer alike. */
function described(
  type: 'consumer' | 'share' | 'streams',
  group: {
    readonly groupId: string
    readonly groupState: string
    readonly groupEpoch: number
    readonly assignmentEpoch: number
    /** Null where a streams group does not tell it. */
    readonly assignorName: string | null
  },
  coordinator: number,
): Omit<DescribedGroup, 'members'> {
  const { groupId, groupState: state, groupEpoch, assignmentEpoch, assignorName } = group
  const assignor = assignorName ?? ''
  return { groupId, type, state, groupEpoch, assignmentEpoch, assignor, coordinator }
}

const describeConsumerGroup: Describe = async (cluster, groupId, coordinator) => {
  const answer = await cluster.callCoordinator(
    { type: 'group', id: groupId },
    apis.consumerGroupDescribe,
    asked(groupId),
  )
  const group = found(cluster, groupId, answer.groups)
  return {
    ...described('consumer', group, coordinator),
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      host: member.clientHost,
      assignment: partitionsOf(member.assignment),
    })),
  }
}

const describeShareGroup: Describe = async (cluster, groupId, coordinator) => {
  const answer = await cluster.callCoordinator(
    { type: 'group', id: groupId },
    apis.shareGroupDescribe,
    asked(groupId),
  )
  const group = found(cluster, groupId, answer.groups)
  return {
    ...described('share', group, coordinator),
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: null,
      clientId: member.clientId,
      host: member.clientHost,
      assignment: partitionsOf(member.assignment),
    })),
  }
}

const describeStreamsGroup: Describe = async (cluster, groupId, coordinator) => {
  const answer = await cluster.callCoordinator(
    { type: 'group', id: groupId },
    apis.streamsGroupDescribe,
    asked(groupId),
  )
  const group = found(cluster, groupId, answer.groups)
  return {
    ...described('streams', group, coordinator),
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      host: member.clientHost,
      assignment: [],
      tasks: member.assignment.activeTasks.flatMap(({ subtopologyId, partitions }) =>
        partitions.map((partition) => `${subtopologyId}_${partition}`),
      ),
    })),
  }
}

/** The one group that was asked for. Throws KafkaError. */
function found<Group extends { errorCode: number; errorMessage: string | null }>(
  cluster: Cluster,
  groupId: string,
  [group]: readonly Group[],
): Group {
  if (group === undefined) throw new KafkaError(errors.GROUP_ID_NOT_FOUND)
  cluster.checkCoordinator('group', groupId, group.errorCode, group.errorMessage)
  return group
}

function partitionsOf(assignment: {
  topicPartitions: readonly { topicName: string; partitions: readonly number[] }[]
}): TopicPartition[] {
  return assignment.topicPartitions.flatMap(({ topicName: topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition })),
  )
}

const describeClassicGroup: Describe = async (cluster, groupId, coordinator) => {
  const answer = await cluster.callCoordinator(
    { type: 'group', id: groupId },
    apis.describeGroups,
    { groups: [groupId] },
  )
  const group = found(cluster, groupId, answer.groups)
  // Before version 6 a group that does not exist is described as dead.
  if (group.groupState === 'Dead')
    throw new KafkaError(errors.GROUP_ID_NOT_FOUND, `there is no group ${groupId}`)
  const isConsumer = group.protocolType === 'consumer' || group.protocolType === ''
  return {
    groupId,
    type: 'classic',
    state: group.groupState,
    groupEpoch: null,
    assignmentEpoch: null,
    assignor: group.protocolData,
    coordinator,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      host: member.clientHost,
      assignment: isConsumer ? readAssignment(member.memberAssignment) : [],
    })),
  }
}

/** Takes members out of a classic group, as if they had left it. Rejects with KafkaError. */
export function removeMembers(
  cluster: Cluster,
  groupId: string,
  memberIds: readonly string[],
  reason: string,
): Promise<void> {
  return cluster.retrying(`remove members of group ${groupId}`, async () => {
    const answer = await cluster.callCoordinator(
      { type: 'group', id: groupId },
      apis.leaveGroup,
      { groupId, members: memberIds.map((memberId) => ({ memberId, reason })) },
      // The first versions take one member, the caller itself.
      { versionMin: 3 },
    )
    cluster.checkCoordinator('group', groupId, answer.errorCode)
  })
}

/** Deletes groups that have no members, with their offsets. */
export async function deleteGroups(
  cluster: Cluster,
  groupIds: readonly string[],
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const groupId of groupIds) {
    const rows = await cluster.retrying(`delete group ${groupId}`, async () => {
      const key = { type: 'group', id: groupId } as const
      const answer = await cluster.callCoordinator(key, apis.deleteGroups, {
        groupsNames: [groupId],
      })
      const results = answer.results.map((row) =>
        outcome(row.groupId, row.errorCode, row.errorMessage),
      )
      retryElsewhere(cluster, groupId, results)
      return results
    })
    outcomes.push(...rows)
  }
  return outcomes
}

/** Deletes a group's offsets for partitions of topics that no member is subscribed to. */
export async function deleteGroupOffsets(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<Outcome[]> {
  return cluster.retrying(`delete offsets of group ${groupId}`, async () => {
    const answer = await cluster.callCoordinator(
      { type: 'group', id: groupId },
      apis.offsetDelete,
      {
        groupId,
        topics: Array.from(byTopic(partitions), ([name, rows]) => ({
          name,
          partitions: rows.map(({ partition: partitionIndex }) => ({ partitionIndex })),
        })),
      },
    )
    cluster.checkCoordinator('group', groupId, answer.errorCode)
    return answer.topics.flatMap(({ name: topic, partitions: rows }) =>
      rows.map(({ partitionIndex: partition, errorCode }) => ({
        name: nameOf({ topic, partition }),
        error: failure(errorCode, errorCode === 0 ? null : errorByCode(errorCode).message),
      })),
    )
  })
}

function retryElsewhere(cluster: Cluster, groupId: string, outcomes: readonly Outcome[]): void {
  try {
    throwMoved(outcomes)
  } catch (error) {
    cluster.forgetCoordinator('group', groupId)
    throw error
  }
}
