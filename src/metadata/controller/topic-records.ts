/** The records that make a topic, a partition or a setting. */
import type { Uuid } from '../../../protocol/types.ts'
import { metadataVersion, partitionVersion } from '../features.ts'
import { configResource, type MetadataImage, type PartitionImage } from '../image.ts'
import { partitionRecordOf } from '../partition-record.ts'
import { type MetadataRecord, record } from '../record.ts'

/** In the form that the finalized `metadata.version` asks for. */
export function partitionRecord(
  image: MetadataImage,
  topicId: Uuid,
  partition: PartitionImage,
): MetadataRecord {
  return partitionRecordOf(topicId, partition, partitionVersion(metadataVersion(image)))
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
