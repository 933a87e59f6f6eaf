/**
 * How two schemas are compared, in whatever language: pair by pair of the types within them.
 *
 * A pair is judged once. While it is being judged it counts as compatible, which ends recursion; where that
 * turns out wrong, all is judged again with what is known to be incompatible by then. What counted as
 * compatible too much can only have hidden differences, so nothing that is known has to be taken back.
 *
 * It is done in one turn of the event loop, and small texts can ask for a lot of it: so it has a budget, however
 * often it starts again.
 */
import { SchemaError } from './schema.ts'

/** Pairs of types that are judged; unions of unions multiply. */
export const pairsMax = 50_000
/** Verdicts, names, symbols and the like that are looked up, known ones too. */
const lookupsMax = 500_000

/** What messages call the two schemas: `new` and `old`, or the reverse. */
export interface Sides {
  readonly reader: string
  readonly writer: string
}

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

export interface ComparisonOptions<D> {
  /** Pairs within pairs. */
  readonly depthMax: number
  /** As what a pair of these differences counts that is met again while it is being judged. */
  readonly metAgain: (differences: readonly D[]) => readonly D[]
}

type Verdicts<S, D> = Map<S, Map<S, readonly D[]>>

/**
 * What `compare` finds, once it has trusted no pair too much. `S`: types within schemas, `D`: what may differ.
 * Throws SchemaError beyond the limits.
 */
export function judged<S, D>(
  options: ComparisonOptions<D>,
  compare: (pairs: JudgedPairs<S, D>) => readonly D[],
): readonly D[] {
  const budget = new ComparisonBudget()
  for (const incompatible: Verdicts<S, D> = new Map(); ; ) {
    const pairs = new JudgedPairs(options, budget, incompatible)
    const found = compare(pairs)
    if (!pairs.wereTrustedTooMuch) return found
    pairs.noteIncompatible()
  }
}

export class JudgedPairs<S, D> {
  readonly budget: ComparisonBudget
  readonly #options: ComparisonOptions<D>
  /** Pairs that are known to be so, from earlier rounds. */
  readonly #incompatible: Verdicts<S, D>
  readonly #verdicts: Verdicts<S, D> = new Map()
  readonly #trusted: (readonly [S, S])[] = []
  /** Told from an empty list by being another. */
  readonly #inProgress: readonly D[] = []
  #depth = 0

  constructor(
    options: ComparisonOptions<D>,
    budget: ComparisonBudget,
    incompatible: Verdicts<S, D>,
  ) {
    this.#options = options
    this.budget = budget
    this.#incompatible = incompatible
  }

  /** How the pair differs, by `judge` where no verdict is known that `isEnough`. */
  verdict(
    first: S,
    second: S,
    judge: () => readonly D[],
    isEnough: (known: readonly D[]) => boolean = () => true,
  ): readonly D[] {
    this.budget.lookUp(1)
    const bySecond = ofFirst(this.#verdicts, first)
    const known = bySecond.get(second)
    if (known === this.#inProgress) {
      this.#trusted.push([first, second])
      const differences = this.#incompatible.get(first)?.get(second)
      return differences === undefined ? [] : this.#options.metAgain(differences)
    }
    if (known !== undefined && isEnough(known)) return known
    this.budget.judge()
    if (this.#depth >= this.#options.depthMax) throw tooLarge()
    bySecond.set(second, this.#inProgress)
    this.#depth++
    const found = judge()
    this.#depth--
    bySecond.set(second, found)
    return found
  }

  isInProgress(first: S, second: S): boolean {
    return this.#verdicts.get(first)?.get(second) === this.#inProgress
  }

  /** A pair counted as compatible that is not, and was not known to be. */
  get wereTrustedTooMuch(): boolean {
    return this.#trusted.some(
      ([first, second]) =>
        ofFirst(this.#verdicts, first).get(second)?.length !== 0 &&
        !this.#incompatible.get(first)?.has(second),
    )
  }

  /** For the next round. */
  noteIncompatible(): void {
    for (const [first, bySecond] of this.#verdicts) {
      for (const [second, differences] of bySecond) {
        if (differences.length > 0) ofFirst(this.#incompatible, first).set(second, differences)
      }
    }
  }
}

function ofFirst<S, D>(verdicts: Verdicts<S, D>, first: S): Map<S, readonly D[]> {
  let bySecond = verdicts.get(first)
  if (bySecond === undefined) {
    bySecond = new Map()
    verdicts.set(first, bySecond)
  }
  return bySecond
}
