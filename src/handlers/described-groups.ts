/**
 * What ConsumerGroupDescribe, ShareGroupDescribe and StreamsGroupDescribe do alike: who may not describe a
 * group, or a topic that it uses, is told that and nothing else of it.
 */
import { rule } from '../server/access.ts'
import type { RequestContext } from '../server/request-context.ts'
import { authorizedOperations } from './authorized-operations.ts'

export const describeGroup = rule('DESCRIBE', 'GROUP', 'groups.errorCode')
export const describeTopics = rule('DESCRIBE', 'TOPIC', 'groups.errorCode')

/** Groups of one type. */
interface Describing<G> {
  readonly describe: (groupIds: readonly string[]) => Promise<readonly G[]>
  /** Topics that the description names. */
  readonly topicsOf: (group: G) => readonly string[]
  /** A described group for which nothing but an error can be said. */
  readonly failed: (groupId: string, errorCode: number, message?: string) => G
  /** What is said where a topic may not be seen. */
  readonly unseen: string
}

export async function describedGroups<G extends { groupId: string; errorCode: number }>(
  request: { readonly groupIds: readonly string[]; readonly includeAuthorizedOperations: boolean },
  context: RequestContext,
  { describe, topicsOf, failed, unseen }: Describing<G>,
): Promise<G[]> {
  const asked = describeGroup.split(context, request.groupIds, (groupId) => groupId)
  const denied = asked.denied.map((groupId) => failed(groupId, describeGroup.error.code))
  const described = (await describe(asked.allowed)).map((group) => {
    const topics = describeTopics.split(context, topicsOf(group), (name) => name)
    if (topics.denied.length > 0) return failed(group.groupId, describeTopics.error.code, unseen)
    if (!request.includeAuthorizedOperations || group.errorCode !== 0) return group
    const operations = authorizedOperations(context, 'GROUP', group.groupId)
    return { ...group, authorizedOperations: operations }
  })
  return [...denied, ...described]
}
