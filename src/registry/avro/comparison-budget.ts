/**
 * What one comparison of two schemas may cost, however often it starts again: it is done in one turn of the
 * event loop, and small texts can ask for a lot of it.
 */
import { SchemaError } from './schema.ts'

/** Pairs of types that are judged; unions of unions multiply. */
export const pairsMax = 50_000
/** Verdicts, names, symbols and the like that are looked up, known ones too. */
const lookupsMax = 500_000

export class ComparisonBudget {
  #pairs = 0
  #lookups = 0

  /** Before a pair is judged. Throws SchemaError beyond the limit, as `lookUp` does. */
  judge(): void {
    if (++this.#pairs > pairsMax) throw tooLarge()
  }

  /** Before so many are looked up. */
  lookUp(count: number): void {
    this.#lookups += count
    if (this.#lookups > lookupsMax) throw tooLarge()
  }
}

export function tooLarge(): SchemaError {
  return new SchemaError('The schemas are too large to be compared with one another')
}
