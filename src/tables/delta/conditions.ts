/** What is asked for in SQL of a table's columns, and what a transaction has read of the table to answer it. */
import type { Field } from '../columns/column.ts'
import { Condition } from '../columns/where.ts'
import type { AddAction } from './actions.ts'
import { spoken } from './expressions.ts'
import { mayHaveRows } from './file-bounds.ts'
import type { Transaction } from './transaction.ts'

/** Throws DeltaError for what is no condition on these columns. */
export function conditionOn(fields: readonly Field[], where: string): Condition {
  return spoken(`the condition ${where}`, () => Condition.parse(where, fields))
}

/**
 * The files that may have rows for which a condition is true; `null`: all. The transaction has read those, and rows that
 * others add to such would have been read too.
 */
export function readWhere(transaction: Transaction, condition: Condition | null): AddAction[] {
  const mayMatch = mayHaveRows(condition?.predicate ?? null, transaction.schema)
  const files = [...(transaction.snapshot?.files.values() ?? [])].filter(mayMatch)
  transaction.reads = { mayMatch, paths: new Set(files.map(({ path }) => path)) }
  return files
}
