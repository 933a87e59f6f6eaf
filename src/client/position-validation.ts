/**
 * Whether what a consumer has read is still there (KIP-320). A partition's next leader may lack what the
 * last one had: its log may have been cut, and filled up again with other records. So it is asked where in
 * its log the epoch ends in which the last record read was written; where that is before the consumer's
 * position, all from there on is gone, and what stands in its place was never read.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode } from '../../protocol/errors.ts'
import type { Cluster } from './cluster.ts'
import { byTopic, nameOf, type TopicPartition } from './topic-partition.ts'

/** A place in a partition. */
export interface Position {
  /** Of the next record. */
  readonly offset: number
  /** In which the record before it was written; -1 where that is not known. */
  readonly leaderEpoch: number
}

export interface EpochQuery extends TopicPartition {
  readonly leaderEpoch: number
  /** Of the leader that is asked. */
  readonly currentLeaderEpoch: number
}

export interface EpochEnd {
  readonly error: ErrorRow
  /** The epoch asked for, else the largest known below it; -1 where none is. */
  readonly leaderEpoch: number
  /** The offset after its last record; -1 where that is not known. */
  readonly endOffset: number
}

/** Versions before tell nothing to who may only read the topic. */
const versionMin = 3

/** By partition. Null: this broker cannot be asked. Rejects with ConnectionError. */
export async function askEpochEnds(
  cluster: Cluster,
  leader: number,
  queries: readonly EpochQuery[],
): Promise<Map<string, EpochEnd> | null> {
  const connection = await cluster.connectionTo(leader, 'fetch')
  const api = apis.offsetForLeaderEpoch
  if (connection.versionOf(api, { versionMin }) === undefined) return null
  const topics = Array.from(byTopic(queries), ([topic, partitions]) => ({ topic, partitions }))
  const answer = await connection.call(api, { replicaId: -1, topics }, { versionMin })
  return new Map(
    answer.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, errorCode, leaderEpoch, endOffset }) => [
        nameOf({ topic, partition }),
        { error: errorByCode(errorCode), leaderEpoch, endOffset },
      ]),
    ),
  )
}
