/**
 * What a group uses of the topics, and whether that changed: then its epoch grows, and a new target is
 * due.
 */
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import { isSameList, type SubscriptionCounts } from '../modern/subscriptions.ts'
import type { GroupRecord } from '../records.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { consumerGroupOrNull, type Draft } from './draft.ts'
import { type ClassicMembership, type ConsumerMember, regexOf } from './member.ts'
import {
  groupRecord,
  memberRecord,
  partitionMetadataTombstone,
  regexRecord,
  regexTombstone,
} from './records.ts'
import { type ResolvedRegex, regexCountsWith } from './regexes.ts'

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

/**
 * Records the member if it changed, which regular expressions are gone with that, and the group's epoch if
 * it follows. Throws KafkaError INVALID_REGULAR_EXPRESSION.
 */
export function noteSubscription(
  draft: Draft,
  before: ConsumerMember,
  after: ConsumerMember,
): Subscription {
  const { group, records, nowMs } = draft
  const regexCounts = regexCountsWith(group, before, after)
  if (!isSameMember(before, after)) records.push(memberRecord(group.groupId, after))
  const hasNewNames = !isSameList(before.subscribedTopicNames, after.subscribedTopicNames)
  const hasNewRegex = regexOf(before) !== regexOf(after)
  const isStale = group.isMetadataStale(nowMs)
  // Nearly every heartbeat: nothing is new, and nothing is looked at.
  if (!hasNewNames && !hasNewRegex && !isStale) {
    const { groupEpoch, regexes } = group
    return { hasChanged: false, groupEpoch, regexes, seenVersion: null }
  }
  const counts = group.subscriptions.copy()
  counts.countNames(before.subscribedTopicNames, -1)
  counts.countNames(after.subscribedTopicNames, 1)
  const regexes = noteRegexes(draft, regexCounts, counts)
  const hasChanged = hasNewNames || hasNewRegex
  // One that is not looked up yet will make the epoch grow when it is.
  const isKnown = regexOf(after) === null || regexes.get(regexOf(after) as string) !== undefined
  const mustGrow = hasNewNames || (hasNewRegex && isKnown)
  if (!mustGrow && !isStale) {
    return { hasChanged, groupEpoch: group.groupEpoch, regexes, seenVersion: null }
  }
  const groupEpoch = noteEpoch(draft, counts, mustGrow)
  return { hasChanged, groupEpoch, regexes, seenVersion: group.context.topics.version }
}

/** Records which expressions are gone. Returns what the others stand for. */
function noteRegexes(
  { group, records }: Draft,
  regexCounts: ReadonlyMap<string, number>,
  counts: SubscriptionCounts,
): ReadonlyMap<string, ResolvedRegex> {
  const { groupId } = group
  const regexes = new Map(group.regexes)
  for (const regex of group.regexCounts.keys()) {
    if (regexCounts.has(regex)) continue
    records.push(regexTombstone(groupId, regex))
    counts.countRegex(regexes.get(regex)?.topics ?? [], -1)
    regexes.delete(regex)
  }
  return regexes
}

/**
 * Records what expressions were found to stand for, where the group still wants them and does not know
 * better, and the group's epoch if it follows.
 */
export function noteResolved(
  group: ConsumerGroup,
  found: ReadonlyMap<string, ResolvedRegex>,
  nowMs: Milliseconds,
): Decision<GroupRecord, void> {
  const { groupId, context, regexes } = group
  const draft: Draft = { group, records: [], nowMs }
  const counts = group.subscriptions.copy()
  let hasMoved = false
  for (const [regex, resolved] of found) {
    const old = regexes.get(regex)
    const isOlder = old !== undefined && resolved.version < old.version
    if (!group.regexCounts.has(regex) || isOlder) continue
    draft.records.push(regexRecord(groupId, regex, resolved))
    const topics = old?.topics ?? new Set<string>()
    counts.countRegex(topics, -1)
    counts.countRegex(resolved.topics, 1)
    hasMoved ||= !isSameSet(topics, resolved.topics)
  }
  noteEpoch(draft, counts, hasMoved)
  const seenVersion = context.topics.version
  const onCommitted = () => consumerGroupOrNull(context, groupId)?.trustMetadata(nowMs, seenVersion)
  return { records: draft.records, reply: undefined, onCommitted }
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((each) => b.has(each))
}

/** Looks at the topics; the epoch grows if they are not as they were, or if it must anyway. */
function noteEpoch(
  { group, records }: Draft,
  counts: SubscriptionCounts,
  mustGrow: boolean,
): number {
  const { groupId, context } = group
  const hash = context.hashes.of(counts.topics())
  const grows = mustGrow || hash !== group.metadataHash
  const groupEpoch = group.groupEpoch + (grows ? 1 : 0)
  if (grows) records.push(groupRecord(groupId, groupEpoch, hash))
  if (group.hasPartitionMetadata) records.push(partitionMetadataTombstone(groupId))
  return groupEpoch
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
    isSameMembership(a.classic, b.classic) &&
    isSameList(a.subscribedTopicNames, b.subscribedTopicNames)
  )
}

function isSameMembership(a: ClassicMembership | null, b: ClassicMembership | null): boolean {
  if (a === null || b === null) return a === b
  const [mine, others] = [a.supportedProtocols, b.supportedProtocols]
  return (
    a.sessionTimeoutMs === b.sessionTimeoutMs &&
    mine.length === others.length &&
    mine.every(({ name, metadata }, index) => {
      const other = others[index]
      return name === other?.name && metadata.equals(other.metadata)
    })
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
