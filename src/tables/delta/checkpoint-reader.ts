/**
 * Checkpoints: a version's actions in Parquet, one a row, or (v2) in JSON, where sidecars may hold the rows of files. Of
 * a row only what actions need is read; statistics by column, which may be most of it, are not.
 */
import type { Storage } from '../../environment/storage.ts'
import { structAt } from '../columns/value.ts'
import { ParquetFile } from '../parquet/parquet-file.ts'
import { type Action, actionOfRow, parseActions, type SidecarAction } from './actions.ts'
import { corrupt } from './delta-error.ts'
import { type Checkpoint, sidecarDirectory } from './log-files.ts'
import { fileNameOf } from './paths.ts'

const fileColumns = [
  'path',
  'partitionValues',
  'size',
  'modificationTime',
  'dataChange',
  'tags',
  'deletionVector',
  'baseRowId',
  'defaultRowCommitVersion',
]
const columns: readonly (readonly string[])[] = [
  ...[...fileColumns, 'stats', 'clusteringProvider'].map((name) => ['add', name]),
  ...[...fileColumns, 'deletionTimestamp', 'extendedFileMetadata'].map((name) => ['remove', name]),
  ...['metaData', 'protocol', 'txn', 'domainMetadata', 'sidecar'].map((name) => [name]),
]

/** What a checkpoint has in other files. */
export async function* sidecarsOf(
  storage: Storage,
  { names }: Checkpoint,
): AsyncGenerator<SidecarAction> {
  for (const name of names) {
    for await (const action of actionsIn(storage, name, [['sidecar']])) {
      if (action.kind === 'sidecar') yield action.sidecar
    }
  }
}

export async function* readCheckpoint(
  storage: Storage,
  checkpoint: Checkpoint,
): AsyncGenerator<Action> {
  for (const name of checkpoint.names) {
    for await (const action of actionsIn(storage, name)) {
      if (action.kind !== 'sidecar') {
        yield action
        continue
      }
      const path = fileNameOf(action.sidecar.path)
      for await (const inside of actionsIn(storage, `${sidecarDirectory}/${path}`)) {
        if (inside.kind === 'sidecar') throw corrupt(`sidecar ${path} names a sidecar`)
        yield inside
      }
    }
  }
}

async function* actionsIn(
  storage: Storage,
  name: string,
  wanted = columns,
): AsyncGenerator<Action> {
  if (name.endsWith('.json')) {
    yield* parseActions(await storage.read(name), name)
    return
  }
  const source = await storage.open(name)
  try {
    const file = await ParquetFile.open(source)
    for await (const batch of file.batches({ columns: wanted })) {
      for (let row = 0; row < batch.rowCount; row++) {
        const action = actionOfRow(structAt(batch.fields, batch.columns, row))
        if (action !== null) yield action
      }
    }
  } finally {
    await source.close()
  }
}
