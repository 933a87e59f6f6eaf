/**
 * Small files of a partition put together into large ones, in the order in which they came, and rows that are deleted by
 * vectors left out for good. No row changes by it, so that others may append meanwhile, and readers of changes pass it
 * over; only who removes one of the same files is in the way.
 */
import type { AddAction } from './actions.ts'
import { invalid } from './delta-error.ts'
import { partitionKeyOf } from './partitions.ts'
import { scanFiles } from './scan.ts'
import type { TableSchema } from './schema.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'
import { RowSample, ZColumns } from './z-order.ts'

const fileBytesDefault = 128 * 1024 * 1024
/** Files of rows in order that are written at once: each has a row group in memory. */
const piecesAtOnce = 8

export interface Optimized extends Committed {
  readonly removed: number
}

/**
 * Puts files together, or (`zOrderBy`) all rows of a partition in order by several columns. `null`: there was nothing to
 * do. Rejects with DeltaError, DeltaConflict, ParquetError, DiskError.
 */
export async function optimizeTable(
  environment: TableEnvironment,
  fileBytes = fileBytesDefault,
  zOrderBy: readonly string[] = [],
): Promise<Optimized | null> {
  const { storage } = environment
  const snapshot = await readSnapshot(storage)
  const columns = zOrderBy.length === 0 ? null : zColumnsOf(snapshot, zOrderBy)
  const groups =
    columns === null ? [candidates(snapshot, fileBytes)] : wholePartitions(snapshot, fileBytes)
  const files = groups.flat()
  if (files.length === 0) return null
  const transaction = Transaction.on(environment, snapshot, { dataChange: false, fileBytes })
  try {
    for (const group of groups) {
      if (columns === null) await putTogether(transaction, group)
      else await putInOrder(environment, transaction, { files: group, columns, fileBytes })
    }
  } catch (error) {
    await transaction.discard()
    throw error
  }
  for (const file of files) transaction.remove(file, false)
  const committed = await transaction.commit({
    operation: 'OPTIMIZE',
    parameters: { predicate: '[]', zOrderBy: JSON.stringify(zOrderBy), auto: 'false' },
    metrics: {
      numRemovedFiles: files.length,
      numRemovedBytes: bytesOf(files),
    },
  })
  return { ...committed, removed: files.length }
}

async function putTogether(transaction: Transaction, files: readonly AddAction[]): Promise<void> {
  for await (const batch of transaction.scan(files)) await transaction.write(batch)
}

interface Ordering {
  /** Of one partition. */
  readonly files: readonly AddAction[]
  readonly columns: ZColumns
  readonly fileBytes: number
}

/** Reads the files once to see where to cut, and then as often as there are lots of pieces written at once. */
async function putInOrder(
  { storage }: TableEnvironment,
  transaction: Transaction,
  { files, columns, fileBytes }: Ordering,
): Promise<void> {
  const { schema } = transaction
  const sample = new RowSample(columns)
  for await (const batch of scanFiles(storage, { schema }, files, columns.fields)) {
    sample.observe(batch)
  }
  const pieceCount = Math.ceil(bytesOf(files) / fileBytes)
  const curve = sample.curve(pieceCount)
  for (let first = 0; first < pieceCount; first += piecesAtOnce) {
    for await (const batch of transaction.scan(files)) {
      for (const { piece, rows } of curve.pieces(batch, first, first + piecesAtOnce)) {
        await transaction.write(rows, piece)
      }
    }
    await transaction.endFiles()
  }
}

function zColumnsOf({ schema, domains }: Snapshot, names: readonly string[]): ZColumns {
  if (domains.has('delta.clustering')) {
    throw invalid(
      'the table is clustered: its rows are in an order already, and in no other besides',
    )
  }
  return new ZColumns(schema, names)
}

/** All files, partition by partition, but for those that are one as it is. */
function wholePartitions({ files, schema }: Snapshot, fileBytes: number): AddAction[][] {
  return [...byPartition(files.values(), schema).values()].filter(
    (same) => same.length > 1 || same[0]!.deletionVector !== null || same[0]!.size > fileBytes,
  )
}

function byPartition(
  files: Iterable<AddAction>,
  { partitionFields }: TableSchema,
): Map<string, AddAction[]> {
  const partitions = new Map<string, AddAction[]>()
  for (const file of files) {
    const key = partitionKeyOf(file, partitionFields)
    const same = partitions.get(key)
    if (same === undefined) partitions.set(key, [file])
    else same.push(file)
  }
  return partitions
}

function bytesOf(files: readonly AddAction[]): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}

/** Files that are small or have deleted rows, partition by partition; none that would only be copied. */
function candidates({ files, schema }: Snapshot, fileBytes: number): AddAction[] {
  const small = [...files.values()].filter(
    ({ size, deletionVector }) => size < fileBytes || deletionVector !== null,
  )
  return [...byPartition(small, schema).values()].flatMap((same) => worthwhile(same, fileBytes))
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
