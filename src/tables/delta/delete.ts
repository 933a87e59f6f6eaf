/** Rows deleted by a condition. One on partition columns alone is answered by the log. */
import type { ColumnBatch } from '../columns/column.ts'
import type { Condition } from '../columns/where.ts'
import { attempting } from './attempts.ts'
import { conditionOn } from './conditions.ts'
import { evaluating } from './expressions.ts'
import { changeWhere, type Decision, type RowCounts } from './row-changes.ts'
import type { TableField, TableSchema } from './schema.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'

export interface Deleted extends Committed, RowCounts {}

/** `null`: no row matched. Rejects with DeltaError, ParquetError, DiskError. */
export function deleteRows(environment: TableEnvironment, where: string): Promise<Deleted | null> {
  return attempting(environment, async (snapshot) => {
    const transaction = Transaction.on(environment, snapshot)
    const { schema } = transaction
    const condition = conditionOn(schema.fields, where)
    const decide = () => new Deletion(condition, schema)
    return changeWhere(environment, transaction, { condition, where, decide, operation: 'DELETE' })
  })
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
