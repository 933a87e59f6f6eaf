/**
 * Where partitions begin and end, which offset belongs to a time (ListOffsets), and what a group has
 * committed (OffsetFetch, OffsetCommit). Consumers and the command line ask the same questions.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import type { Cluster } from './cluster.ts'
import { byTopic, nameOf, type TopicPartition } from './topic-partition.ts'

/** What ListOffsets takes in place of a timestamp. */
export const latest = -1
export const earliest = -2
/** The record with the greatest timestamp (KIP-734). */
export const maxTimestamp = -3

export interface OffsetQuery extends TopicPartition {
  /** Milliseconds since the Unix epoch, or `latest`, `earliest`, `maxTimestamp`. */
  readonly timestamp: number
}

export interface FoundOffset extends TopicPartition {
  /** -1: no record is that late. */
  readonly offset: number
  /** -1 for the ends of the log. */
  readonly timestamp: number
  readonly leaderEpoch: number
}

export type IsolationLevel = 'read_uncommitted' | 'read_committed'

export function isolationCode(level: IsolationLevel): number {
  return level === 'read_committed' ? 1 : 0
}

/** Asks each partition's leader; the answers come in no particular order. Rejects with KafkaError. */
export async function listOffsets(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  isolation: IsolationLevel = 'read_uncommitted',
): Promise<FoundOffset[]> {
  const found: FoundOffset[] = []
  let open = queries
  await cluster.retrying('look up offsets', async () => {
    const byLeader = new Map<number, OffsetQuery[]>()
    for (const query of open) {
      const leader = await cluster.leader(query.topic, query.partition)
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), query])
    }
    const results = await Promise.allSettled(
      Array.from(byLeader, ([leader, list]) => askLeader(cluster, leader, list, isolation, found)),
    )
    const answered = new Set(found.map(nameOf))
    open = queries.filter((query) => !answered.has(nameOf(query)))
    const failed = results.find(({ status }) => status === 'rejected')
    if (failed?.status !== 'rejected') return
    for (const { topic } of open) cluster.metadata.forget(topic)
    throw failed.reason
  })
  return found
}

async function askLeader(
  cluster: Cluster,
  leader: number,
  queries: readonly OffsetQuery[],
  isolation: IsolationLevel,
  found: FoundOffset[],
): Promise<void> {
  const usesMaxTimestamp = queries.some(({ timestamp }) => timestamp === maxTimestamp)
  const answer = await cluster.callNode(
    leader,
    apis.listOffsets,
    {
      replicaId: -1,
      isolationLevel: isolationCode(isolation),
      topics: Array.from(byTopic(queries), ([name, rows]) => ({
        name,
        partitions: rows.map(({ partition: partitionIndex, timestamp }) => ({
          partitionIndex,
          timestamp,
        })),
      })),
      timeoutMs: cluster.requestTimeoutMs,
    },
    { versionMin: usesMaxTimestamp ? 7 : 1 },
  )
  let failure: KafkaError | null = null
  for (const { name: topic, partitions } of answer.topics) {
    for (const {
      partitionIndex: partition,
      errorCode,
      offset,
      timestamp,
      leaderEpoch,
    } of partitions) {
      if (errorCode === 0) found.push({ topic, partition, offset, timestamp, leaderEpoch })
      else {
        const error = errorByCode(errorCode)
        failure = new KafkaError(error, `${nameOf({ topic, partition })}: ${error.message}`)
      }
    }
  }
  if (failure !== null) throw failure
}

export interface CommittedOffset extends TopicPartition {
  readonly offset: number
  readonly leaderEpoch?: number | undefined
  readonly metadata?: string | null | undefined
}

/**
 * The offsets that a group has committed: of these partitions, or (null) of all. Waits for those that a
 * transaction is about to replace, unless `isStable` is false. Rejects with KafkaError.
 */
export function fetchCommitted(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[] | null,
  { isStable = true } = {},
): Promise<CommittedOffset[]> {
  return cluster.retrying(`read the offsets of group ${groupId}`, async () => {
    const topics =
      partitions === null
        ? null
        : Array.from(byTopic(partitions), ([name, rows]) => ({
            name,
            partitionIndexes: rows.map(({ partition }) => partition),
          }))
    const answer = await cluster.callCoordinator(
      { type: 'group', id: groupId },
      apis.offsetFetch,
      { groupId, topics, groups: [{ groupId, topics }], requireStable: isStable },
      // Later versions name topics by id only; the first lacks "all".
      { versionMin: partitions === null ? 2 : 1, versionMax: 9 },
    )
    const group = answer.groups[0] ?? answer
    cluster.checkCoordinator('group', groupId, group.errorCode)
    return group.topics.flatMap(({ name: topic, partitions: rows }) =>
      rows.flatMap((row) => {
        cluster.checkCoordinator('group', groupId, row.errorCode)
        const { partitionIndex: partition, committedOffset: offset, metadata } = row
        const { committedLeaderEpoch: leaderEpoch } = row
        return offset < 0 ? [] : [{ topic, partition, offset, metadata, leaderEpoch }]
      }),
    )
  })
}

export interface Committer {
  readonly groupId: string
  readonly memberId: string
  /** -1 and an empty member id: nobody is a member, offsets are only kept under the group's name. */
  readonly generationId: number
  readonly groupInstanceId: string | null
}

/** Who commits what, as OffsetCommit and TxnOffsetCommit say it. */
export function offsetCommit(
  { groupId, memberId, generationId, groupInstanceId }: Committer,
  offsets: readonly CommittedOffset[],
) {
  return {
    groupId,
    memberId,
    groupInstanceId,
    generationIdOrMemberEpoch: generationId,
    topics: Array.from(byTopic(offsets), ([name, rows]) => ({
      name,
      partitions: rows.map((row) => ({
        partitionIndex: row.partition,
        committedOffset: row.offset,
        committedLeaderEpoch: row.leaderEpoch ?? -1,
        committedMetadata: row.metadata ?? '',
      })),
    })),
  }
}

/** Commits the offsets of the next records to read. Rejects with KafkaError, also for a part of them. */
export async function commitOffsets(
  cluster: Cluster,
  committer: Committer,
  offsets: readonly CommittedOffset[],
): Promise<void> {
  if (offsets.length === 0) return
  const { groupId } = committer
  await cluster.retrying(`commit offsets of group ${groupId}`, async () => {
    const answer = await cluster.callCoordinator(
      { type: 'group', id: groupId },
      apis.offsetCommit,
      offsetCommit(committer, offsets),
      { versionMin: 2, versionMax: 9 },
    )
    for (const { partitions } of answer.topics)
      for (const { errorCode } of partitions) cluster.checkCoordinator('group', groupId, errorCode)
  })
}

/** The offset found for the partition; throws where it was not asked for. */
export function offsetIn(found: readonly FoundOffset[], of: TopicPartition): number {
  const row = found.find(({ topic, partition }) => topic === of.topic && partition === of.partition)
  if (row === undefined)
    throw new KafkaError(errors.UNKNOWN_SERVER_ERROR, `no offset was answered for ${nameOf(of)}`)
  return row.offset
}
