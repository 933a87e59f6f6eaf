/** Rows deleted by a condition. One on partition columns alone is answered by the log. */
import type { ColumnBatch } from '../columns/column.ts'
import { Condition } from '../columns/where.ts'
import { attempting } from './attempts.ts'
import { invalid } from './delta-error.ts'
import { type Decision, RowChanges, type RowCounts } from './row-changes.ts'
import type { TableField, TableSchema } from './schema.ts'
import type { Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'

export interface Deleted extends Committed, RowCounts {}

/** `null`: no row matched. Rejects with DeltaError, ParquetError, DiskError. */
export function deleteRows(environment: TableEnvironment, where: string): Promise<Deleted | null> {
  return attempting(environment, (snapshot) => deleteFrom(environment, snapshot, where))
}

async function deleteFrom(
  environment: TableEnvironment,
  snapshot: Snapshot,
  where: string,
): Promise<Deleted | null> {
  const transaction = Transaction.on(environment, snapshot)
  const changes = new RowChanges(environment, transaction, new Deletion(where, transaction.schema))
  try {
    const counts = await changes.apply(snapshot.files.values())
    if (counts.deleted === 0) return null
    transaction.readAll()
    const committed = await transaction.commit({
      operation: 'DELETE',
      parameters: { predicate: JSON.stringify([where]) },
      metrics: {
        numRemovedFiles: counts.removed,
        numDeletedRows: counts.deleted,
        numCopiedRows: counts.copied,
      },
    })
    return { ...counts, ...committed }
  } catch (error) {
    await transaction.discard()
    throw error
  }
}

class Deletion implements Decision {
  readonly fields: readonly TableField[]
  readonly #condition: Condition

  constructor(where: string, schema: TableSchema) {
    this.#condition = conditionOf(where, schema)
    const { fields } = this.#condition
    this.fields = schema.fields.filter(({ name }) => fields.some((one) => one.name === name))
  }

  fatesOf(batch: ColumnBatch): Uint8Array {
    return this.#condition.matches(batch)
  }

  /** No row changes. */
  changed(batch: ColumnBatch): ColumnBatch {
    return batch
  }
}

function conditionOf(where: string, schema: TableSchema): Condition {
  try {
    return Condition.parse(where, schema.fields)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid(`the condition ${where}: ${error.message}`, { cause: error })
  }
}
