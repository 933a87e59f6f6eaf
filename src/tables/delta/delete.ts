/**
 * Rows deleted by a condition: files that hold none of them stay, files that hold nothing else go, and the others are
 * written anew without them. A condition on partition columns alone is answered by the log. Where the table keeps a
 * change feed, what is deleted is written beside, unless whole files tell it.
 */
import { takeBatch } from '../columns/batches.ts'
import type { ColumnBatch } from '../columns/column.ts'
import { Condition } from '../columns/where.ts'
import type { AddAction } from './actions.ts'
import { changesBatch } from './changes.ts'
import { DeltaConflict, invalid, unsupported } from './delta-error.ts'
import { partitionRowOf } from './partitions.ts'
import { scanFiles } from './scan.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'

/** Deletions begun anew because others wrote meanwhile. */
const attemptsMax = 10

export interface Deleted extends Committed {
  readonly deleted: number
  readonly removed: number
}

/** `null`: no row matched. Rejects with DeltaError, ParquetError, DiskError. */
export async function deleteRows(
  environment: TableEnvironment,
  where: string,
): Promise<Deleted | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await new Deletion(environment, await readSnapshot(environment.storage), where).run()
    } catch (error) {
      if (!(error instanceof DeltaConflict) || attempt === attemptsMax) throw error
    }
  }
}

/** How much of a file goes. */
type Share = 'nothing' | 'some' | 'all'

class Deletion {
  readonly #environment: TableEnvironment
  readonly #snapshot: Snapshot
  readonly #condition: Condition
  readonly #where: string
  readonly #transaction: Transaction
  readonly #keepsFeed: boolean
  #deleted = 0

  constructor(environment: TableEnvironment, snapshot: Snapshot, where: string) {
    const { configuration } = snapshot.metadata
    if (configuration.get('delta.enableRowTracking') === 'true') {
      throw unsupported('delete would give rows of the feature rowTracking new ids')
    }
    this.#environment = environment
    this.#snapshot = snapshot
    this.#where = where
    this.#condition = conditionOf(where, snapshot)
    this.#transaction = Transaction.on(environment, snapshot)
    this.#keepsFeed = configuration.get('delta.enableChangeDataFeed') === 'true'
  }

  async run(): Promise<Deleted | null> {
    const { size: before } = this.#snapshot.files
    const touched: { file: AddAction; share: Share }[] = []
    for (const file of this.#snapshot.files.values()) {
      const share = await this.#shareOf(file)
      if (share !== 'nothing') touched.push({ file, share })
    }
    if (touched.length === 0) return null
    const writesFeed = this.#keepsFeed && touched.some(({ share }) => share === 'some')
    try {
      for (const { file, share } of touched) {
        if (share === 'some' || writesFeed) await this.#rewrite(file, writesFeed)
        this.#transaction.remove(file, true)
      }
    } catch (error) {
      await this.#transaction.discard()
      throw error
    }
    this.#transaction.readAll()
    const committed = await this.#transaction.commit({
      operation: 'DELETE',
      parameters: { predicate: JSON.stringify([this.#where]) },
      metrics: { numRemovedFiles: touched.length, numDeletedRows: this.#deleted },
    })
    return { ...committed, deleted: this.#deleted, removed: Math.min(touched.length, before) }
  }

  async #shareOf(file: AddAction): Promise<Share> {
    const { partitionFields } = this.#snapshot.schema
    const { fields } = this.#condition
    if (fields.every(({ name }) => partitionFields.some((one) => one.name === name))) {
      const isGone = this.#condition.isTrueOf(partitionRowOf(file, partitionFields))
      if (isGone) this.#deleted += await this.#rowCountOf(file)
      return isGone ? 'all' : 'nothing'
    }
    let rows = 0
    let matching = 0
    for await (const { batch, matches } of this.#matched(file, fields)) {
      rows += batch.rowCount
      for (const match of matches) matching += match
    }
    this.#deleted += matching
    return matching === 0 ? 'nothing' : matching === rows ? 'all' : 'some'
  }

  async #rowCountOf(file: AddAction): Promise<number> {
    let rows = 0
    for await (const batch of scanFiles(this.#environment.storage, this.#snapshot, [file], [])) {
      rows += batch.rowCount
    }
    return rows
  }

  async *#matched(
    file: AddAction,
    fields: Snapshot['schema']['fields'] | Condition['fields'],
  ): AsyncGenerator<{ batch: ColumnBatch; matches: Uint8Array }> {
    const chosen = this.#snapshot.schema.fields.filter(({ name }) =>
      fields.some((one) => one.name === name),
    )
    const { storage } = this.#environment
    for await (const batch of scanFiles(storage, this.#snapshot, [file], chosen)) {
      yield { batch, matches: this.#condition.matches(batch) }
    }
  }

  async #rewrite(file: AddAction, writesFeed: boolean): Promise<void> {
    for await (const { batch, matches } of this.#matched(file, this.#snapshot.schema.fields)) {
      const kept = takeBatch(batch, positionsOf(matches, 0))
      if (kept.rowCount > 0) await this.#transaction.append(kept)
      if (!writesFeed) continue
      const gone = takeBatch(batch, positionsOf(matches, 1))
      if (gone.rowCount > 0) await this.#transaction.tell(changesBatch(gone, 'delete'))
    }
  }
}

function positionsOf(matches: Uint8Array, wanted: number): Int32Array {
  const positions: number[] = []
  for (const [row, match] of matches.entries()) if (match === wanted) positions.push(row)
  return Int32Array.from(positions)
}

function conditionOf(where: string, { schema }: Snapshot): Condition {
  try {
    return Condition.parse(where, schema.fields)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid(`the condition ${where}: ${error.message}`, { cause: error })
  }
}
