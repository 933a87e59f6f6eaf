/**
 * Small files of a partition put together into large ones, in the order in which they came, and rows that are deleted by
 * vectors left out for good. No row changes by it, so that others may append meanwhile, and readers of changes pass it
 * over; only who removes one of the same files is in the way.
 */
import type { AddAction } from './actions.ts'
import { partitionKeyOf } from './partitions.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'

const fileBytesDefault = 128 * 1024 * 1024

export interface Optimized extends Committed {
  readonly removed: number
}

/** `null`: there was nothing to do. Rejects with DeltaError, DeltaConflict, ParquetError, DiskError. */
export async function optimizeTable(
  environment: TableEnvironment,
  fileBytes = fileBytesDefault,
): Promise<Optimized | null> {
  const { storage } = environment
  const snapshot = await readSnapshot(storage)
  const files = candidates(snapshot, fileBytes)
  if (files.length === 0) return null
  const transaction = Transaction.on(environment, snapshot, { dataChange: false, fileBytes })
  try {
    for await (const batch of transaction.scan(files)) await transaction.write(batch)
  } catch (error) {
    await transaction.discard()
    throw error
  }
  for (const file of files) transaction.remove(file, false)
  const committed = await transaction.commit({
    operation: 'OPTIMIZE',
    parameters: { predicate: '[]', zOrderBy: '[]', auto: 'false' },
    metrics: {
      numRemovedFiles: files.length,
      numRemovedBytes: files.reduce((sum, { size }) => sum + size, 0),
    },
  })
  return { ...committed, removed: files.length }
}

/** Files that are small or have deleted rows, partition by partition; none that would only be copied. */
function candidates({ files, schema }: Snapshot, fileBytes: number): AddAction[] {
  const byPartition = new Map<string, AddAction[]>()
  for (const file of files.values()) {
    if (file.size >= fileBytes && file.deletionVector === null) continue
    const key = partitionKeyOf(file, schema.partitionFields)
    const same = byPartition.get(key)
    if (same === undefined) byPartition.set(key, [file])
    else same.push(file)
  }
  return [...byPartition.values()].flatMap((same) => worthwhile(same, fileBytes))
}

/** Without those that fill a file of their own beside their neighbours. */
function worthwhile(files: readonly AddAction[], fileBytes: number): AddAction[] {
  const chosen: AddAction[] = []
  let bin: AddAction[] = []
  let binBytes = 0
  const close = (): void => {
    if (bin.length > 1 || bin.some(({ deletionVector }) => deletionVector !== null)) {
      for (const file of bin) chosen.push(file)
    }
    bin = []
    binBytes = 0
  }
  for (const file of files) {
    if (binBytes + file.size > fileBytes) close()
    bin.push(file)
    binBytes += file.size
  }
  close()
  return chosen
}
