/**
 * A condition on rows, as SQL writes it:
 *
 *     day >= '2024-01-01' AND (country IN ('de', 'at') OR NOT total * 1.19 > 12.50)
 */
import type { Column, ColumnBatch, Field } from './column.ts'
import type { Evaluate, Expression } from './expression.ts'
import type { Predicate } from './predicate.ts'
import { parseExpression } from './sql.ts'
import { condition } from './truth.ts'

export class Condition {
  /** Those that it looks at. */
  readonly fields: readonly Field[]
  /** What rows are like for which it is true, as far as bounds can tell; `null`: they may be any. */
  readonly predicate: Predicate | null
  readonly #test: Evaluate

  private constructor(fields: readonly Field[], expression: Expression) {
    this.fields = fields
    this.#test = condition(expression).at
    this.predicate = expression.bounds?.(true) ?? null
  }

  /** Throws RangeError for what is no condition on these columns. */
  static parse(text: string, fields: readonly Field[]): Condition {
    const { expression, fields: used } = parseExpression(text, fields)
    return new Condition(used, expression)
  }

  /** 1 for the rows for which it is true; the batch has the columns that it looks at. */
  matches(batch: ColumnBatch): Uint8Array {
    return this.#which(batch, (truth) => truth === true)
  }

  /** 1 for the rows for which it is false or unknown. */
  fails(batch: ColumnBatch): Uint8Array {
    return this.#which(batch, (truth) => truth !== true)
  }

  #which(batch: ColumnBatch, isWanted: (truth: ReturnType<Evaluate>) => boolean): Uint8Array {
    const columns = columnsOf(batch, this.fields)
    const found = new Uint8Array(batch.rowCount)
    for (let row = 0; row < batch.rowCount; row++) {
      if (isWanted(this.#test(columns, row))) found[row] = 1
    }
    return found
  }
}

/** The batch's columns of the fields, by name. */
export function columnsOf(batch: ColumnBatch, fields: readonly Field[]): Column[] {
  return fields.map(({ name }) => {
    const column = batch.columns[batch.fields.findIndex((field) => field.name === name)]
    if (column === undefined) throw new RangeError(`the rows have no column ${name}`)
    return column
  })
}
