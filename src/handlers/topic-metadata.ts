/** What clients are told of a partition: who leads, who follows, what is wrong. */
import { errors } from '../../protocol/errors.ts'
import {
  type MetadataImage,
  migratingDirectory,
  type PartitionImage,
  unassignedDirectory,
} from '../metadata/image.ts'

/** As Metadata and DescribeTopicPartitions name it. Replicas on brokers, or in log directories, that do not serve at present are offline. */
export function presentPartition(image: MetadataImage, partition: PartitionImage) {
  const { index, leader, leaderEpoch, replicas, isr } = partition
  const isLed = isServed(image, partition, leader)
  return {
    errorCode: (isLed ? errors.NONE : errors.LEADER_NOT_AVAILABLE).code,
    partitionIndex: index,
    leaderId: isLed ? leader : -1,
    leaderEpoch,
    replicaNodes: replicas,
    isrNodes: isr,
    offlineReplicas: replicas.filter((id) => !isServed(image, partition, id)),
  }
}

/** Its broker is there, and has the directory in which the replica lies, as far as that is known (KIP-858). */
function isServed(image: MetadataImage, partition: PartitionImage, id: number): boolean {
  const broker = image.brokers.get(id)
  if (broker === undefined || broker.fenced) return false
  const directory = partition.directories[partition.replicas.indexOf(id)] ?? unassignedDirectory
  const isKnown = directory !== unassignedDirectory && directory !== migratingDirectory
  return !isKnown || broker.logDirs.length === 0 || broker.logDirs.includes(directory)
}
