/** Rows given other values where a condition is true: each value is computed from what the row was before. */
import type { ColumnBatch, Field } from '../columns/column.ts'
import type { Evaluate } from '../columns/expression.ts'
import { assigned } from '../columns/functions.ts'
import { parseAssignments } from '../columns/sql.ts'
import { type Condition, columnsOf } from '../columns/where.ts'
import { attempting } from './attempts.ts'
import { conditionOn } from './conditions.ts'
import { invalid } from './delta-error.ts'
import { computed, evaluating, spoken } from './expressions.ts'
import { changeWhere, type Decision, fate, type RowCounts } from './row-changes.ts'
import type { RowRules } from './row-rules.ts'
import type { TableField } from './schema.ts'
import type { Silent } from './silent-rows.ts'
import type { TableEnvironment } from './table-environment.ts'
import { type Committed, Transaction } from './transaction.ts'

export interface UpdateOptions {
  /** As in `total = total + 1, note = 'late'`. */
  readonly set: string
  /** All rows unless given. */
  readonly where?: string | undefined
}

export interface Updated extends Committed, RowCounts {}

/** `null`: no row matched. Rejects with DeltaError, ParquetError, DiskError. */
export function updateRows(
  environment: TableEnvironment,
  { set, where }: UpdateOptions,
): Promise<Updated | null> {
  return attempting(environment, async (snapshot) => {
    const transaction = Transaction.on(environment, snapshot)
    const condition = where === undefined ? null : conditionOn(transaction.schema.fields, where)
    const decide = () => new Update(set, condition, transaction)
    return changeWhere(environment, transaction, { condition, where, decide, operation: 'UPDATE' })
  })
}

class Update implements Decision {
  readonly fields: readonly TableField[]
  readonly #condition: Condition | null
  readonly #rules: RowRules
  /** Columns that new values are computed from, in the order in which that takes them. */
  readonly #sources: readonly Field[]
  readonly #values: ReadonlyMap<string, { readonly field: Field; readonly at: Evaluate }>

  constructor(set: string, condition: Condition | null, { schema, rules }: Transaction) {
    this.#condition = condition
    this.#rules = rules
    const used = condition?.fields ?? []
    this.fields = schema.fields.filter(({ name }) => used.some((one) => one.name === name))
    const { assignments, fields } = spoken(`to set ${set}`, () =>
      parseAssignments(set, schema.fields),
    )
    this.#sources = fields
    this.#values = new Map(
      assignments.map(({ field, expression }) => {
        if (rules.isIdentity(field.name)) {
          throw invalid(`column ${field.name} numbers rows (IDENTITY): they keep their numbers`)
        }
        const at = spoken(`column ${field.name}`, () => assigned(expression, field.type))
        return [field.name, { field, at }]
      }),
    )
  }

  fatesOf(batch: ColumnBatch): Uint8Array {
    const condition = this.#condition
    if (condition === null) return new Uint8Array(batch.rowCount).fill(fate.changes)
    const matches = evaluating(() => condition.matches(batch))
    for (let row = 0; row < matches.length; row++)
      if (matches[row] === 1) matches[row] = fate.changes
    return matches
  }

  changed(batch: ColumnBatch): ColumnBatch {
    const sources = columnsOf(batch, this.#sources)
    const columns = batch.fields.map((field, i) => {
      const value = this.#values.get(field.name)
      return value === undefined ? batch.columns[i]! : computed(value, sources, batch.rowCount)
    })
    return this.#rules.updated({ ...batch, columns }, this.#silent(batch))
  }

  /** What is generated is computed anew, unless it is set. */
  #silent({ fields, rowCount }: ColumnBatch): Silent {
    const names = fields
      .map(({ name }) => name)
      .filter((name) => this.#rules.isGenerated(name) && !this.#values.has(name))
    return new Map(names.map((name) => [name, new Uint8Array(rowCount).fill(1)]))
  }
}
