/**
 * OffsetForLeaderEpoch: where a leader's term ended in this log, so that a consumer or a replica finds
 * out whether its own history is part of it (KIP-101, KIP-279, KIP-320).
 */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type { OffsetForLeaderEpochRequest } from '../../protocol/messages/offset-for-leader-epoch.ts'
import { DiskError } from '../environment/disk.ts'
import { mapInSteps, mapSteps } from '../environment/in-turns.ts'
import type { EpochEnd } from '../log/leader-epochs.ts'
import { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

type RequestedPartition = OffsetForLeaderEpochRequest['topics'][number]['partitions'][number]

/** Replicas ask as members of the cluster, consumers as readers of a topic. */
const describeTopic = rule('DESCRIBE', 'TOPIC', 'topics.partitions.errorCode', {
  unless: 'CLUSTER_ACTION',
})

export const offsetForLeaderEpoch = ({ replicas }: { replicas: Replicas }) =>
  handler(
    apis.offsetForLeaderEpoch,
    async (request, context) => {
      const answers = mapSteps(request.topics, function* ({ topic, partitions }) {
        const isAllowed = describeTopic.allows(context, topic)
        const answer = ({ partition, currentLeaderEpoch, leaderEpoch }: RequestedPartition) => {
          const found = isAllowed ? replicas.find(topic, partition) : describeTopic.error
          const end = endOf(found, currentLeaderEpoch, leaderEpoch)
          return 'code' in end
            ? { errorCode: end.code, partition, leaderEpoch: -1, endOffset: -1 }
            : { errorCode: errors.NONE.code, partition, ...end }
        }
        return { topic, partitions: yield* mapInSteps(partitions, answer) }
      })
      return { throttleTimeMs: 0, topics: await context.inTurns(answers) }
    },
    { access: [describeTopic] },
  )

/** Where the epoch, or the largest known below it, ends; or what is against telling. */
function endOf(
  found: Partition | ErrorRow,
  currentLeaderEpoch: number,
  leaderEpoch: number,
): EpochEnd | ErrorRow {
  if (!(found instanceof Partition)) return found
  const error = found.leaderError(currentLeaderEpoch)
  if (error !== null) return error
  try {
    const end = found.log.endOffsetFor(leaderEpoch)
    return { leaderEpoch: end.leaderEpoch, endOffset: end.endOffset }
  } catch (error) {
    if (error instanceof DiskError) return errors.KAFKA_STORAGE_ERROR
    throw error
  }
}
