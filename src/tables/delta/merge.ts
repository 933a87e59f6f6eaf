/**
 * Rows merged into a table by key: one that is there is updated or deleted, one that is not is inserted, all in one
 * commit. The rows that come are held in memory, the table's are read file by file: of files that may have one of the
 * keys, going by the log, at first the key alone, and the rest of those that do have one.
 *
 *     const transaction = Transaction.on(environment, await readSnapshot(storage))
 *     const counts = await stageMerge(environment, transaction, source)
 *     await transaction.commit(mergeDescription(source, counts))
 */
import { joinColumns, takeBatch, takeRows } from '../columns/batches.ts'
import { type Column, type ColumnBatch, isValid } from '../columns/column.ts'
import { KeyIndex } from '../columns/key-index.ts'
import { compareScalars, isScalar, type Scalar } from '../columns/predicate.ts'
import { valueAt } from '../columns/value.ts'
import type { AddAction } from './actions.ts'
import { attempting } from './attempts.ts'
import { changesBatch } from './changes.ts'
import { isLike } from './data-writer.ts'
import { invalid } from './delta-error.ts'
import { boundsOfFile } from './file-bounds.ts'
import { type Decision, fate, RowChanges, type RowCounts } from './row-changes.ts'
import { chosenFields } from './scan.ts'
import type { TableField, TableSchema } from './schema.ts'
import { noneSilent, type Silent, takeFlags, takeSilent } from './silent-rows.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type CommitDescription, type Committed, Transaction } from './transaction.ts'

export interface MergeSource {
  /** Columns that are the key. A row without a value in one of them matches none. */
  readonly on: readonly string[]
  /** By the names of the table's columns. Those that are not here are kept where a row matches, and empty in one inserted. */
  readonly batch: ColumnBatch
  /** 1 where a row only says that its match is to be deleted. Left out: nowhere. */
  readonly deletes?: Uint8Array
  /** Where a row is silent the match keeps what it has, and what is generated is computed anew. */
  readonly silent?: Silent
  /** What is done with a row that is there: `update` unless given. Those of `deletes` are deleted whatever this says. */
  readonly whenMatched?: 'update' | 'delete' | 'nothing'
  readonly whenNotMatched?: 'insert' | 'nothing'
  /** Of rows with the same key the `last` counts, or they are refused, as unless given. */
  readonly sameKey?: 'last' | 'refuse'
}

export interface MergeCounts extends RowCounts {
  readonly inserted: number
  /** Rows that came. */
  readonly source: number
}

export interface Merged extends Committed, MergeCounts {}

/** `null`: nothing changed. Rejects with DeltaError, ParquetError, DiskError. */
export function mergeRows(
  environment: TableEnvironment,
  source: MergeSource,
): Promise<Merged | null> {
  return attempting(environment, async (snapshot) => {
    const transaction = Transaction.on(environment, snapshot)
    const counts = await stageMerge(environment, transaction, source)
    const { inserted, updated, deleted } = counts
    if (inserted + updated + deleted === 0) return null
    // The files that came are told by the commit, those that went by the counts.
    return { ...counts, ...(await transaction.commit(mergeDescription(source, counts))) }
  })
}

/**
 * Stages a merge in a transaction, one at most, behind all changes of its columns. Rejects with DeltaError, ParquetError,
 * DiskError; then what was staged is discarded.
 */
export async function stageMerge(
  environment: TableEnvironment,
  transaction: Transaction,
  source: MergeSource,
): Promise<MergeCounts> {
  try {
    return await new Merge(environment, transaction, source).stage()
  } catch (error) {
    await transaction.discard()
    throw error
  }
}

/** What the table's history says of a merge. */
export function mergeDescription(
  { on, whenMatched = 'update', whenNotMatched = 'insert', deletes }: MergeSource,
  counts: MergeCounts,
): CommitDescription {
  const matched = [
    ...(deletes === undefined ? [] : [{ predicate: 'source._deleted', actionType: 'delete' }]),
    ...(whenMatched === 'nothing' ? [] : [{ actionType: whenMatched }]),
  ]
  const notMatched = whenNotMatched === 'nothing' ? [] : [{ actionType: 'insert' }]
  const keys = on.map((name) => `(target.${name} = source.${name})`)
  return {
    operation: 'MERGE',
    parameters: {
      predicate: JSON.stringify([keys.join(' AND ')]),
      matchedPredicates: JSON.stringify(matched),
      notMatchedPredicates: JSON.stringify(notMatched),
      notMatchedBySourcePredicates: '[]',
    },
    metrics: {
      numSourceRows: counts.source,
      numTargetRowsInserted: counts.inserted,
      numTargetRowsUpdated: counts.updated,
      numTargetRowsDeleted: counts.deleted,
      numTargetRowsCopied: counts.copied,
      numTargetFilesRemoved: counts.removed,
    },
  }
}

