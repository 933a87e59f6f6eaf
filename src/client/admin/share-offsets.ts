/** Where share groups are: their start offsets, before which nothing is delivered any more (KIP-932). */
import { apis } from '../../../protocol/apis.ts'
import type { Cluster } from '../cluster.ts'
import { byTopic, type TopicPartition } from '../topic-partition.ts'

export interface ShareOffset extends TopicPartition {
  readonly offset: number
  /** Records that are not dealt with; null where the broker does not say. */
  readonly lag: number | null
}

/** The start offsets of all partitions that the group has begun to read. Rejects with KafkaError. */
export function fetchShareOffsets(cluster: Cluster, groupId: string): Promise<ShareOffset[]> {
  return cluster.retrying(`read the offsets of share group ${groupId}`, async () => {
    const answer = await cluster.callCoordinator(
      { type: 'group', id: groupId },
      apis.describeShareGroupOffsets,
      { groups: [{ groupId, topics: null }] },
    )
    const check = (code: number, message: string | null) =>
      cluster.checkCoordinator('group', groupId, code, message)
    return answer.groups.flatMap((group) => {
      check(group.errorCode, group.errorMessage)
      return group.topics.flatMap(({ topicName: topic, partitions }) =>
        partitions.flatMap((row) => {
          check(row.errorCode, row.errorMessage)
          const lag = row.lag < 0 ? null : row.lag
          const { partitionIndex: partition, startOffset: offset } = row
          return offset < 0 ? [] : [{ topic, partition, offset, lag }]
        }),
      )
    })
  })
}

/** Moves the start offsets of a share group that has no members. Rejects with KafkaError. */
export function alterShareOffsets(
  cluster: Cluster,
  groupId: string,
  offsets: readonly (TopicPartition & { readonly offset: number })[],
): Promise<void> {
  return cluster.retrying(`change the offsets of share group ${groupId}`, async () => {
    const answer = await cluster.callCoordinator(
      { type: 'group', id: groupId },
      apis.alterShareGroupOffsets,
      {
        groupId,
        topics: Array.from(byTopic(offsets), ([topicName, rows]) => ({
          topicName,
          partitions: rows.map(({ partition: partitionIndex, offset: startOffset }) => ({
            partitionIndex,
            startOffset,
          })),
        })),
      },
    )
    cluster.checkCoordinator('group', groupId, answer.errorCode, answer.errorMessage)
    for (const { partitions } of answer.responses)
      for (const row of partitions)
        cluster.checkCoordinator('group', groupId, row.errorCode, row.errorMessage)
  })
}
