/** What clients are told of a partition: who leads, who follows, what is wrong. */
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import {
  type MetadataImage,
  migratingDirectory,
  type PartitionImage,
  unassignedDirectory,
} from '../metadata/image.ts'

export interface DescribedPartition {
  readonly error: ErrorRow
  readonly leaderId: number
  /** Replicas on brokers, or in log directories, that do not serve at present. */
  readonly offlineReplicas: number[]
}

export function describePartition(
  image: MetadataImage,
  partition: PartitionImage,
): DescribedPartition {
  const { replicas, leader } = partition
  const offlineReplicas = replicas.filter((id) => !isServed(image, partition, id))
  if (!isServed(image, partition, leader)) {
    return { error: errors.LEADER_NOT_AVAILABLE, leaderId: -1, offlineReplicas }
  }
  return { error: errors.NONE, leaderId: leader, offlineReplicas }
}

/** Its broker is there, and has the directory in which the replica lies, as far as that is known (KIP-858). */
function isServed(image: MetadataImage, partition: PartitionImage, id: number): boolean {
  const broker = image.brokers.get(id)
  if (broker === undefined || broker.fenced) return false
  const directory = partition.directories[partition.replicas.indexOf(id)] ?? unassignedDirectory
  const isKnown = directory !== unassignedDirectory && directory !== migratingDirectory
  return !isKnown || broker.logDirs.length === 0 || broker.logDirs.includes(directory)
}
