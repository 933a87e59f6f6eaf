/**
 * What a group uses of the topics, and whether that changed: then its epoch grows, and a new target is
 * due.
 */
import type { SubscriptionCounts } from '../modern/subscriptions.ts'
import type { Draft } from './draft.ts'
import { type ConsumerMember, regexOf } from './member.ts'
import { groupRecord, memberRecord, partitionMetadataTombstone } from './records.ts'
import type { ResolvedRegex } from './regexes.ts'

export interface Subscription {
  /** Of the member: it may have to give up topics at once. */
  readonly hasChanged: boolean
  /** Of the group, as it will be. */
  readonly groupEpoch: number
  /** What regular expressions stand for, as it will be. */
  readonly regexes: { get(regex: string): ResolvedRegex | undefined }
  /** The version in which the topics were looked at; null if they were not. */
  readonly seenVersion: number | null
}

/** Records the member if it changed, and the group's epoch if that follows. */
export function noteSubscription(
  draft: Draft,
  before: ConsumerMember,
  after: ConsumerMember,
): Subscription {
  const { group, records, nowMs } = draft
  if (!isSameMember(before, after)) records.push(memberRecord(group.groupId, after))
  const hasChanged = !isSameList(before.subscribedTopicNames, after.subscribedTopicNames)
  const { regexes } = group
  if (!hasChanged && !group.isMetadataStale(nowMs)) {
    return { hasChanged, groupEpoch: group.groupEpoch, regexes, seenVersion: null }
  }
  const counts = group.subscriptions.copy()
  counts.countNames(before.subscribedTopicNames, -1)
  counts.countNames(after.subscribedTopicNames, 1)
  return growEpoch(draft, counts, hasChanged, regexes)
}

/** Looks at the topics; the epoch grows if they are not as they were, or if it must anyway. */
function growEpoch(
  { group, records }: Draft,
  counts: SubscriptionCounts,
  mustGrow: boolean,
  regexes: Subscription['regexes'],
): Subscription {
  const { groupId, context } = group
  const hash = context.hashes.of(counts.topics())
  const grows = mustGrow || hash !== group.metadataHash
  const groupEpoch = group.groupEpoch + (grows ? 1 : 0)
  if (grows) records.push(groupRecord(groupId, groupEpoch, hash))
  if (group.hasPartitionMetadata) records.push(partitionMetadataTombstone(groupId))
  return { hasChanged: mustGrow, groupEpoch, regexes, seenVersion: context.topics.version }
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index])
}

/** Whether what is recorded of the member beside its assignment is the same. */
function isSameMember(a: ConsumerMember, b: ConsumerMember): boolean {
  return (
    a.memberId === b.memberId &&
    a.instanceId === b.instanceId &&
    a.rackId === b.rackId &&
    a.clientId === b.clientId &&
    a.clientHost === b.clientHost &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
    a.subscribedTopicRegex === b.subscribedTopicRegex &&
    a.serverAssignor === b.serverAssignor &&
    a.classic === b.classic &&
    isSameList(a.subscribedTopicNames, b.subscribedTopicNames)
  )
}

/** The topics that a member wants, by name or because its regular expression stands for them. */
export function topicsOf(
  member: ConsumerMember,
  regexes: Subscription['regexes'],
): Iterable<string> {
  const regex = regexOf(member)
  const resolved = regex === null ? undefined : regexes.get(regex)
  if (resolved === undefined) return member.subscribedTopicNames
  return new Set([...member.subscribedTopicNames, ...resolved.topics])
}
