/**
 * Expressions over the columns of a batch, each of a type: what `sql.ts` reads becomes these, and they are evaluated row
 * by row. Nothing is guessed: integers are exact and overflow, decimals keep their digits, what cannot be computed with is
 * a RangeError that says so. A constant takes the type of what it stands beside.
 */
import { type Column, type DataType, isValid, typeName } from './column.ts'
import { type Json, NumberText } from './exact-json.ts'
import { decimalText } from './json-text.ts'
import { rowOfJson } from './json-values.ts'
import { compareScalars, type Predicate, type Scalar, type ScalarPath } from './predicate.ts'
import { decimalOf } from './text-values.ts'
import { type Value, valueAt } from './value.ts'

/** The columns are those that were named, in the order in which they were met. */
export type Evaluate = (columns: readonly Column[], row: number) => Value

export interface Expression {
  readonly type: DataType
  readonly at: Evaluate
  /** Where it is a constant that has no type of its own yet. */
  readonly literal?: Json
  /** Where it is a column. */
  readonly path?: ScalarPath
  /** Of a condition: rows that a file has if it may be true, or false; `null`: they may be any. */
  readonly bounds?: (isTrue: boolean) => Predicate | null
}

/** Of values that can be compared, negative, zero or positive. */
export type Compare = (a: Value, b: Value) => number

const integers = new Set(['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'])
const microsPerDay = 86_400_000_000n

export function isInteger({ kind }: DataType): boolean {
  return integers.has(kind)
}

export function isFloat({ kind }: DataType): boolean {
  return kind === 'float' || kind === 'double'
}

/** The column `index` of those named, or what lies at a place within its structs. */
export function columnExpression(
  index: number,
  type: DataType,
  path: ScalarPath,
  within: readonly number[],
): Expression {
  if (within.length === 0) {
    return { type, path, at: (columns, row) => valueAt(type, columns[index]!, row) }
  }
  return {
    type,
    path,
    at: (columns, row) => {
      let column = columns[index]!
      for (const place of within) {
        if (!isValid(column, row)) return null
        column = (column as Column & { layout: 'struct' }).children[place]!
      }
      return valueAt(type, column, row)
    },
  }
}

export function literalExpression(literal: Json): Expression {
  const { type, value } = naturally(literal)
  return { type, literal, at: () => value }
}

/** What a constant is where nothing says what it should be. */
function naturally(literal: Json): { type: DataType; value: Value } {
  switch (typeof literal) {
    case 'boolean':
      return { type: { kind: 'boolean' }, value: literal }
    case 'string':
      return { type: { kind: 'string' }, value: literal }
    case 'bigint':
      return { type: { kind: 'int64' }, value: literal }
    case 'number':
      if (Number.isInteger(literal)) return { type: { kind: 'int64' }, value: BigInt(literal) }
      return decimalLiteral(String(literal))
    default:
      if (literal instanceof NumberText) return decimalLiteral(literal.text)
      return { type: { kind: 'null' }, value: null }
  }
}

function decimalLiteral(text: string): { type: DataType; value: Value } {
  const found = /^-?(\d*)\.(\d*)$/.exec(text)
  const digits = found === null ? 0 : found[1]!.replace(/^0+/, '').length + found[2]!.length
  if (found === null || digits > 38) return { type: { kind: 'double' }, value: Number(text) }
  const scale = found[2]!.length
  const type = { kind: 'decimal', precision: Math.max(digits, scale, 1), scale } as const
  return { type, value: decimalOf(text, scale) }
}

/** The expression where a value of a type is expected: a constant becomes one. */
export function typed(expression: Expression, type: DataType): Expression {
  const { literal } = expression
  if (literal === undefined || literal === null) return expression
  const value = constantOf(type, literal)
  return { type, at: () => value }
}

/** As a row in JSON would have it. */
function constantOf(type: DataType, json: Json): Value {
  const name = 'the constant'
  const { [name]: value } = rowOfJson([{ name, type, isNullable: true }], { [name]: json })
  if (typeof value === 'number' && isInteger(type) && !Number.isInteger(value)) {
    throw new RangeError(`${value} is no ${typeName(type)}`)
  }
  return (type.kind === 'float' ? Math.fround(value as number) : value) ?? null
}

/** Both with constants of the type of the other. */
export function alike(left: Expression, right: Expression): [Expression, Expression] {
  if (left.literal !== undefined && right.literal === undefined) {
    return [typed(left, right.type), right]
  }
  if (right.literal !== undefined && left.literal === undefined) {
    return [left, typed(right, left.type)]
  }
  return [left, right]
}

/** Throws RangeError for types whose values are not compared with one another. */
export function comparing(left: DataType, right: DataType): Compare {
  const [a, b] = [comparable(left, right), comparable(right, left)]
  if (a === null || b === null) {
    throw new RangeError(`${typeName(left)} is not compared with ${typeName(right)}`)
  }
  return (x, y) => orderOf(a(x), b(y))
}

