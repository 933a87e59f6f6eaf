/** Topics: create, grow, delete, and cut off their beginnings. */
import { apis } from '../../../protocol/apis.ts'
import { KafkaError } from '../../../protocol/errors.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import type { Cluster } from '../cluster.ts'
import { byTopic, nameOf, type TopicPartition } from '../topic-partition.ts'
import { failure, type Outcome, outcome, throwMoved } from './outcome.ts'

export interface NewTopic {
  readonly name: string
  /** -1: as the broker is configured. */
  readonly partitions: number
  /** -1: as the broker is configured. */
  readonly replicationFactor: number
  readonly configs: ReadonlyMap<string, string>
}

export interface CreatedTopic extends Outcome {
  /** -1 where the broker does not say (before Kafka 2.4). */
  readonly partitions: number
  readonly replicationFactor: number
}

/** Creates topics; the outcome is per topic. `validateOnly` checks and creates nothing. */
export async function createTopics(
  cluster: Cluster,
  topics: readonly NewTopic[],
  { validateOnly = false } = {},
): Promise<CreatedTopic[]> {
  const answer = await onController(cluster, 'create topics', async () => {
    const answered = await cluster.callController(apis.createTopics, {
      topics: topics.map(({ name, partitions, replicationFactor, configs }) => ({
        name,
        numPartitions: partitions,
        replicationFactor,
        assignments: [],
        configs: Array.from(configs, ([config, value]) => ({ name: config, value })),
      })),
      timeoutMs: cluster.requestTimeoutMs,
      validateOnly,
    })
    throwMoved(answered.topics.map((row) => outcome(row.name, row.errorCode)))
    return answered
  })
  for (const { name } of topics) cluster.metadata.forget(name)
  return answer.topics.map((row) => ({
    ...outcome(row.name, row.errorCode, row.errorMessage),
    partitions: row.numPartitions,
    replicationFactor: row.replicationFactor,
  }))
}

/** Deletes topics with all their records; the outcome is per topic. */
export async function deleteTopics(cluster: Cluster, names: readonly string[]): Promise<Outcome[]> {
  const answer = await onController(cluster, 'delete topics', async () => {
    const answered = await cluster.callController(
      apis.deleteTopics,
      {
        topics: names.map((name) => ({ name, topicId: zeroUuid })),
        topicNames: names,
        timeoutMs: cluster.requestTimeoutMs,
      },
      { versionMin: 1 },
    )
    throwMoved(answered.responses.map((row) => outcome(row.name ?? '', row.errorCode)))
    return answered
  })
  for (const name of names) cluster.metadata.forget(name)
  return answer.responses.map((row) => outcome(row.name ?? '', row.errorCode, row.errorMessage))
}

/** Gives topics more partitions, so many in all; the outcome is per topic. */
export async function createPartitions(
  cluster: Cluster,
  counts: ReadonlyMap<string, number>,
): Promise<Outcome[]> {
  const answer = await onController(cluster, 'add partitions', async () => {
    const answered = await cluster.callController(apis.createPartitions, {
      topics: Array.from(counts, ([name, count]) => ({ name, count, assignments: null })),
      timeoutMs: cluster.requestTimeoutMs,
      validateOnly: false,
    })
    throwMoved(answered.results.map((row) => outcome(row.name, row.errorCode)))
    return answered
  })
  for (const name of counts.keys()) cluster.metadata.forget(name)
  return answer.results.map((row) => outcome(row.name, row.errorCode, row.errorMessage))
}

export interface CutOffset extends TopicPartition {
  /** Records before it go; -1: all there are. */
  readonly offset: number
}

export interface CutPartition extends TopicPartition {
  /** The first offset that is left. */
  readonly lowWatermark: number
  readonly error: KafkaError | null
}

/** Deletes the records before an offset, partition by partition. */
export async function deleteRecords(
  cluster: Cluster,
  cuts: readonly CutOffset[],
): Promise<CutPartition[]> {
  const byLeader = new Map<number, CutOffset[]>()
  for (const cut of cuts) {
    const leader = await cluster.retrying(`find the leader of ${nameOf(cut)}`, () =>
      cluster.leader(cut.topic, cut.partition),
    )
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), cut])
  }
  const results: CutPartition[] = []
  for (const [leader, rows] of byLeader) {
    const answer = await cluster.callNode(leader, apis.deleteRecords, {
      topics: Array.from(byTopic(rows), ([name, partitions]) => ({
        name,
        partitions: partitions.map(({ partition: partitionIndex, offset }) => ({
          partitionIndex,
          offset,
        })),
      })),
      timeoutMs: cluster.requestTimeoutMs,
    })
    for (const { name: topic, partitions } of answer.topics)
      for (const { partitionIndex: partition, lowWatermark, errorCode } of partitions)
        results.push({ topic, partition, lowWatermark, error: cutFailure(errorCode) })
  }
  return results
}

/** The broker answers a bare code; of these two, what it means here is worth saying. */
function cutFailure(errorCode: number): KafkaError | null {
  const words: Readonly<Record<string, string>> = {
    POLICY_VIOLATION: 'records are only deleted from topics whose cleanup.policy includes delete',
    OFFSET_OUT_OF_RANGE: 'the partition ends before that offset',
  }
  const error = failure(errorCode)
  const message = error === null ? undefined : words[error.error.name]
  return error === null || message === undefined ? error : new KafkaError(error.error, message)
}

/** Repeats while the controller moves. */
function onController<T>(cluster: Cluster, what: string, attempt: () => Promise<T>): Promise<T> {
  return cluster.retrying(what, async () => {
    try {
      return await attempt()
    } catch (error) {
      if (error instanceof KafkaError) cluster.forgetController()
      throw error
    }
  })
}
