/** The cluster itself: its brokers, log directories, features, and the quorum of its metadata log. */
import { apis } from '../../../protocol/apis.ts'
import type { KafkaError } from '../../../protocol/errors.ts'
import type { Cluster } from '../cluster.ts'
import type { Answered } from '../connection.ts'
import { check, failure } from './outcome.ts'

export interface DescribedBroker {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  /** Registered, but not serving now. */
  readonly isFenced: boolean
}

export interface DescribedCluster {
  readonly clusterId: string | null
  /** -1: none known. */
  readonly controllerId: number
  readonly brokers: readonly DescribedBroker[]
}

/** The cluster and its brokers, fenced ones included where the broker tells of them (KIP-1073). */
export async function describeCluster(cluster: Cluster): Promise<DescribedCluster> {
  const connection = await cluster.anyConnection()
  if (connection.versionOf(apis.describeCluster) === undefined) {
    const nodes = await cluster.nodes()
    const { clusterId, controllerId } = cluster.metadata
    return { clusterId, controllerId, brokers: nodes.map((node) => ({ ...node, isFenced: false })) }
  }
  const answer = await connection.call(apis.describeCluster, {
    includeClusterAuthorizedOperations: false,
    includeFencedBrokers: true,
  })
  check(answer.errorCode, answer.errorMessage)
  return {
    clusterId: answer.clusterId,
    controllerId: answer.controllerId,
    brokers: answer.brokers
      .map(({ brokerId: id, host, port, rack, isFenced }) => ({ id, host, port, rack, isFenced }))
      .sort((left, right) => left.id - right.id),
  }
}

export interface LogDirPartition {
  readonly topic: string
  readonly partition: number
  readonly sizeBytes: number
  /** Records by which it lags behind the partition's end, or behind its current replica. */
  readonly offsetLag: number
  /** It replaces the replica in another directory once it has caught up. */
  readonly isFuture: boolean
}

export interface LogDir {
  readonly brokerId: number
  readonly path: string
  readonly error: KafkaError | null
  /** Of the volume; -1 where the broker does not say (before Kafka 3.3). */
  readonly totalBytes: number
  readonly usableBytes: number
  readonly partitions: readonly LogDirPartition[]
}

/** The log directories of these brokers with the partitions in them: of these topics, or (null) of all. */
export async function describeLogDirs(
  cluster: Cluster,
  brokerIds: readonly number[],
  topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null,
): Promise<LogDir[]> {
  const answers = await Promise.all(
    brokerIds.map(async (brokerId) => {
      const answer = await cluster.callNode(brokerId, apis.describeLogDirs, { topics })
      check(answer.errorCode)
      return answer.results.map((dir) => ({
        brokerId,
        path: dir.logDir,
        error: failure(dir.errorCode),
        totalBytes: dir.totalBytes,
        usableBytes: dir.usableBytes,
        partitions: dir.topics.flatMap(({ name: topic, partitions }) =>
          partitions.map((row) => ({
            topic,
            partition: row.partitionIndex,
            sizeBytes: row.partitionSize,
            offsetLag: row.offsetLag,
            isFuture: row.isFutureKey,
          })),
        ),
      }))
    }),
  )
  return answers.flat()
}

export interface Feature {
  readonly name: string
  readonly supported: readonly [min: number, max: number]
  /** Null: not in force. */
  readonly finalized: number | null
}

/** The features that a broker supports, and the levels in force in the cluster (KIP-584). */
export async function describeFeatures(cluster: Cluster): Promise<Feature[]> {
  const { supportedFeatures, finalizedFeatures } = (await cluster.anyConnection()).apiVersions
  return supportedFeatures
    .map(({ name, minVersion, maxVersion }) => ({
      name,
      supported: [minVersion, maxVersion] as const,
      finalized: finalizedFeatures.find((row) => row.name === name)?.maxVersionLevel ?? null,
    }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}

type QuorumPartition = Answered<typeof apis.describeQuorum>['topics'][number]['partitions'][number]

/** The quorum of the metadata log. Rejects with KafkaError or UnsupportedVersionError. */
export async function describeQuorum(cluster: Cluster): Promise<QuorumPartition> {
  const answer = await cluster.retrying('describe the quorum', async () => {
    const topic = { topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }
    const answered = await cluster.callAny(apis.describeQuorum, { topics: [topic] })
    check(answered.errorCode, answered.errorMessage)
    const row = answered.topics[0]?.partitions[0]
    check(row?.errorCode ?? 0, row?.errorMessage)
    return row
  })
  if (answer === undefined) throw new RangeError('the broker did not describe its quorum')
  return answer
}
