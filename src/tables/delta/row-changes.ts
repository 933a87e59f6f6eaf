/**
 * Rows of a table that are deleted or become others, for `delete`, `update` and `merge`: each says what becomes of a row,
 * and here it is brought about. Files that hold none of them stay, files that hold nothing else go, and the others are
 * written anew. At first a file is read only as far as it takes to decide; nothing but counts is kept of it meanwhile.
 *
 * Where the table keeps a change feed, what happens to rows is told beside, unless whole files tell it.
 */
import { joinColumns, takeBatch, takeRows } from '../columns/batches.ts'
import type { ColumnBatch } from '../columns/column.ts'
import type { Condition } from '../columns/where.ts'
import type { AddAction } from './actions.ts'
import { changesBatch } from './changes.ts'
import { readWhere } from './conditions.ts'
import { readDeletionVector } from './deletion-vector.ts'
import { type RowBitmap, RowBitmapBuilder } from './row-bitmap.ts'
import { withoutTracking } from './row-tracking.ts'
import { type ScannedBatch, scanFile, scanFiles } from './scan.ts'
import type { TableField } from './schema.ts'
import type { TableEnvironment } from './table-environment.ts'
import type { Committed, Transaction } from './transaction.ts'

/** What becomes of a row. */
export const fate = { stays: 0, goes: 1, changes: 2 } as const

export interface Decision {
  /** Columns that it takes to decide. */
  readonly fields: readonly TableField[]
  /** A fate for each row, all of them live; the same whenever it is asked. The batch has these columns, or all. */
  fatesOf(batch: ColumnBatch): Uint8Array
  /** Rows that change, with all columns, as they are afterwards. */
  changed(batch: ColumnBatch): ColumnBatch
}

export interface RowCounts {
  /** Rows. */
  readonly deleted: number
  readonly updated: number
  /** Rows that were only written to another file. */
  readonly copied: number
  /** Files. */
  readonly removed: number
}

interface Touched {
  readonly file: AddAction
  readonly rows: number
  readonly goes: number
  readonly changes: number
}

export interface ChangeWhere {
  /** Which rows it is about; `null`: all. */
  readonly condition: Condition | null
  /** As it was given. */
  readonly where: string | undefined
  /** Throws DeltaError. */
  readonly decide: () => Decision
  readonly operation: 'DELETE' | 'UPDATE'
}

/**
 * Changes the rows for which a condition is true, in one commit. `null`: there were none, and nothing was committed.
 * Rejects with DeltaError, ParquetError, DiskError; what was staged is discarded then, unless the commit may be there.
 */
export async function changeWhere(
  environment: TableEnvironment,
  transaction: Transaction,
  { condition, where, decide, operation }: ChangeWhere,
): Promise<(Committed & RowCounts) | null> {
  const counts = await staged(environment, transaction, { condition, decide })
  const { deleted, updated, removed, copied } = counts
  if (deleted + updated === 0) return null
  const changed = operation === 'DELETE' ? { numDeletedRows: deleted } : { numUpdatedRows: updated }
  const committed = await transaction.commit({
    operation,
    parameters: { predicate: JSON.stringify(where === undefined ? [] : [where]) },
    metrics: { numRemovedFiles: removed, ...changed, numCopiedRows: copied },
  })
  return { ...counts, ...committed }
}

async function staged(
  environment: TableEnvironment,
  transaction: Transaction,
  { condition, decide }: Pick<ChangeWhere, 'condition' | 'decide'>,
): Promise<RowCounts> {
  try {
    const changes = new RowChanges(environment, transaction, decide())
    return await changes.apply(readWhere(transaction, condition))
  } catch (error) {
    await transaction.discard()
    throw error
  }
}

export class RowChanges {
  readonly #environment: TableEnvironment
  readonly #transaction: Transaction
  readonly #decision: Decision
  readonly #keepsFeed: boolean
  #copied = 0
  readonly #touched: Touched[] = []

  /** Throws DeltaError for a table in which no row changes. */
  constructor(environment: TableEnvironment, transaction: Transaction, decision: Decision) {
    const { configuration } = transaction.metadata
    this.#environment = environment
    this.#transaction = transaction
    this.#decision = decision
    this.#keepsFeed = configuration.get('delta.enableChangeDataFeed') === 'true'
  }

  /** Stages what becomes of the rows of some of the table's files. Rejects with DeltaError, ParquetError, DiskError. */
  async apply(files: Iterable<AddAction>): Promise<RowCounts> {
    for (const file of files) await this.#look(file)
    const writesFeed = this.writesFeed
    for (const touched of this.#touched) {
      const { file, goes, changes, rows } = touched
      if (this.#transaction.writesVectors && goes + changes < rows) {
        await this.#markDeleted(touched, writesFeed)
        continue
      }
      if (writesFeed || !isWhole(touched)) await this.#rewrite(file, { writesFeed, copies: true })
      this.#transaction.remove(file, true)
    }
    const sum = (of: (touched: Touched) => number): number =>
      this.#touched.reduce((all, touched) => all + of(touched), 0)
    return {
      deleted: sum(({ goes }) => goes),
      updated: sum(({ changes }) => changes),
      copied: this.#copied,
      removed: this.#touched.length,
    }
  }