class Merge implements Decision {
  /** The key. */
  readonly fields: readonly TableField[]
  readonly #environment: TableEnvironment
  readonly #transaction: Transaction
  readonly #source: MergeSource
  readonly #keyColumns: readonly Column[]
  readonly #index: KeyIndex
  /** 1 for rows that are met in the table, or have nothing to say. */
  readonly #isDone: Uint8Array

  constructor(environment: TableEnvironment, transaction: Transaction, source: MergeSource) {
    this.#environment = environment
    this.#transaction = transaction
    this.#source = source
    const { batch, on } = source
    refuseMisfit(batch, transaction.schema)
    if (on.length === 0) throw invalid('a merge without a key')
    this.fields = chosenFields(transaction.schema.fields, on)
    this.#keyColumns = this.fields.map((field) => columnOf(batch, field) ?? keyMissing(field))
    this.#isDone = new Uint8Array(batch.rowCount)
    this.#index = this.#indexed()
  }

  async stage(): Promise<MergeCounts> {
    const files = this.#candidates()
    this.#transaction.reads = {
      mayMatch: this.#mayHave(),
      paths: new Set(files.map(({ path }) => path)),
    }
    const changes = new RowChanges(this.#environment, this.#transaction, this)
    const counts = await changes.apply(files)
    const inserted = await this.#insert(changes.writesFeed)
    return { ...counts, inserted, source: this.#source.batch.rowCount }
  }

  fatesOf(batch: ColumnBatch): Uint8Array {
    const { whenMatched = 'update', deletes } = this.#source
    const columns = this.fields.map((field) => columnOf(batch, field)!)
    const otherwise = { update: fate.changes, delete: fate.goes, nothing: fate.stays }[whenMatched]
    const fates = new Uint8Array(batch.rowCount)
    for (let row = 0; row < batch.rowCount; row++) {
      const match = this.#index.find(columns, row)
      if (match < 0) continue
      this.#isDone[match] = 1
      fates[row] = deletes?.[match] === 1 ? fate.goes : otherwise
    }
    return fates
  }

  changed(batch: ColumnBatch): ColumnBatch {
    const keys = this.fields.map((field) => columnOf(batch, field)!)
    const matches = new Int32Array(batch.rowCount)
    for (let row = 0; row < batch.rowCount; row++) matches[row] = this.#index.find(keys, row)
    const silent = new Map<string, Uint8Array>()
    const columns = batch.fields.map((field, i) => {
      const before = batch.columns[i]!
      const given = columnOf(this.#source.batch, field)
      if (given === undefined) {
        silent.set(field.name, new Uint8Array(batch.rowCount).fill(1))
        return before
      }
      const taken = takeRows(given, matches)
      const says = this.#source.silent?.get(field.name)
      if (says === undefined) return taken
      const mask = takeFlags(says, matches)
      silent.set(field.name, mask)
      const positions = matches.map((_, row) => (mask[row] === 1 ? row : batch.rowCount + row))
      return takeRows(joinColumns([before, taken]), positions)
    })
    this.#refuseNumbers(batch, columns)
    return this.#transaction.rules.updated({ ...batch, columns }, silent)
  }

  /** Rows keep the numbers that identity columns gave them. */
  #refuseNumbers(before: ColumnBatch, after: readonly Column[]): void {
    for (const [i, { name, type }] of before.fields.entries()) {
      if (!this.#transaction.rules.isIdentity(name)) continue
      for (let row = 0; row < before.rowCount; row++) {
        if (valueAt(type, before.columns[i]!, row) === valueAt(type, after[i]!, row)) continue
        throw invalid(`column ${name} numbers rows (IDENTITY): they keep their numbers`)
      }
    }
  }

  #indexed(): KeyIndex {
    const { batch, sameKey = 'refuse' } = this.#source
    const index = keyIndexOf(this.fields)
    this.#refuseEmpty()
    for (let row = 0; row < batch.rowCount; row++) {
      const before = index.put(this.#keyColumns, row)
      if (before < 0) continue
      if (sameKey === 'refuse')
        throw invalid(`${this.#named(row)} comes twice, as row ${before + 1} and ${row + 1}`)
      this.#isDone[before] = 1
    }
    return index
  }

  /** What becomes no value in a column of the partition would be found by no key again. */
  #refuseEmpty(): void {
    const { partitionFields } = this.#transaction.schema
    for (const [i, field] of this.fields.entries()) {
      const column = this.#keyColumns[i]!
      if (column.layout !== 'bytes' || !partitionFields.includes(field)) continue
      for (let row = 0; row < column.length; row++) {
        if (!isValid(column, row) || column.offsets[row] !== column.offsets[row + 1]) continue
        throw invalid(
          `column ${field.name} of row ${row + 1} is an empty text, which is no value where a table is partitioned by it, and so no key`,
        )
      }
    }
  }

  #named(row: number): string {
    return this.fields
      .map(
        ({ name, type }, i) =>
          `${name} ${String(valueAt(type, this.#keyColumns[i]!, row)).slice(0, 40)}`,
      )
      .join(', ')
  }

