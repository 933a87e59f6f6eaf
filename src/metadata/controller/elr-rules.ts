/**
 * What eligible leader replicas (KIP-966) ask of `min.insync.replicas`: who may become the leader depends
 * on it, so that it has one value for the whole cluster, always there, and a change of it clears what was
 * derived from the value before.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { elrFeature } from '../features.ts'
import { type ConfigTexts, configResource, configTexts, type MetadataImage } from '../image.ts'
import { type MetadataRecord, record } from '../record.ts'
import { configRecord } from './topic-records.ts'

const setting = 'min.insync.replicas'

const isKept = (image: MetadataImage): boolean => (image.features.get(elrFeature) ?? 0) > 0

/** Throws KafkaError INVALID_CONFIG for a change of a broker's settings that may not be. */
export function checkElr(image: MetadataImage, broker: string, change: ElrChange): void {
  const { before, after } = change
  if (!isKept(image) || before.get(setting) === after.get(setting)) return
  if (broker !== '') {
    const message = `Broker-level ${setting} cannot be altered while ELR is enabled.`
    throw new KafkaError(errors.INVALID_CONFIG, message)
  }
  if (after.has(setting)) return
  const message = `Cluster-level ${setting} cannot be removed while ELR is enabled.`
  throw new KafkaError(errors.INVALID_CONFIG, message)
}

export interface ElrChange {
  readonly before: ConfigTexts
  readonly after: ConfigTexts
}

/** What goes with changed settings of a topic (the whole cluster's where it is empty). */
export function elrRecords(
  image: MetadataImage,
  topicName: string,
  changed: readonly string[],
): MetadataRecord[] {
  if (!isKept(image) || !changed.includes(setting)) return []
  return [record('ClearElrRecord', { topicName })]
}

/** What goes before the feature when it is switched on: one value, for the cluster, and no other. */
export function elrUpgradeRecords(
  image: MetadataImage,
  minInSyncReplicas: number,
): MetadataRecord[] {
  const { BROKER } = configResource
  const records: MetadataRecord[] = []
  if (!configTexts(image, BROKER, '').has(setting)) {
    records.push(configRecord(BROKER, '', setting, String(minInSyncReplicas)))
  }
  for (const id of image.brokers.keys()) {
    const isSet = configTexts(image, BROKER, String(id)).has(setting)
    if (isSet) records.push(configRecord(BROKER, String(id), setting, null))
  }
  return records
}
