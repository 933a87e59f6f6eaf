/**
 * Connect's values as values of a table's columns. Nothing is rounded, cut off or guessed to make it fit: what a
 * column does not hold as it is, is refused. Text is taken for a date or a timestamp where the column has one. Only a
 * number that JSON has in decimal digits is rounded to the nearest that a float holds, as it is to that of a double.
 */
import { type DataType, type Field, typeName } from '../../tables/columns/column.ts'
import { dateOf, timestampOf } from '../../tables/columns/text-values.ts'
import type { Value } from '../../tables/columns/value.ts'
import { describe, Struct } from '../data.ts'
import { DataException } from '../failures.ts'
import { Decimal, Instant, Micros } from '../logical.ts'
import { pathOf, typeOfValue } from './column-types.ts'

/** A value does not fit its column, or there is none: other columns might hold it. */
export class Misfit extends DataException {}

type Present = NonNullable<unknown>

/** Whether numbers are those of JSON, or of a type that says what they are exactly. */
export type Numbers = 'json' | 'exact'

/** Throws Misfit, DataException. */
export function fit(
  { type, isNullable }: Field,
  value: unknown,
  at: string,
  numbers: Numbers = 'exact',
): Value {
  if (value === null || value === undefined) {
    if (isNullable) return null
    throw new DataException(`${at} has no value, but its column must have one`)
  }
  const found = fitPresent(type, value, at, numbers)
  if (found === undefined) throw misfit(type, value, at)
  return found
}

/** Undefined: the type does not hold it. */
function fitPresent(
  type: DataType,
  value: Present,
  at: string,
  numbers: Numbers,
): Value | undefined {
  switch (type.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined
    case 'string':
      return typeof value === 'string' ? wholeText(value, at) : undefined
    case 'binary':
      return Buffer.isBuffer(value) ? value : undefined
    case 'int8':
      return integer(value, 7)
    case 'int16':
      return integer(value, 15)
    case 'int32':
      return integer(value instanceof Instant ? value.toTimeOfDay() : value, 31)
    case 'int64':
      return long(value)
    case 'float':
      return numbers === 'json' ? roundedFloat(value) : float(value, Math.fround)
    case 'double':
      return float(value, (number) => number)
    case 'decimal':
      return decimal(type, value)
    case 'date':
      return date(value)
    case 'timestamp':
      return timestamp(type, value)
    case 'list':
      if (!Array.isArray(value)) return undefined
      return value.map((one) => fit(type.element, one, `${at}[]`, numbers))
    case 'map':
      return value instanceof Map ? fitMap(type, value, at, numbers) : undefined
    case 'struct':
      return fitStruct(type.fields, value, at, numbers)
    default:
      return undefined
  }
}

/** Half of a surrogate pair has no bytes: a file would have another character in its place. */
function wholeText(text: string, at: string): string {
  if (/\p{Surrogate}/u.test(text)) {
    throw new DataException(`${at} is text with half of a surrogate pair, which is no character`)
  }
  return text
}

function integer(value: Present, bits: number): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) return undefined
  const bound = 2 ** bits
  return number >= -bound && number < bound ? number : undefined
}

