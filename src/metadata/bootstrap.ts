/**
 * `bootstrap.checkpoint`, in the metadata log directory itself, is what the format step writes: the
 * records that the log of a new cluster begins with, as a snapshot of epoch 0.
 */
import { batches, isControl } from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { type Disk, DiskError } from '../environment/disk.ts'
import { DamagedSnapshot, readSnapshot, SnapshotWriter } from '../raft/snapshot-files.ts'
import { unknownVoters } from '../raft/voters.ts'
import {
  elrFeature,
  metadataVersionFeature,
  metadataVersionLatest,
  supportedFeatures,
} from './features.ts'
import { configResource } from './image.ts'
import { MetadataError } from './metadata-error.ts'
import { type MetadataRecord, record } from './record.ts'

export const bootstrapFile = 'bootstrap.checkpoint'

/** Writes the bootstrap snapshot unless there is one. Durable when it returns. Throws DiskError. */
export function formatMetadata(disk: Disk, metadataDirectory: string, nowMs: number): void {
  if (disk.exists(`${metadataDirectory}/${bootstrapFile}`)) return
  const writer = new SnapshotWriter({
    disk,
    directory: metadataDirectory,
    target: bootstrapFile,
    lastContainedMs: 0,
    voters: unknownVoters,
    nowMs,
  })
  writer.append(newClusterRecords().map((one) => encodeMetadataRecord(one)))
  writer.finishNow()
}

/** The level of `metadata.version` comes first: what follows is written in its terms. */
function newClusterRecords(): MetadataRecord[] {
  const rest = supportedFeatures.filter(({ name }) => name !== metadataVersionFeature)
  return [
    { name: metadataVersionFeature, maxSupportedVersion: metadataVersionLatest },
    ...rest,
  ].map(({ name, maxSupportedVersion: featureLevel }) =>
    record('FeatureLevelRecord', { name, featureLevel }),
  )
}

/**
 * The records that the log of a new cluster begins with: those of the bootstrap snapshot if it is there.
 * `minInSyncReplicas` becomes a setting of the cluster where eligible leader replicas are kept (KIP-966).
 * Throws DiskError, and MetadataError for a file that is damaged or not understood.
 */
export function bootstrapRecords(
  disk: Disk,
  metadataDirectory: string,
  minInSyncReplicas: number,
): MetadataRecord[] {
  const path = `${metadataDirectory}/${bootstrapFile}`
  const records = disk.exists(path) ? storedRecords(disk, path) : newClusterRecords()
  const levels = new Map(
    records.flatMap((one) =>
      one.type === 'FeatureLevelRecord' ? [[one.value.name, one.value.featureLevel]] : [],
    ),
  )
  if (!levels.has(metadataVersionFeature)) {
    throw new MetadataError(`${path} names no ${metadataVersionFeature}. ${advice}`)
  }
  if ((levels.get(elrFeature) ?? 0) > 0) {
    const name = 'min.insync.replicas'
    const resource = { resourceType: configResource.BROKER, resourceName: '' }
    records.push(record('ConfigRecord', { ...resource, name, value: String(minInSyncReplicas) }))
  }
  return records
}

function storedRecords(disk: Disk, path: string): MetadataRecord[] {
  const records: MetadataRecord[] = []
  try {
    const { content } = readSnapshot(disk, path)
    for (const at of batches(content)) {
      if (isControl(content, at)) continue
      for (const { value } of readBatch(content, at).records) {
        if (value !== null) records.push(decodeMetadataRecord(value))
      }
    }
  } catch (cause) {
    if (cause instanceof DiskError) throw cause
    const what = cause instanceof DamagedSnapshot ? '' : `${path}: `
    throw new MetadataError(`${what}${(cause as Error).message}. ${advice}`, { cause })
  }
  return records
}

const advice =
  'Format the directory again, or remove the file to begin with the features of this version'
