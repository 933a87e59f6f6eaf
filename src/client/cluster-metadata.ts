/**
 * What a client knows about a cluster: brokers, topics, leaders. Each answer of the Metadata API adds
 * to it or replaces what it tells anew; entries carry the time at which they were learnt, so that old
 * ones are asked for again.
 */
import type { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode } from '../../protocol/errors.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Answered } from './connection.ts'

export interface Node {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface PartitionMetadata {
  readonly index: number
  /** -1: none. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly offline: readonly number[]
}

export interface TopicMetadata {
  readonly name: string
  readonly topicId: Uuid
  readonly isInternal: boolean
  /** NONE, or why the broker cannot tell. */
  readonly error: ErrorRow
  /** By index, in order. */
  readonly partitions: readonly PartitionMetadata[]
  readonly learntAtMs: Milliseconds
}

export class ClusterMetadata {
  clusterId: string | null = null
  /** -1: none known. */
  controllerId = -1
  nodes: ReadonlyMap<number, Node> = new Map()
  readonly topics = new Map<string, TopicMetadata>()
  readonly #names = new Map<Uuid, string>()

  /** Takes over an answer; topics that it does not speak of stay as they are. */
  learn(answer: Answered<typeof apis.metadata>, nowMs: Milliseconds): void {
    this.clusterId = answer.clusterId ?? this.clusterId
    this.controllerId = answer.controllerId
    this.nodes = new Map(
      answer.brokers.map(({ nodeId: id, host, port, rack }) => [id, { id, host, port, rack }]),
    )
    for (const topic of answer.topics) {
      if (topic.name === null) continue
      const partitions = topic.partitions.map((partition) => ({
        index: partition.partitionIndex,
        leader: partition.leaderId,
        leaderEpoch: partition.leaderEpoch,
        replicas: partition.replicaNodes,
        isr: partition.isrNodes,
        offline: partition.offlineReplicas,
      }))
      this.topics.set(topic.name, {
        name: topic.name,
        topicId: topic.topicId,
        isInternal: topic.isInternal,
        error: errorByCode(topic.errorCode),
        partitions: partitions.sort((left, right) => left.index - right.index),
        learntAtMs: nowMs,
      })
      if (topic.topicId !== zeroUuid) this.#names.set(topic.topicId, topic.name)
    }
  }

  /** The name of the topic of this id, where it was ever told. */
  nameOf(topicId: Uuid): string | undefined {
    return this.#names.get(topicId)
  }

  /** The partition, where the topic is known and has it. */
  partition(topic: string, index: number): PartitionMetadata | undefined {
    const partitions = this.topics.get(topic)?.partitions
    return partitions?.[index]?.index === index
      ? partitions[index]
      : partitions?.find((partition) => partition.index === index)
  }

  /** What is known of the topic can no longer be trusted. */
  forget(topic: string): void {
    this.topics.delete(topic)
  }
}