function long(value: Present): bigint | number | undefined {
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? value : undefined
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

function float(value: Present, held: (number: number) => number): number | undefined {
  if (typeof value === 'bigint') {
    const number = held(Number(value))
    return Number.isFinite(number) && BigInt(number) === value ? number : undefined
  }
  if (typeof value !== 'number') return undefined
  return Object.is(held(value), value) ? value : undefined
}

/** One that is too large for a float is none. */
function roundedFloat(value: Present): number | undefined {
  if (typeof value !== 'bigint' && typeof value !== 'number') return undefined
  const rounded = Math.fround(Number(value))
  return Number.isFinite(rounded) ? rounded : undefined
}

/** Of so many digits, a number of binary digits stands for one of decimal digits and no other. */
const exactDigitsMax = 15

/** What JSON has for a decimal: a number, or a text where the number is too long for one. */
function decimalOf(value: Present): Decimal | undefined {
  if (value instanceof Decimal) return value
  if (typeof value === 'bigint') return new Decimal(value, 0)
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  const [, whole = '', fraction = ''] = /^(-?\d{1,76})(?:\.(\d{1,76}))?$/.exec(text) ?? []
  if (whole === '') return undefined
  const digits = whole.length + fraction.length
  if (typeof value === 'number' && !Number.isSafeInteger(value) && digits > exactDigitsMax)
    return undefined
  return new Decimal(BigInt(whole + fraction), fraction.length)
}

function decimal(type: DataType & { kind: 'decimal' }, value: Present): bigint | undefined {
  const given = decimalOf(value)
  if (given === undefined) return undefined
  const shift = type.scale - given.scale
  // Any more digits are too many, but of zero; and powers of that size take their time.
  if (Math.abs(shift) > 76 + given.unscaled.toString().length) {
    return given.unscaled === 0n ? 0n : undefined
  }
  const factor = 10n ** BigInt(Math.abs(shift))
  if (shift < 0 && given.unscaled % factor !== 0n) return undefined
  const unscaled = shift < 0 ? given.unscaled / factor : given.unscaled * factor
  const bound = 10n ** BigInt(type.precision)
  return unscaled < bound && unscaled > -bound ? unscaled : undefined
}

function date(value: Present): number | undefined {
  if (value instanceof Instant) return integer(value.toDays(), 31)
  if (typeof value !== 'string' || /[T ]/.test(value)) return undefined
  return ofText(() => dateOf(value))
}

/** Microseconds since 1970. A text with a zone names a moment, one without it what a clock shows. */
function timestamp(type: DataType & { kind: 'timestamp' }, value: Present): bigint | undefined {
  if (value instanceof Instant) return BigInt(value.epochMs) * 1000n
  if (value instanceof Micros) return value.isUtc === type.isUtc ? value.epochMicros : undefined
  if (typeof value !== 'string' || /\.\d{6}\d*[1-9]/.test(value)) return undefined
  if (!type.isUtc && /(?:Z|[+-]\d{2}:?\d{2})$/.test(value.slice(10))) return undefined
  const micros = ofText(() => timestampOf(value))
  return micros !== undefined && BigInt.asIntN(64, micros) === micros ? micros : undefined
}

function ofText<Result>(read: () => Result): Result | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function fitMap(
  type: DataType & { kind: 'map' },
  map: ReadonlyMap<unknown, unknown>,
  at: string,
  numbers: Numbers,
): Value {
  const entries = new Map<Value, Value>()
  const keyField = { ...type.key, isNullable: false }
  for (const [key, value] of map) {
    const fitted = fit(keyField, key, `${at} (key)`, numbers)
    entries.set(fitted, fit(type.value, value, `${at} (value)`, numbers))
  }
  return entries
}

function fitStruct(
  fields: readonly Field[],
  value: Present,
  at: string,
  numbers: Numbers,
): Value | undefined {
  if (!(value instanceof Struct || value instanceof Map)) return undefined
  const row: Value[] = new Array(fields.length).fill(null)
  const names = namesOf(fields)
  const taken = new Set<number>()
  for (const [name, one] of entriesOf(value, at)) {
    const place = placeOf(names, name, one, at)
    if (place === null) continue
    if (taken.has(place)) throw twice(pathOf(at, name))
    taken.add(place)
    row[place] = fit(fields[place]!, one, pathOf(at, name), numbers)
  }
  return Object.fromEntries(
    fields.map((field, i) => [
      field.name,
      taken.has(i) ? row[i]! : fit(field, null, pathOf(at, field.name)),
    ]),
  )
}

/** The names of an object and what they stand for. Throws DataException for keys that are no text. */
export function* entriesOf(
  value: Struct | ReadonlyMap<unknown, unknown>,
  at: string,
): Generator<readonly [string, unknown]> {
  if (value instanceof Struct) {
    for (const { name } of value.schema.fields) yield [name, value.get(name)]
    return
  }
  for (const [name, one] of value) {
    if (typeof name !== 'string') {
      throw new DataException(`${at || 'the record'} has keys that are no text`)
    }
    yield [name, one]
  }
}

/** Where a value goes; null: nowhere, since there is nothing in it. Throws Misfit where there is no such column. */
export function placeOf(
  names: ColumnNames,
  name: string,
  value: unknown,
  at: string,
): number | null {
  const place = names.find(name)
  if (place !== undefined) return place
  if (typeOfValue(value, pathOf(at, name)) === null) return null
  throw new Misfit(`there is no column ${pathOf(at, name)}`)
}

export function twice(at: string): DataException {
  return new DataException(`there are two values for the column ${at}`)
}

/** Columns by their names, as they are or, as engines do that read them, whatever their case. */
class ColumnNames {
  readonly #exact = new Map<string, number>()
  readonly #lower = new Map<string, number>()

  constructor(fields: readonly Field[]) {
    for (const [i, { name }] of fields.entries()) {
      this.#exact.set(name, i)
      this.#lower.set(name.toLowerCase(), i)
    }
  }

  find(name: string): number | undefined {
    return this.#exact.get(name) ?? this.#lower.get(name.toLowerCase())
  }
}

export type { ColumnNames }

const known = new WeakMap<readonly Field[], ColumnNames>()

export function namesOf(fields: readonly Field[]): ColumnNames {
  let names = known.get(fields)
  if (names === undefined) {
    names = new ColumnNames(fields)
    known.set(fields, names)
  }
  return names
}

function misfit(type: DataType, value: Present, at: string): Misfit {
  const cannot = `${at} cannot hold ${shown(value)}: it is of type ${typeName(type)}`
  const isFraction = typeof value === 'number' && !Number.isInteger(value)
  if (!isFraction || type.kind !== 'int64') return new Misfit(cannot)
  return new Misfit(
    `${cannot}, as whole numbers before it were, and no long of Delta becomes double`,
  )
}

function shown(value: Present): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40))
  if (value instanceof Decimal) return value.toString().slice(0, 60)
  if (Array.isArray(value)) return 'a list'
  return value instanceof Map ? 'an object' : describe(value).slice(0, 60)
}
