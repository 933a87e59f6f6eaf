/**
 * Features: what this version supports, what is finalized, and which record versions follow from
 * `metadata.version`. Only what is served is claimed: a level beyond it could be finalized, and the next
 * record would not be understood.
 */
import type { MetadataImage, VersionRange } from './image.ts'

export const metadataVersionFeature = 'metadata.version'
/** How transactions are verified and ended (KIP-890): at 2, with a new epoch each. */
const transactionVersionFeature = 'transaction.version'
/** Eligible leader replicas (KIP-966). */
export const elrFeature = 'eligible.leader.replicas.version'
/** Consumer groups (KIP-848). */
export const groupVersionFeature = 'group.version'

/** Share groups (KIP-932). */
const shareVersionFeature = 'share.version'
/** Streams groups (KIP-1071). */
export const streamsVersionFeature = 'streams.version'

/** 3.3-IV3, the first that has feature records. */
export const metadataVersionMin = 7
/** 4.3-IV0. */
export const metadataVersionLatest = 30

/** A new cluster begins with each at its highest level, as Kafka's format step does without being told. */
export const supportedFeatures: readonly VersionRange[] = [
  { name: elrFeature, minSupportedVersion: 0, maxSupportedVersion: 1 },
  { name: groupVersionFeature, minSupportedVersion: 0, maxSupportedVersion: 1 },
  {
    name: metadataVersionFeature,
    minSupportedVersion: metadataVersionMin,
    maxSupportedVersion: metadataVersionLatest,
  },
  { name: shareVersionFeature, minSupportedVersion: 0, maxSupportedVersion: 1 },
  { name: streamsVersionFeature, minSupportedVersion: 0, maxSupportedVersion: 1 },
  { name: transactionVersionFeature, minSupportedVersion: 0, maxSupportedVersion: 2 },
]

/** Features of Apache Kafka that this version does not serve; a directory of Kafka's may have them finalized. */
export const kafkaFeatures: ReadonlySet<string> = new Set(['kraft.version'])

/** Levels at which the stored metadata changed form: no way back across them. */
const formatChanges = new Set([7, 8, 11, 13, 14, 15, 17, 23, 30])
/** Levels that were given up before a release. */
const neverUsed = new Set([16, 18])

const names: Readonly<Record<number, string>> = {
  7: '3.3-IV3',
  8: '3.4-IV0',
  9: '3.5-IV0',
  10: '3.5-IV1',
  11: '3.5-IV2',
  12: '3.6-IV0',
  13: '3.6-IV1',
  14: '3.6-IV2',
  15: '3.7-IV0',
  17: '3.7-IV2',
  19: '3.7-IV4',
  20: '3.8-IV0',
  21: '3.9-IV0',
  22: '4.0-IV0',
  23: '4.0-IV1',
  24: '4.0-IV2',
  25: '4.0-IV3',
  26: '4.1-IV0',
  27: '4.1-IV1',
  28: '4.2-IV0',
  29: '4.2-IV1',
  30: '4.3-IV0',
}

/** As Kafka prints it: `4.3-IV0`. */
export function metadataVersionName(level: number): string {
  return names[level] ?? String(level)
}

export function isMetadataVersion(level: number): boolean {
  return level >= metadataVersionMin && level <= metadataVersionLatest && !neverUsed.has(level)
}

/** Whether a metadata transaction may be written (KIP-868): from 3.6-IV1 on. */
export function hasTransactions(image: MetadataImage): boolean {
  return metadataVersion(image) >= 13
}

/** Whether going back from `from` to `to` would lose what is stored. */
export function losesMetadata(from: number, to: number): boolean {
  for (let level = to + 1; level <= from; level++) if (formatChanges.has(level)) return true
  return false
}

export function metadataVersion(image: MetadataImage): number {
  return image.features.get(metadataVersionFeature) ?? metadataVersionMin
}

export function transactionVersion(image: MetadataImage): number {
  return image.features.get(transactionVersionFeature) ?? 0
}

/** Version in which RegisterBroker is stored. */
export function registerBrokerVersion(level: number): number {
  if (level >= 30) return 4
  if (level >= 17) return 3
  return level >= 8 ? 2 : 1
}

/** Version in which Partition and PartitionChange are stored. */
export function partitionVersion(level: number): number {
  if (level >= 23) return 2
  return level >= 17 ? 1 : 0
}

export function isShareGroupsEnabled(image: MetadataImage): boolean {
  return (image.features.get(shareVersionFeature) ?? 0) > 0
}
