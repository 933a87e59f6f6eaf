/** What can be called in an expression, and how values are made those of another type. Times are in UTC. */
import { type DataType, typeName } from './column.ts'
import {
  asDouble,
  type Evaluate,
  type Expression,
  isFloat,
  isInteger,
  typed,
} from './expression.ts'
import { dateText, decimalText, timestampText } from './json-text.ts'
import { decimalOf, valueOfText } from './text-values.ts'
import type { Value } from './value.ts'

type Present = Exclude<Value, null>
type Convert = (value: Present) => Value

const text = { kind: 'string' } as const
const int = { kind: 'int32' } as const
const microsPerDay = 86_400_000_000n

/** An expression as a value for a column of a type, by what SQL does on its own. Throws RangeError where that is nothing. */
export function assigned(expression: Expression, type: DataType): Evaluate {
  const given = typed(expression, type)
  if (given.literal === null || given.type.kind === 'null') return () => null
  const convert = assignable(given.type, type)
  if (convert === null) {
    throw new RangeError(
      `a ${typeName(given.type)} does not become a ${typeName(type)} by itself: CAST it`,
    )
  }
  return converted(given, convert)
}

/** `CAST(expression AS type)`. */
export function cast(expression: Expression, type: DataType): Expression {
  const from = expression.type
  if (from.kind === 'null') return { type, at: () => null }
  const convert = assignable(from, type) ?? castable(from, type)
  if (convert === null) {
    throw new RangeError(`a ${typeName(from)} is not cast to a ${typeName(type)}`)
  }
  return { type, at: converted(expression, convert) }
}

function converted({ at }: Expression, convert: Convert): Evaluate {
  return (columns, row) => {
    const value = at(columns, row)
    return value === null ? null : convert(value)
  }
}

function assignable(from: DataType, to: DataType): Convert | null {
  if (isInteger(to)) return isInteger(from) ? (value) => inRange(BigInt(value as number), to) : null
  if (to.kind === 'double' && isNumeric(from)) return asDouble(from)
  if (to.kind === 'float' && isNumeric(from)) {
    const double = asDouble(from)
    return (value) => Math.fround(double(value))
  }
  if (to.kind === 'decimal') {
    if (isInteger(from))
      return (value) => fitting(BigInt(value as number) * 10n ** BigInt(to.scale), to)
    if (from.kind !== 'decimal') return null
    return (value) => fitting(rescaled(value as bigint, from.scale, to.scale), to)
  }
  if (to.kind === 'string') return textually(from)
  if (to.kind === 'timestamp') {
    if (from.kind === 'date') return (value) => BigInt(value as number) * microsPerDay
    return from.kind === 'timestamp' ? (value) => value : null
  }
  const isSame = from.kind === to.kind && !['list', 'map', 'struct'].includes(to.kind)
  return isSame || from === to ? (value) => value : null
}

function castable(from: DataType, to: DataType): Convert | null {
  if (from.kind === 'string') {
    return (value) => {
      const trimmed = (value as string).trim()
      if (trimmed === '') throw new RangeError(`an empty text is no ${typeName(to)}`)
      return valueOfText(to, trimmed)
    }
  }
  if (isInteger(to) && isNumeric(from)) {
    const double = asDouble(from)
    return (value) => {
      if (from.kind === 'decimal') return inRange((value as bigint) / 10n ** BigInt(from.scale), to)
      const whole = Math.trunc(double(value))
      if (!Number.isFinite(whole)) throw new RangeError(`${double(value)} is no ${typeName(to)}`)
      return inRange(BigInt(whole), to)
    }
  }
  if (to.kind === 'decimal' && isFloat(from)) {
    return (value) => fitting(roundedText(String(value), to.scale), to)
  }
  if (to.kind === 'date' && from.kind === 'timestamp') return (value) => daysIn(value as bigint)
  if (to.kind === 'boolean' && isNumeric(from)) return (value) => Number(value) !== 0
  if (isInteger(to) && from.kind === 'boolean') return (value) => inRange(value ? 1n : 0n, to)
  return null
}

function isNumeric(type: DataType): boolean {
  return isInteger(type) || isFloat(type) || type.kind === 'decimal'
}

function textually(from: DataType): Convert | null {
  switch (from.kind) {
    case 'string':
      return (value) => value
    case 'boolean':
      return String
    case 'date':
      return (value) => dateText(value as number)
    case 'decimal':
      return (value) => decimalText(value as bigint, from.scale)
    case 'timestamp':
      return (value) =>
        timestampText(value as bigint, 'micros')
          .replace('T', ' ')
          .replace(/\.?0+$/, '')
    default:
      return isInteger(from) ? String : null
  }
}

const bits: Readonly<Record<string, number>> = { int8: 8, int16: 16, int32: 32, int64: 64 }

function inRange(value: bigint, type: DataType): Value {
  const size = bits[type.kind]
  if (size === undefined || BigInt.asIntN(size, value) !== value) {
    throw new RangeError(`${value} is more than a ${typeName(type)} holds`)
  }
  return size === 64 ? value : Number(value)
}

function fitting(value: bigint, type: DataType & { kind: 'decimal' }): bigint {
  const bound = 10n ** BigInt(type.precision)
  if (value < bound && value > -bound) return value
  throw new RangeError(`${decimalText(value, type.scale)} is more than a ${typeName(type)} holds`)
}

