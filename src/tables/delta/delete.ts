/** Rows deleted by a condition. One on partition columns alone is answered by the log. */
import type { ColumnBatch } from '../columns/column.ts'
import type { Condition } from '../columns/where.ts'
import { attempting } from './attempts.ts'
import { conditionOn, readWhere } from './conditions.ts'
import { evaluating } from './expressions.ts'
import { type Decision, RowChanges, type RowCounts } from './row-changes.ts'
import type { TableField, TableSchema } from './schema.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'

export interface Deleted extends Committed, RowCounts {}

/** `null`: no row matched. Rejects with DeltaError, ParquetError, DiskError. */
export function deleteRows(environment: TableEnvironment, where: string): Promise<Deleted | null> {
  return attempting(environment, (snapshot) =>
    deleteIn(environment, Transaction.on(environment, snapshot), where),
  )
}

async function deleteIn(
  environment: TableEnvironment,
  transaction: Transaction,
  where: string,
): Promise<Deleted | null> {
  const condition = conditionOn(transaction.schema.fields, where)
  try {
    const decision = new Deletion(condition, transaction.schema)
    const changes = new RowChanges(environment, transaction, decision)
    const counts = await changes.apply(readWhere(transaction, condition))
    if (counts.deleted === 0) return null
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

  constructor(condition: Condition, schema: TableSchema) {
    this.#condition = condition
    const used = condition.fields
    this.fields = schema.fields.filter(({ name }) => used.some((one) => one.name === name))
  }

  fatesOf(batch: ColumnBatch): Uint8Array {
    return evaluating(() => this.#condition.matches(batch))
  }

  /** No row changes. */
  changed(batch: ColumnBatch): ColumnBatch {
    return batch
  }
}
