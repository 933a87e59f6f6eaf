/** The records that make a topic, a partition or a setting. */
import type { Uuid } from '../../../protocol/types.ts'
import { metadataVersion, partitionVersion } from '../features.ts'
import { configResource, type MetadataImage, type PartitionImage } from '../image.ts'
import { type MetadataRecord, record } from '../record.ts'

/** In the form that the finalized `metadata.version` asks for. */
export function partitionRecord(
  image: MetadataImage,
  topicId: Uuid,
  partition: PartitionImage,
): MetadataRecord {
  const { elr, lastKnownElr } = partition
  return record(
    'PartitionRecord',
    {
      partitionId: partition.index,
      topicId,
      replicas: partition.replicas,
      isr: partition.isr,
      removingReplicas: partition.removingReplicas,
      addingReplicas: partition.addingReplicas,
      leader: partition.leader,
      leaderRecoveryState: partition.leaderRecoveryState,
      leaderEpoch: partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch,
      directories: partition.directories,
      eligibleLeaderReplicas: elr.length === 0 ? null : elr,
      lastKnownElr: lastKnownElr.length === 0 ? null : lastKnownElr,
    },
    partitionVersion(metadataVersion(image)),
  )
}

/** `value` null deletes the setting. */
export function configRecord(
  resourceType: number,
  resourceName: string,
  name: string,
  value: string | null,
): MetadataRecord {
  return record('ConfigRecord', { resourceType, resourceName, name, value })
}

export function topicConfigRecord(topic: string, name: string, value: string): MetadataRecord {
  return configRecord(configResource.TOPIC, topic, name, value)
}