function comparable(type: DataType, other: DataType): ((value: Value) => Scalar) | null {
  const same = (value: Value): Scalar => value as Scalar
  if (['list', 'map', 'struct'].includes(type.kind)) return null
  if (type.kind === 'null' || other.kind === 'null') return same
  if (type.kind === 'decimal') {
    if (isFloat(other)) return (value) => Number(decimalText(value as bigint, type.scale))
    if (isInteger(other)) return same
    if (other.kind !== 'decimal') return null
    const factor = 10n ** BigInt(Math.max(other.scale - type.scale, 0))
    return (value) => (value as bigint) * factor
  }
  if (isInteger(type) || isFloat(type)) {
    if (isInteger(other) || isFloat(other)) return same
    if (other.kind !== 'decimal') return null
    return isFloat(type) ? same : (value) => BigInt(value as number) * 10n ** BigInt(other.scale)
  }
  if (type.kind === 'date' && other.kind === 'timestamp') {
    return (value) => BigInt(value as number) * microsPerDay
  }
  if (type.kind === 'timestamp' && other.kind === 'date') return same
  return type.kind === other.kind ? same : null
}

/** NaN is the same as itself and above all other numbers, as in Spark. */
function orderOf(a: Scalar, b: Scalar): number {
  const [isNan, otherIsNan] = [Number.isNaN(a), Number.isNaN(b)]
  return isNan || otherIsNan ? Number(isNan) - Number(otherIsNan) : compareScalars(a, b)
}

export type Operator = '+' | '-' | '*' | '/' | '%'

/** Throws RangeError for types that are not computed with; evaluating does for what cannot be computed. */
export function arithmetic(operator: Operator, left: Expression, right: Expression): Expression {
  const [a, b] = computable(left, right)
  const isDateMoved = a.type.kind === 'date' && isInteger(b.type) && '+-'.includes(operator)
  if (isDateMoved) {
    const sign = operator === '+' ? 1 : -1
    return both(a, b, { kind: 'date' }, (x, y) => (x as number) + sign * Number(y))
  }
  if (isFloat(a.type) || isFloat(b.type)) return floating(operator, a, b)
  if (a.type.kind !== 'decimal' && b.type.kind !== 'decimal') {
    if (operator === '/') return floating(operator, a, b)
    return both(a, b, { kind: 'int64' }, (x, y) =>
      inInt64(integral(operator, BigInt(x as number), BigInt(y as number))),
    )
  }
  return decimal(operator, a, b)
}

function computable(left: Expression, right: Expression): [Expression, Expression] {
  const [a, b] =
    isFloat(left.type) || isFloat(right.type) ? alike(left, right) : ([left, right] as const)
  for (const { type } of [a, b]) {
    const isNumber = isInteger(type) || isFloat(type) || type.kind === 'decimal'
    const isMoved = type.kind === 'date' && type === a.type
    if (!isNumber && !isMoved) throw new RangeError(`${typeName(type)} is not computed with`)
  }
  if (a.type.kind === 'date' && !isInteger(b.type)) {
    throw new RangeError(`date is not computed with beside ${typeName(b.type)}`)
  }
  return [a, b]
}

function both(
  a: Expression,
  b: Expression,
  type: DataType,
  compute: (x: Scalar, y: Scalar) => Value,
): Expression {
  return {
    type,
    at: (columns, row) => {
      const x = a.at(columns, row)
      const y = b.at(columns, row)
      return x === null || y === null ? null : compute(x as Scalar, y as Scalar)
    },
  }
}

function floating(operator: Operator, a: Expression, b: Expression): Expression {
  const [x, y] = [asDouble(a.type), asDouble(b.type)]
  const isSingle = a.type.kind === 'float' && b.type.kind === 'float'
  const round = isSingle ? Math.fround : (value: number) => value
  return both(a, b, { kind: isSingle ? 'float' : 'double' }, (left, right) => {
    const [l, r] = [x(left), y(right)]
    switch (operator) {
      case '+':
        return round(l + r)
      case '-':
        return round(l - r)
      case '*':
        return round(l * r)
      default:
        if (r === 0) throw new RangeError('division by zero')
        return round(operator === '/' ? l / r : l % r)
    }
  })
}

/** A number's value as a double. */
export function asDouble(type: DataType): (value: Value) => number {
  return type.kind === 'decimal'
    ? (value) => Number(decimalText(value as bigint, type.scale))
    : (value) => Number(value)
}

function integral(operator: Operator, x: bigint, y: bigint): bigint {
  switch (operator) {
    case '+':
      return x + y
    case '-':
      return x - y
    case '*':
      return x * y
    default:
      if (y === 0n) throw new RangeError('division by zero')
      return x % y
  }
}

function inInt64(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} is more than a long holds`)
  return value
}

function decimal(operator: Operator, a: Expression, b: Expression): Expression {
  if (operator === '/') {
    throw new RangeError('decimals are not divided: CAST one AS DOUBLE')
  }
  const [s, t] = [scaleOf(a.type), scaleOf(b.type)]
  const scale = operator === '*' ? s + t : Math.max(s, t)
  if (scale > 38) throw new RangeError(`decimals of ${scale} digits behind the point`)
  const [f, g] = operator === '*' ? [1n, 1n] : [10n ** BigInt(scale - s), 10n ** BigInt(scale - t)]
  return both(a, b, { kind: 'decimal', precision: 38, scale }, (x, y) => {
    const value = integral(operator, BigInt(x as bigint) * f, BigInt(y as bigint) * g)
    if (value >= 10n ** 38n || value <= -(10n ** 38n)) {
      throw new RangeError(`${decimalText(value, scale)} has more than 38 digits`)
    }
    return value
  })
}

function scaleOf(type: DataType): number {
  return type.kind === 'decimal' ? type.scale : 0
}
