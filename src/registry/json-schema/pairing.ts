/** Which of two lists of schemas go with one another: each of the one with at most one of the other. */
import type { ComparisonBudget } from '../avro/comparison.ts'

/** How many of the rows can have a column of their own that fits (Kuhn's augmenting paths). */
export function pairsOf(fits: readonly (readonly boolean[])[], budget: ComparisonBudget): number {
  const rowOf = new Map<number, number>()
  const place = (row: number, tried: Set<number>): boolean => {
    budget.lookUp(fits[row]!.length)
    const free = fits[row]!.findIndex((does, column) => does && !rowOf.has(column))
    if (free >= 0) {
      rowOf.set(free, row)
      return true
    }
    return fits[row]!.some((does, column) => {
      if (!does || tried.has(column)) return false
      tried.add(column)
      const holder = rowOf.get(column)
      if (holder !== undefined && !place(holder, tried)) return false
      rowOf.set(column, row)
      return true
    })
  }
  return fits.filter((_, row) => place(row, new Set())).length
}
