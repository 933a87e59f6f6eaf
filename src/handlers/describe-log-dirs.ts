/** DescribeLogDirs: what lies in each log directory, and how much room there is (KIP-113, KIP-827). */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type {
  DescribeLogDirsRequest,
  DescribeLogDirsResponse,
} from '../../protocol/messages/describe-log-dirs.ts'
import { DiskError } from '../environment/disk.ts'
import type { Log } from '../log/log.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { lagOf } from '../replication/directory-moves.ts'
import type { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

type Result = DescribeLogDirsResponse['results'][number]
type DescribedTopic = Result['topics'][number]
type Wanted = ReadonlyMap<string, ReadonlySet<number>> | null

const describeCluster = rule('DESCRIBE', 'CLUSTER', 'errorCode')

export const describeLogDirs = ({ replicas }: { replicas: Replicas }) =>
  handler(
    apis.describeLogDirs,
    (request, context) => {
      describeCluster.require(context)
      const wanted = wantedPartitions(request)
      const results = replicas.directories.map((directory) => describe(directory, replicas, wanted))
      return { throttleTimeMs: 0, errorCode: errors.NONE.code, results }
    },
    {
      access: [describeCluster],
      onError: (_request, error) => ({ errorCode: error.code, results: [] }),
    },
  )

/** null: all of them. */
function wantedPartitions({ topics }: DescribeLogDirsRequest): Wanted {
  if (topics === null) return null
  const wanted = new Map<string, Set<number>>()
  for (const { topic, partitions } of topics) {
    const ofTopic = wanted.get(topic) ?? new Set()
    wanted.set(topic, ofTopic)
    for (const index of partitions) ofTopic.add(index)
  }
  return wanted
}

function describe(directory: LogDirectory, replicas: Replicas, wanted: Wanted): Result {
  const logDir = directory.path
  try {
    if (directory.failure !== null) throw directory.failure
    const { totalBytes, usableBytes } = directory.disk.capacity(logDir)
    const topics = describeTopics(directory, replicas, wanted)
    return { errorCode: errors.NONE.code, logDir, topics, totalBytes, usableBytes }
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    return { errorCode: errors.KAFKA_STORAGE_ERROR.code, logDir, topics: [] }
  }
}

type DescribedPartition = DescribedTopic['partitions'][number]

function describeTopics(
  directory: LogDirectory,
  replicas: Replicas,
  wanted: Wanted,
): DescribedTopic[] {
  const topics = new Map<string, DescribedPartition[]>()
  for (const partition of replicas.partitions()) {
    if (wanted !== null && !wanted.get(partition.topic)?.has(partition.index)) continue
    const described = describePartition(directory, partition, replicas.moves.nextOf(partition))
    if (described === null) continue
    const ofTopic = topics.get(partition.topic)
    if (ofTopic === undefined) topics.set(partition.topic, [described])
    else ofTopic.push(described)
  }
  return [...topics].map(([name, described]) => ({ name, partitions: described }))
}

/** What the directory has of a partition: its log, the one that is to take its place, or (null) nothing. */
function describePartition(
  directory: LogDirectory,
  partition: Partition,
  next: Log | null,
): DescribedPartition | null {
  const partitionIndex = partition.index
  if (next?.directory === directory) {
    const offsetLag = lagOf(partition, next)
    return { partitionIndex, partitionSize: next.size, offsetLag, isFutureKey: true }
  }
  if (partition.isUnopened) partition.open()
  if (partition.isOffline || partition.directory !== directory) return null
  const log = partition.openedLog
  // By how much the log trails the high watermark: only a follower's can.
  const offsetLag = log === null ? 0 : Math.max(0, log.highWatermark - log.logEndOffset)
  return { partitionIndex, partitionSize: log?.size ?? 0, offsetLag, isFutureKey: false }
}
