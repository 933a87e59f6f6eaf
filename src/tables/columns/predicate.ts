/**
 * What rows are wanted, as far as bounds of their values can tell that there are none: of a row group, a page, a file of
 * a Delta table. `mayMatch` answers false only where no row can match; whoever wants those alone that do
 * looks at the rows.
 */
import type { Value } from './value.ts'

export type Scalar = boolean | number | bigint | string | Uint8Array

/** A column by the names on its way down from the top. */
export type ScalarPath = readonly string[]

export type Predicate =
  | { readonly op: 'and' | 'or'; readonly of: readonly Predicate[] }
  | { readonly op: Comparison; readonly column: ScalarPath; readonly value: Scalar }
  | { readonly op: 'in'; readonly column: ScalarPath; readonly values: readonly Scalar[] }
  | { readonly op: 'isNull' | 'isNotNull'; readonly column: ScalarPath }

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='

/** What is known of a column's values in some rows; left out: not known. */
export interface ColumnBounds {
  readonly rowCount: number
  readonly nullCount?: number | undefined
  /** No value is below or above; one need not be there itself. */
  readonly least?: Scalar | undefined
  readonly greatest?: Scalar | undefined
  /** There may be NaN, which no bound covers, and which some engines put above all numbers. */
  readonly mayHaveNan?: boolean
}

/** `boundsOf` answers `undefined` where nothing is known of a column. */
export function mayMatch(
  predicate: Predicate,
  boundsOf: (column: ScalarPath) => ColumnBounds | undefined,
): boolean {
  switch (predicate.op) {
    case 'and':
      return predicate.of.every((one) => mayMatch(one, boundsOf))
    case 'or':
      return predicate.of.some((one) => mayMatch(one, boundsOf))
    default: {
      const bounds = boundsOf(predicate.column)
      if (bounds === undefined) return true
      if (predicate.op === 'isNull') return bounds.nullCount !== 0
      if (bounds.nullCount === bounds.rowCount) return false
      if ('values' in predicate) {
        return predicate.values.some((one) => mayCompare('=', one, bounds))
      }
      return 'value' in predicate ? mayCompare(predicate.op, predicate.value, bounds) : true
    }
  }
}

function mayCompare(op: Comparison, value: Scalar, bounds: ColumnBounds): boolean {
  const { least, greatest } = bounds
  if (Number.isNaN(value)) return true
  const isAbove = (): boolean => bounds.mayHaveNan === true || greatest === undefined
  switch (op) {
    case '=':
      return (
        (least === undefined || !(compareScalars(least, value) > 0)) &&
        (greatest === undefined || !(compareScalars(greatest, value) < 0))
      )
    case '!=':
      // Bounds may be rounded, so that all are equal is not to be told from them.
      return true
    case '<':
      return least === undefined || !(compareScalars(least, value) >= 0)
    case '<=':
      return least === undefined || !(compareScalars(least, value) > 0)
    case '>':
      return isAbove() || !(compareScalars(greatest!, value) <= 0)
    case '>=':
      return isAbove() || !(compareScalars(greatest!, value) < 0)
  }
}

/**
 * Negative, zero or positive, as `a` is before, with or behind `b`: numbers by value, text and bytes by their (UTF-8)
 * bytes, false before true. NaN where they cannot be compared.
 */
export function compareScalars(a: Scalar, b: Scalar): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  const isNumber = typeof a === 'number' || typeof a === 'bigint'
  const areNumbers = isNumber && (typeof b === 'number' || typeof b === 'bigint')
  if (areNumbers || (typeof a === 'boolean' && typeof b === 'boolean')) {
    return a < b ? -1 : a > b ? 1 : a <= b ? 0 : Number.NaN
  }
  return Number.NaN
}

/** By code points, as bytes of UTF-8 are ordered; JavaScript's `<` goes by UTF-16 units. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const areSurrogates = isSurrogate(x) === isSurrogate(y)
    return areSurrogates ? x - y : isSurrogate(x) ? 1 : -1
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800
}

/** Whether a value is one that can be compared. */
export function isScalar(value: Value): value is Scalar {
  return value !== null && (typeof value !== 'object' || value instanceof Uint8Array)
}
