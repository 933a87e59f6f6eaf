/**
 * A table made what it was at an older version, by a new one: files that came since are removed, those that went are
 * added again, if they are still there. What applications remember of their progress stays, so that none writes again
 * what it has written, but for those that are to write again what is gone.
 */
import { DiskError } from '../../environment/disk.ts'
import type { Storage } from '../../environment/storage.ts'
import { linesOf } from './action-lines.ts'
import type { AddAction, MetadataAction } from './actions.ts'
import { isInFile, vectorFileName } from './deletion-vector.ts'
import { missing } from './delta-error.ts'
import { keepingNumbers } from './identity.ts'
import { fileNameOf } from './paths.ts'
import { readSnapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'

export interface Restored extends Committed {
  readonly added: number
  readonly removed: number
  /** Applications whose progress goes back, and to where. */
  readonly setBack: ReadonlyMap<string, bigint>
}

export interface RestoreOptions {
  /** What was asked for, where it was that; the history says so. */
  readonly timestamp?: string | undefined
  /** Whether an application writes again what came behind the version that it is told; else its progress stays. */
  readonly goesBack?: (appId: string) => boolean
}

/** `null`: the table is as it was then. Rejects with DeltaError, DiskError. */
export async function restoreTable(
  environment: TableEnvironment,
  version: number,
  { timestamp, goesBack = () => false }: RestoreOptions = {},
): Promise<Restored | null> {
  const { storage } = environment
  const now = await readSnapshot(storage)
  const then = await readSnapshot(storage, version)
  const transaction = Transaction.on(environment, now)
  const removed = [...now.files].filter(([key]) => !then.files.has(key))
  const added = [...then.files].filter(([key]) => !now.files.has(key))
  for (const [, file] of added) await refuseMissing(storage, file, version)
  for (const [, file] of removed) transaction.remove(file, true)
  for (const [, file] of added) transaction.add({ ...file, dataChange: true })
  const metadata = keepingNumbers(then.metadata, then.schema.fields, now.schema.fields)
  const isOther = !textOf(metadata).equals(textOf(now.metadata))
  if (isOther) transaction.change({ metadata })
  if (removed.length + added.length === 0 && !isOther) return null
  const setBack = new Map<string, bigint>()
  for (const [appId, { version: reached }] of now.transactions) {
    const earlier = then.transactions.get(appId)?.version ?? 0n
    if (earlier < reached && goesBack(appId)) setBack.set(appId, earlier)
  }
  for (const [appId, earlier] of setBack) transaction.progress(appId, earlier)
  transaction.readAll()
  const committed = await transaction.commit({
    operation: 'RESTORE',
    parameters: { version: String(version), ...(timestamp === undefined ? {} : { timestamp }) },
    metrics: { numRestoredFiles: added.length, numRemovedFiles: removed.length },
  })
  return { ...committed, added: added.length, removed: removed.length, setBack }
}

function textOf(metaData: MetadataAction): Buffer {
  return linesOf([{ kind: 'metaData', metaData }])
}

/** Nobody reads a file whose deletion vector is gone, either. */
async function refuseMissing(storage: Storage, file: AddAction, version: number): Promise<void> {
  const { path, deletionVector } = file
  const names = [fileNameOf(path)]
  if (deletionVector !== null && isInFile(deletionVector))
    names.push(vectorFileName(deletionVector))
  for (const name of names) {
    try {
      const opened = await storage.open(name)
      await opened.close()
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error
      throw missing(`version ${version} cannot be restored: its file ${name} was vacuumed`)
    }
  }
}
