/** Expressions over the rows of a table: what cannot be read or computed is told as a `DeltaError` that says where. */
import type { Column, Field } from '../columns/column.ts'
import { builderOf } from '../columns/column-builder.ts'
import type { Evaluate } from '../columns/expression.ts'
import { invalid } from './delta-error.ts'

/** Says in which text it is that something does not fit. */
export function spoken<Result>(what: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid(`${what}: ${error.message}`, { cause: error })
  }
}

/** Says of a value that cannot be computed that what was asked for does not fit the rows. */
export function evaluating<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid(error.message, { cause: error })
  }
}

/** A column of values, each computed from the row's. Throws DeltaError for one that the column cannot hold. */
export function computed(
  { field, at }: { readonly field: Field; readonly at: Evaluate },
  sources: readonly Column[],
  rowCount: number,
): Column {
  const builder = builderOf(field)
  return spoken(`column ${field.name}`, () => {
    for (let row = 0; row < rowCount; row++) builder.append(at(sources, row))
    return builder.finish()
  })
}
