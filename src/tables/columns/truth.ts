/**
 * What conditions are made of, by the rules of SQL: what is compared with no value is neither true nor false. Each knows,
 * as far as bounds can tell, in which files it may be true.
 */
import { typeName } from './column.ts'
import { alike, comparing, type Evaluate, type Expression } from './expression.ts'
import { type Comparison, isScalar, type Predicate, type Scalar } from './predicate.ts'
import type { Value } from './value.ts'

const boolean = { kind: 'boolean' } as const

/** Throws RangeError where it is no condition. */
export function condition(expression: Expression): Expression {
  const { kind } = expression.type
  if (kind === 'boolean' || kind === 'null') return expression
  throw new RangeError(`a condition is expected, and there is a ${typeName(expression.type)}`)
}

export function conjunction(parts: readonly Expression[]): Expression {
  return joined(parts, false)
}

export function disjunction(parts: readonly Expression[]): Expression {
  return joined(parts, true)
}

/** True where one is (`or`), or false where one is (`and`); else unknown where one is. */
function joined(parts: readonly Expression[], decides: boolean): Expression {
  if (parts.length === 1) return parts[0]!
  const tests = parts.map((part) => condition(part).at)
  return {
    type: boolean,
    at: (columns, row) => {
      let result: Value = !decides
      for (const test of tests) {
        const truth = test(columns, row)
        if (truth === decides) return decides
        if (truth === null) result = null
      }
      return result
    },
    bounds: (isTrue) => {
      const all = parts.map((part) => part.bounds?.(isTrue) ?? null)
      const known = all.filter((one) => one !== null)
      if (isTrue !== decides) return known.length === 0 ? null : { op: 'and', of: known }
      return known.length < all.length ? null : { op: 'or', of: known }
    },
  }
}

export function negation(expression: Expression): Expression {
  const { at, bounds } = condition(expression)
  return {
    type: boolean,
    at: (columns, row) => {
      const truth = at(columns, row)
      return truth === null ? null : !truth
    },
    ...(bounds === undefined ? {} : { bounds: (isTrue) => bounds(!isTrue) }),
  }
}

export function nullTest({ at, path }: Expression, wantsValue: boolean): Expression {
  return {
    type: boolean,
    at: (columns, row) => (at(columns, row) !== null) === wantsValue,
    bounds: (isTrue) =>
      path === undefined
        ? null
        : { op: isTrue === wantsValue ? 'isNotNull' : 'isNull', column: path },
  }
}

const spelled: Readonly<Record<string, Comparison>> = {
  ...{ '=': '=', '==': '=', '<>': '!=', '!=': '!=', '<': '<', '<=': '<=', '>': '>', '>=': '>=' },
}
const opposite: Readonly<Record<Comparison, Comparison>> = {
  ...{ '=': '!=', '!=': '=', '<': '>=', '>=': '<', '>': '<=', '<=': '>' },
}
const turned: Readonly<Record<Comparison, Comparison>> = {
  ...{ '=': '=', '!=': '!=', '<': '>', '>': '<', '<=': '>=', '>=': '<=' },
}
const holds: Readonly<Record<Comparison, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
}

export function comparisonOf(mark: string): Comparison | undefined {
  return Object.hasOwn(spelled, mark) ? spelled[mark] : undefined
}

/** Throws RangeError for what is not compared with one another. */
export function comparison(op: Comparison, left: Expression, right: Expression): Expression {
  const [a, b] = alike(left, right)
  const compare = comparing(a.type, b.type)
  const test = holds[op]
  return {
    type: boolean,
    at: (columns, row) => {
      const x = a.at(columns, row)
      const y = b.at(columns, row)
      return x === null || y === null ? null : test(compare(x, y))
    },
    bounds: (isTrue) => {
      const wanted = isTrue ? op : opposite[op]
      return boundsOf(wanted, a, right, b) ?? boundsOf(turned[wanted], b, left, a)
    },
  }
}

function boundsOf(
  op: Comparison,
  { path }: Expression,
  given: Expression,
  constant: Expression,
): Predicate | null {
  const value = path === undefined ? null : constantIn(given, constant)
  return value === null ? null : { op, column: path!, value }
}

/** The constant as it is compared; `null` where it is none. */
function constantIn({ literal }: Expression, { at }: Expression): Scalar | null {
  const value = literal === undefined ? null : at([], 0)
  return isScalar(value) ? value : null
}

export function membership(expression: Expression, options: readonly Expression[]): Expression {
  const test = disjunction(options.map((option) => comparison('=', expression, option)))
  const constants = options.map((option) => constantIn(option, alike(expression, option)[1]))
  const { path } = expression
  return {
    type: boolean,
    at: test.at,
    bounds: (isTrue) => {
      const values = constants.filter((value) => value !== null)
      // What is no value is equal to none, and so is left out; what is no constant may be anything.
      const isKnown = options.every(({ literal }) => literal !== undefined)
      return isTrue && isKnown && path !== undefined ? { op: 'in', column: path, values } : null
    },
  }
}

/** `%` stands for any text, `_` for a character, and a backslash before one of them takes that away. */
export function likeness(expression: Expression, pattern: Expression): Expression {
  const { type, at } = expression
  if (type.kind !== 'string' || typeof pattern.literal !== 'string') {
    throw new RangeError('LIKE compares a text with a constant')
  }
  const parts = pattern.literal.matchAll(
    /\\(?<mark>[%_\\])|(?<any>%+)|(?<one>_)|(?<plain>[^%_\\]+|\\)/gsu,
  )
  let source = ''
  for (const { groups } of parts) {
    const { mark, any, one, plain } = groups!
    if (any !== undefined) source += '[^]*'
    else if (one !== undefined) source += '[^]'
    else source += (mark ?? plain)!.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  }
  const whole = new RegExp(`^${source}$`, 'u')
  const test: Evaluate = (columns, row) => {
    const text = at(columns, row)
    return text === null ? null : whole.test(text as string)
  }
  return { type: boolean, at: test }
}