/** Half is rounded away from zero. */
function rescaled(value: bigint, from: number, to: number): bigint {
  if (to >= from) return value * 10n ** BigInt(to - from)
  const factor = 10n ** BigInt(from - to)
  const half = value < 0n ? -(factor / 2n) : factor / 2n
  return (value + half) / factor
}

function roundedText(number: string, scale: number): bigint {
  const found = /e([+-]?\d+)$/.exec(number)
  const places = (/\.(\d+)/.exec(number)?.[1]?.length ?? 0) - Number(found?.[1] ?? 0)
  if (!/^-?\d/.test(number) || places > 400) throw new RangeError(`${number} is no decimal`)
  return places <= scale
    ? decimalOf(number, scale)
    : rescaled(decimalOf(number, places), places, scale)
}

function daysIn(micros: bigint): number {
  const below = ((micros % microsPerDay) + microsPerDay) % microsPerDay
  return Number((micros - below) / microsPerDay)
}

type Make = (name: string, args: readonly Expression[]) => Expression

/** Throws RangeError for a function that is not known, or takes other values. */
export function call(name: string, args: readonly Expression[]): Expression {
  const make = Object.hasOwn(functions, name) ? functions[name] : undefined
  if (make === undefined) throw new RangeError(`there is no function ${name}`)
  return make(name, args)
}

const functions: Readonly<Record<string, Make>> = {
  upper: ofText((value) => value.toUpperCase()),
  lower: ofText((value) => value.toLowerCase()),
  trim: ofText((value) => value.replace(/^ +| +$/g, '')),
  length: (name, args) =>
    each(name, args, ['string'], int, (value) => [...(value as string)].length),
  concat: (_, args) => concatenated(args),
  coalesce: (name, args) => coalesced(name, args),
  abs: (name, args) => {
    const [{ type }] = exactly(name, args, 1) as [Expression]
    if (!isNumeric(type)) throw new RangeError(`${name} of a ${typeName(type)}`)
    return each(name, args, [type.kind], type, (value) =>
      typeof value === 'bigint' ? (value < 0n ? -value : value) : Math.abs(value as number),
    )
  },
  substring,
  substr: substring,
  date: (name, args) => cast(exactly(name, args, 1)[0]!, { kind: 'date' }),
  to_date: (name, args) => cast(exactly(name, args, 1)[0]!, { kind: 'date' }),
  ...calendar('year', 1),
  ...calendar('month', 2),
  ...calendar('day', 3),
  ...calendar('dayofmonth', 3),
  ...calendar('hour', 4),
}

function exactly(name: string, args: readonly Expression[], count: number): readonly Expression[] {
  if (args.length !== count) throw new RangeError(`${name} takes ${count} values`)
  return args
}

function each(
  name: string,
  args: readonly Expression[],
  kinds: readonly string[],
  type: DataType,
  convert: Convert,
): Expression {
  const [one] = exactly(name, args, 1) as [Expression]
  if (!kinds.includes(one.type.kind)) throw new RangeError(`${name} of a ${typeName(one.type)}`)
  return { type, at: converted(one, convert) }
}

function ofText(convert: (value: string) => string): Make {
  return (name, args) => each(name, args, ['string'], text, (value) => convert(value as string))
}

/** `part`: which of year, month, day and hour. */
function calendar(unit: string, part: number): Readonly<Record<string, Make>> {
  return {
    [unit]: (name, args) => {
      const isDate = args[0]?.type.kind === 'date'
      return each(name, args, ['date', 'timestamp'], int, (value) => {
        const spelled = isDate
          ? `${dateText(value as number)}T00`
          : timestampText(value as bigint, 'micros')
        return Number(/^([+-]?\d+)-(\d\d)-(\d\d)T(\d\d)/.exec(spelled)![part])
      })
    },
  }
}

export function concatenated(args: readonly Expression[]): Expression {
  const parts = args.map((arg) => cast(arg, text).at)
  return {
    type: text,
    at: (columns, row) => {
      let joined = ''
      for (const part of parts) {
        const value = part(columns, row)
        if (value === null) return null
        joined += value as string
      }
      return joined
    },
  }
}

function coalesced(name: string, args: readonly Expression[]): Expression {
  const first = args.find(({ literal }) => literal === undefined) ?? args[0]
  if (first === undefined) throw new RangeError(`${name} of nothing`)
  const options = args.map((arg) => assigned(arg, first.type))
  return {
    type: first.type,
    at: (columns, row) => {
      for (const option of options) {
        const value = option(columns, row)
        if (value !== null) return value
      }
      return null
    },
  }
}

/** From a character on, counted from 1, or from the end where it is negative; so many, or all. */
function substring(name: string, args: readonly Expression[]): Expression {
  const [from, start, count] = args
  const isWhole =
    from?.type.kind === 'string' &&
    args.length <= 3 &&
    [start, count].every((one, i) => (one === undefined ? i === 1 : isInteger(one.type)))
  if (!isWhole) throw new RangeError(`${name} takes a text, where to begin and how many characters`)
  return {
    type: text,
    at: (columns, row) => {
      const value = from.at(columns, row)
      const first = start!.at(columns, row)
      const length = count === undefined ? Number.POSITIVE_INFINITY : count.at(columns, row)
      if (value === null || first === null || length === null) return null
      const characters = [...(value as string)]
      const at = Number(first)
      const begin = at > 0 ? at - 1 : at < 0 ? characters.length + at : 0
      const end = begin + Number(length)
      return characters.slice(Math.max(begin, 0), Math.max(end, 0)).join('')
    },
  }
}
