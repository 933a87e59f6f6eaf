/** What clients are told of a partition: who leads, who follows, what is wrong. */
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type { MetadataImage, PartitionImage } from '../metadata/image.ts'

export interface DescribedPartition {
  readonly error: ErrorRow
  readonly leaderId: number
  /** Replicas on brokers that do not serve at present. */
  readonly offlineReplicas: number[]
}

export function describePartition(
  image: MetadataImage,
  partition: PartitionImage,
): DescribedPartition {
  const isAlive = (id: number) => image.brokers.get(id)?.fenced === false
  const offlineReplicas = partition.replicas.filter((id) => !isAlive(id))
  if (!isAlive(partition.leader)) {
    return { error: errors.LEADER_NOT_AVAILABLE, leaderId: -1, offlineReplicas }
  }
  return { error: errors.NONE, leaderId: partition.leader, offlineReplicas }
}