  /** Whether the commit tells its changes in a feed, which then has to tell all of them. */
  get writesFeed(): boolean {
    return this.#keepsFeed && this.#touched.some((touched) => !isWhole(touched))
  }

  async #look(file: AddAction): Promise<void> {
    let [rows, goes, changes] = [0, 0, 0]
    for await (const batch of this.#scan(file, this.#decision.fields)) {
      rows += batch.rowCount
      for (const one of this.#decision.fatesOf(batch)) {
        if (one === fate.goes) goes++
        else if (one === fate.changes) changes++
      }
    }
    if (goes + changes > 0) this.#touched.push({ file, rows, goes, changes })
  }

  /** Leaves a file where it is, with a vector of the rows that go or change, and of those deleted before, unasked. */
  async #markDeleted({ file, changes }: Touched, writesFeed: boolean): Promise<void> {
    const { schema } = this.#transaction
    const { storage } = this.#environment
    const { deletionVector } = file
    const before = deletionVector && (await readDeletionVector(storage, deletionVector))
    const deleted = new RowBitmapBuilder()
    let rowCount = 0
    const scan = { fields: this.#decision.fields, isWanted: null }
    for await (const batch of scanFile(storage, schema, file, scan)) {
      const live = rowsWithout(before, batch)
      const isAll = live.length === batch.rowCount
      const fates = this.#decision.fatesOf(isAll ? batch : takeBatch(batch, live))
      let asked = 0
      for (let row = 0; row < batch.rowCount; row++) {
        const stays = live[asked] === row && fates[asked++] === fate.stays
        if (!stays) deleted.add(batch.firstRow + row)
      }
      rowCount += batch.rowCount
    }
    if (changes > 0 || writesFeed) await this.#rewrite(file, { writesFeed, copies: false })
    await this.#transaction.removeRows(file, deleted, rowCount)
  }

  #scan(file: AddAction, fields: readonly TableField[]): AsyncGenerator<ColumnBatch> {
    const { schema } = this.#transaction
    return scanFiles(this.#environment.storage, { schema }, [file], fields)
  }

  /** Writes the rows of a file that are left, or, where the others need not be copied, those that change. */
  async #rewrite(
    file: AddAction,
    { writesFeed, copies }: { readonly writesFeed: boolean; readonly copies: boolean },
  ): Promise<void> {
    const { schema, tracking } = this.#transaction
    for await (const scanned of this.#transaction.scan([file])) {
      const batch = withoutTracking(scanned, schema)
      const fates = this.#decision.fatesOf(batch)
      const positions = rowsWith(fates, fate.changes)
      const before = takeBatch(batch, positions)
      const after = before.rowCount === 0 ? before : this.#decision.changed(before)
      const changed = tracking === null ? after : tracking.following(scanned, positions, after)
      const left = copies ? replaced(scanned, fates, changed) : changed
      if (left.rowCount > 0) await this.#transaction.write(left)
      this.#copied += left.rowCount - after.rowCount
      if (!writesFeed) continue
      const gone = takeBatch(batch, rowsWith(fates, fate.goes))
      if (gone.rowCount > 0) await this.#transaction.tell(changesBatch(gone, 'delete'))
      if (before.rowCount === 0) continue
      await this.#transaction.tell(changesBatch(before, 'update_preimage'))
      await this.#transaction.tell(changesBatch(after, 'update_postimage'))
    }
  }
}

/** Whether all rows of a file go. */
function isWhole({ rows, goes }: Touched): boolean {
  return goes === rows
}

/** The rows of a batch that are not deleted yet. */
function rowsWithout(deleted: RowBitmap | null, batch: ScannedBatch): Int32Array {
  const rows = new Int32Array(batch.rowCount)
  let count = 0
  for (let row = 0; row < batch.rowCount; row++) {
    if (deleted?.has(batch.firstRow + row) !== true) rows[count++] = row
  }
  return rows.subarray(0, count)
}

function rowsWith(fates: Uint8Array, wanted: number): Int32Array {
  const rows = new Int32Array(fates.length)
  let count = 0
  for (let row = 0; row < fates.length; row++) if (fates[row] === wanted) rows[count++] = row
  return rows.subarray(0, count)
}

/** The rows that are left of a batch, in their places, those that change as `after` has them. */
function replaced(batch: ColumnBatch, fates: Uint8Array, after: ColumnBatch): ColumnBatch {
  if (after.rowCount === 0) return takeBatch(batch, rowsWith(fates, fate.stays))
  const positions = new Int32Array(batch.rowCount)
  let count = 0
  let next = batch.rowCount
  for (let row = 0; row < batch.rowCount; row++) {
    if (fates[row] === fate.goes) continue
    positions[count++] = fates[row] === fate.changes ? next++ : row
  }
  const taken = positions.subarray(0, count)
  const columns = batch.columns.map((column, i) =>
    takeRows(joinColumns([column, after.columns[i]!]), taken),
  )
  return { rowCount: count, fields: batch.fields, columns }
}
