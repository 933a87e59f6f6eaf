/** OffsetFetch: what a group committed. */
import { errors } from '../../../protocol/errors.ts'
import type {
  OffsetFetchRequest,
  OffsetFetchResponse,
} from '../../../protocol/messages/offset-fetch.ts'
import { type Uuid, zeroUuid } from '../../../protocol/types.ts'
import type { Offsets, TopicOffsets } from './offsets.ts'
import type { CommittedOffset } from './partition-offsets.ts'

export type OffsetFetchGroup = OffsetFetchRequest['groups'][number] & {
  readonly requireStable?: boolean
}
export type FetchedGroup = NonNullable<OffsetFetchResponse['groups']>[number]
export type FetchedTopic = FetchedGroup['topics'][number]
export type FetchedPartition = FetchedTopic['partitions'][number]

/** How an offset of the group is told, where there is one. */
type Tell = (topic: string, index: number, offset: CommittedOffset | undefined) => FetchedPartition

/**
 * The partitions asked for, each once as its metadata may be long; all if none are named. With
 * `requireStable`, one that a transaction is about to replace is UNSTABLE_OFFSET_COMMIT (KIP-447).
 */
export function fetchOffsets(offsets: Offsets, request: OffsetFetchGroup): FetchedGroup {
  const { groupId, requireStable = false } = request
  const ofGroup = offsets.of(groupId)
  const tell: Tell = (topic, index, offset) =>
    requireStable && offsets.isPending(groupId, topic, index)
      ? fetched(index, undefined, errors.UNSTABLE_OFFSET_COMMIT.code)
      : fetched(index, offset)
  const topics =
    request.topics === null
      ? allOffsets(ofGroup, tell)
      : namedOffsets(ofGroup, request.topics, tell)
  return { groupId, topics }
}

function allOffsets(ofGroup: TopicOffsets | undefined, tell: Tell): FetchedTopic[] {
  return [...(ofGroup ?? [])].map(([name, partitions]) => ({
    name,
    partitions: [...partitions].map(([index, offset]) => tell(name, index, offset)),
  }))
}

function namedOffsets(
  ofGroup: TopicOffsets | undefined,
  topics: NonNullable<OffsetFetchGroup['topics']>,
  tell: Tell,
): FetchedTopic[] {
  const answered = new Map<string, Set<number>>()
  return topics.map(({ name, topicId, partitionIndexes }) => {
    const partitions = ofGroup?.get(name)
    const find = (index: number) => ofTopic(partitions?.get(index), topicId)
    const before = answered.get(name) ?? new Set()
    answered.set(name, before)
    const indexes = partitionIndexes.filter((index) => !before.has(index) && before.add(index))
    return { name, topicId, partitions: indexes.map((index) => tell(name, index, find(index))) }
  })
}

/** An offset of an older topic of the same name is none. */
function ofTopic(offset: CommittedOffset | undefined, topicId: Uuid): CommittedOffset | undefined {
  if (offset === undefined) return undefined
  const isSame = topicId === zeroUuid || offset.topicId === zeroUuid || offset.topicId === topicId
  return isSame ? offset : undefined
}

/** Where nothing was committed: offset -1. */
export function fetched(
  partitionIndex: number,
  offset: CommittedOffset | undefined,
  errorCode = 0,
): FetchedPartition {
  return {
    partitionIndex,
    committedOffset: offset?.offset ?? -1,
    committedLeaderEpoch: offset?.leaderEpoch ?? -1,
    metadata: offset?.metadata ?? '',
    errorCode,
  }
}
