/** AlterReplicaLogDirs: moves replicas to other log directories of this broker (KIP-113). */
import { apis } from '../../protocol/apis.ts'
import type {
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponse,
} from '../../protocol/messages/alter-replica-log-dirs.ts'
import type { Replicas } from '../replication/replicas.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'results.partitions.errorCode')

export const alterReplicaLogDirs = ({ replicas }: { replicas: Replicas }) =>
  handler(
    apis.alterReplicaLogDirs,
    (request, context) => {
      alterCluster.require(context)
      const results = answer(
        request,
        (path, topic, index) => replicas.moveTo(path, topic, index).code,
      )
      return { throttleTimeMs: 0, results }
    },
    {
      access: [alterCluster],
      onError: (request, { code }) => ({ results: answer(request, () => code) }),
    },
  )

/** By topic, without those of which no partition is named. Of a partition that is named several times the last directory counts, as in Kafka. */
function answer(
  { dirs }: AlterReplicaLogDirsRequest,
  codeOf: (path: string, topic: string, index: number) => number,
): AlterReplicaLogDirsResponse['results'] {
  const wanted = new Map<string, Map<number, string>>()
  for (const { path, topics } of dirs) {
    for (const { name, partitions } of topics) {
      if (partitions.length === 0) continue
      const ofTopic = wanted.get(name) ?? new Map<number, string>()
      wanted.set(name, ofTopic)
      for (const index of partitions) ofTopic.set(index, path)
    }
  }
  return [...wanted].map(([topicName, ofTopic]) => ({
    topicName,
    partitions: [...ofTopic].map(([partitionIndex, path]) => ({
      partitionIndex,
      errorCode: codeOf(path, topicName, partitionIndex),
    })),
  }))
}
