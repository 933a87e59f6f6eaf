/**
 * The snapshots beside the metadata log. `bootstrap.checkpoint`, in the metadata log directory itself,
 * is what the format step writes: the features that a new cluster begins with. A snapshot proper lies in
 * the partition's directory as `<end offset>-<epoch>.checkpoint`; the newest stands for the log before it.
 */
import { encodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import type { Disk } from '../environment/disk.ts'
import { encodeDataBatch, encodeSnapshotFooter, encodeSnapshotHeader } from '../raft/batches.ts'
import { metadataVersionFeature, metadataVersionLatest } from './features.ts'
import { emptyImage } from './image.ts'
import { MetadataLoader } from './loader.ts'
import { type MetadataRecord, record } from './record.ts'

export const bootstrapFile = 'bootstrap.checkpoint'

/** Writes the bootstrap snapshot unless there is one. Durable when it returns. Throws DiskError. */
export function formatMetadata(disk: Disk, metadataDirectory: string, nowMs: number): void {
  const path = `${metadataDirectory}/${bootstrapFile}`
  if (disk.exists(path)) return
  const records = newClusterRecords()
  const place = (baseOffset: number) => ({ baseOffset, leaderEpoch: 0, nowMs })
  const values = records.map((one) => encodeMetadataRecord(one))
  const chunks = [
    encodeSnapshotHeader(0, place(0)),
    encodeDataBatch(values, place(1)),
    encodeSnapshotFooter(place(1 + values.length)),
  ]
  const temporary = `${path}.part`
  disk.remove(temporary)
  const file = disk.open(temporary, 'create')
  try {
    file.write(chunks, 0)
    file.syncNow()
  } finally {
    file.close()
  }
  disk.rename(temporary, path)
  disk.syncDirectory(metadataDirectory)
}

function newClusterRecords(): MetadataRecord[] {
  return [
    record('FeatureLevelRecord', {
      name: metadataVersionFeature,
      featureLevel: metadataVersionLatest,
    }),
  ]
}

/** The records that the log of a new cluster begins with: those of the bootstrap snapshot if it is there. */
export function bootstrapRecords(disk: Disk, metadataDirectory: string): MetadataRecord[] {
  const path = `${metadataDirectory}/${bootstrapFile}`
  if (!disk.exists(path)) return newClusterRecords()
  const loader = new MetadataLoader(emptyImage(''))
  loader.loadSnapshot(disk.readFile(path), 0, 0)
  const { features, scramCredentials } = loader.image
  return [
    ...[...features].map(([name, featureLevel]) =>
      record('FeatureLevelRecord', { name, featureLevel }),
    ),
    ...[...scramCredentials.values()].map((one) => record('UserScramCredentialRecord', { ...one })),
  ]
}

export interface SnapshotFile {
  readonly path: string
  /** Exclusive. */
  readonly endOffset: number
  readonly epoch: number
}

/** The newest snapshot of the metadata partition in `directory`, if there is one that holds records. */
export function newestSnapshot(disk: Disk, directory: string): SnapshotFile | undefined {
  let newest: SnapshotFile | undefined
  for (const { name } of disk.list(directory)) {
    const parts = /^(\d{20})-(\d{10})\.checkpoint$/.exec(name)
    if (parts === null) continue
    const endOffset = Number(parts[1])
    // 0-0 holds only who votes, nothing of the metadata.
    if (endOffset === 0) continue
    if (newest === undefined || endOffset > newest.endOffset) {
      newest = { path: `${directory}/${name}`, endOffset, epoch: Number(parts[2]) }
    }
  }
  return newest
}
