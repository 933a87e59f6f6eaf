/**
 * OffsetFetch: how far groups got. Before version 8 a request is about one group; from version 10
 * on topics are named by their ids. Errors of a group are told once, before version 2 in each
 * partition.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  OffsetFetchRequest,
  OffsetFetchResponse,
} from '../../protocol/messages/offset-fetch.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import {
  type FetchedGroup,
  type FetchedTopic,
  fetched,
  type OffsetFetchGroup,
} from '../coordinator/group/offset-fetch.ts'
import type { TopicLookup } from '../coordinator/group/topics.ts'
import type { Steps } from '../environment/in-turns.ts'
import { filter, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'

const firstVersionWithGroupError = 2
const firstVersionWithGroups = 8
const firstVersionWithTopicIds = 10

const describeGroup = rule('DESCRIBE', 'GROUP', 'groups.errorCode')
const describeTopic = rule('DESCRIBE', 'TOPIC', 'groups.topics.partitions.errorCode')
/** Of all topics that a group committed offsets of, only those are shown that may be. */
const seeTopics = filter('DESCRIBE', 'TOPIC', 'groups.topics')

interface Parts {
  readonly groups: GroupCoordinator
  readonly topics: TopicLookup
}

export const offsetFetch = ({ groups, topics }: Parts) =>
  handler(
    apis.offsetFetch,
    async (request, context) => {
      const { apiVersion } = context
      if (apiVersion < firstVersionWithGroups) {
        const group = await fetchSeen(groups, soleGroup(request), context)
        return soleAnswer(request, group, apiVersion)
      }
      const fetch = (group: OffsetFetchGroup) =>
        apiVersion < firstVersionWithTopicIds
          ? fetchSeen(groups, group, context)
          : fetchById(groups, topics, group, context)
      const asked = await context.inTurns(distinct(request))
      return { groups: await context.allInTurns(asked, fetch) }
    },
    {
      access: [describeGroup, describeTopic, seeTopics],
      onError: (request, error, version) => {
        if (version < firstVersionWithGroups) {
          return soleAnswer(request, failed(request.groupId, error), version)
        }
        return { groups: request.groups.map(({ groupId }) => failed(groupId, error)) }
      },
    },
  )

/** Each group once, however often it is named: its answer may be long. */
function* distinct({
  groups,
  requireStable,
}: OffsetFetchRequest): Steps<Iterable<OffsetFetchGroup>> {
  const byId = new Map<string, OffsetFetchGroup>()
  for (const group of groups) {
    if (!byId.has(group.groupId)) byId.set(group.groupId, { ...group, requireStable })
    yield
  }
  return byId.values()
}

function failed(groupId: string, error: ErrorRow): FetchedGroup {
  return { groupId, topics: [], errorCode: error.code }
}

function soleGroup(request: OffsetFetchRequest): OffsetFetchGroup {
  const { groupId, topics, requireStable } = request
  const named = topics?.map((topic) => ({ ...topic, topicId: zeroUuid })) ?? null
  return { groupId, memberId: null, memberEpoch: -1, topics: named, requireStable }
}

function soleAnswer(
  request: OffsetFetchRequest,
  group: FetchedGroup,
  version: number,
): OffsetFetchResponse {
  const errorCode = group.errorCode ?? 0
  if (errorCode !== 0 && version < firstVersionWithGroupError) {
    const topics = (request.topics ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((index) => fetched(index, undefined, errorCode)),
    }))
    return { topics }
  }
  const topics = group.topics.map(({ name, partitions }) => ({ name: name ?? '', partitions }))
  return { topics, errorCode }
}

/** Of the topics asked for, or of all, those that the client may know of. */
async function fetchSeen(
  groups: GroupCoordinator,
  request: OffsetFetchGroup,
  context: RequestContext,
): Promise<FetchedGroup> {
  if (!describeGroup.allows(context, request.groupId)) {
    return failed(request.groupId, describeGroup.error)
  }
  if (request.topics === null) {
    const group = await groups.fetchOffsets(request)
    return { ...group, topics: seeTopics.only(context, group.topics, ({ name }) => name ?? '') }
  }
  const { allowed, denied } = describeTopic.split(context, request.topics, ({ name }) => name)
  const group = await groups.fetchOffsets({ ...request, topics: allowed })
  if (denied.length === 0 || group.errorCode) return group
  const refuse = (index: number) => fetched(index, undefined, describeTopic.error.code)
  const refused = denied.map(({ name, topicId, partitionIndexes }) => ({
    name,
    topicId,
    partitions: partitionIndexes.map(refuse),
  }))
  return { ...group, topics: [...group.topics, ...refused] }
}

/**
 * Ids become names for the coordinator, and names ids for the client; topics without either are
 * out.
 */
async function fetchById(
  groups: GroupCoordinator,
  lookup: TopicLookup,
  request: OffsetFetchGroup,
  context: RequestContext,
): Promise<FetchedGroup> {
  const unknown: FetchedTopic[] = []
  const topics = request.topics?.flatMap(({ topicId, partitionIndexes }) => {
    const name = lookup.topicNameOf(topicId)
    if (name !== undefined) return [{ name, topicId, partitionIndexes }]
    const refuse = (index: number) => fetched(index, undefined, errors.UNKNOWN_TOPIC_ID.code)
    unknown.push({ topicId, partitions: partitionIndexes.map(refuse) })
    return []
  })
  const group = await fetchSeen(groups, { ...request, topics: topics ?? null }, context)
  const found = group.topics.flatMap((topic) => {
    const topicId = lookup.topicIdOf(topic.name ?? '')
    return topicId === undefined ? [] : [{ ...topic, topicId }]
  })
  return { ...group, topics: group.errorCode ? [] : [...found, ...unknown] }
}