  #candidates(): AddAction[] {
    const mayHave = this.#mayHave()
    return [...(this.#transaction.snapshot?.files.values() ?? [])].filter(mayHave)
  }

  /** Whether a file may have one of the keys, by each of their columns. */
  #mayHave(): (file: AddAction) => boolean {
    const { schema } = this.#transaction
    const columns = this.fields.map((field, i) => new KeyValues(field, this.#keyColumns[i]!))
    return (file) => {
      const boundsOf = boundsOfFile(file, schema)
      return columns.every((values) => {
        const bounds = boundsOf([values.name])
        if (bounds === undefined) return values.isAny
        if (bounds.nullCount === bounds.rowCount) return false
        return values.haveWithin(bounds.least, bounds.greatest)
      })
    }
  }

  async #insert(writesFeed: boolean): Promise<number> {
    const { batch, deletes, whenNotMatched = 'insert' } = this.#source
    if (whenNotMatched === 'nothing') return 0
    const rows = new Int32Array(batch.rowCount)
    let count = 0
    for (let row = 0; row < batch.rowCount; row++) {
      if (this.#isDone[row] === 0 && deletes?.[row] !== 1) rows[count++] = row
    }
    if (count === 0) return 0
    const positions = rows.subarray(0, count)
    const silent = takeSilent(this.#source.silent ?? noneSilent, positions)
    const inserted = await this.#transaction.append(takeBatch(batch, positions), silent)
    if (writesFeed) await this.#transaction.tell(changesBatch(inserted, 'insert'))
    return count
  }
}

/** The different values that keys have in a column, in order. */
class KeyValues {
  readonly name: string
  readonly #values: readonly Scalar[]
  readonly #hasNan: boolean

  constructor({ name, type }: TableField, column: Column) {
    this.name = name
    const values = new Set<Scalar>()
    for (let row = 0; row < column.length; row++) {
      const value = valueAt(type, column, row)
      if (isScalar(value)) values.add(value)
    }
    this.#hasNan = values.delete(Number.NaN)
    this.#values = [...values].sort(compareScalars)
  }

  get isAny(): boolean {
    return this.#hasNan || this.#values.length > 0
  }

  haveWithin(least: Scalar | undefined, greatest: Scalar | undefined): boolean {
    if (this.#hasNan) return true
    let [low, high] = [0, this.#values.length]
    while (least !== undefined && low < high) {
      const middle = (low + high) >> 1
      if (compareScalars(this.#values[middle]!, least) < 0) low = middle + 1
      else high = middle
    }
    const first = this.#values[low]
    if (first === undefined) return false
    return greatest === undefined || !(compareScalars(first, greatest) > 0)
  }
}

function keyIndexOf(fields: readonly TableField[]): KeyIndex {
  try {
    return new KeyIndex(fields)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid(error.message, { cause: error })
  }
}

function columnOf(batch: ColumnBatch, { name }: Pick<TableField, 'name'>): Column | undefined {
  return batch.columns[batch.fields.findIndex((field) => field.name === name)]
}

function keyMissing({ name }: TableField): never {
  throw invalid(`the rows have no column ${name}, by which they would be found`)
}

function refuseMisfit({ fields }: ColumnBatch, schema: TableSchema): void {
  for (const { name, type } of fields) {
    const field = schema.fields.find((one) => one.name === name)
    if (field === undefined) throw invalid(`the table has no column ${name}`)
    if (!isLike(field.type, type)) {
      throw invalid(`column ${name} of the rows is of another type than that of the table`)
    }
  }
}
