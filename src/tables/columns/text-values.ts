/**
 * Values from their text: of partitions, whose values the log has as text, and of rows in JSON. What `value.ts` has for
 * a type comes out; what is no such value is a RangeError.
 */
import { civilOf, daysOf } from './calendar.ts'
import type { DataType } from './column.ts'
import type { Value } from './value.ts'

/** The value of a partition; null and the empty text are both no value. */
export function valueOfText(type: DataType, text: string | null): Value {
  if (text === null || text === '') return null
  switch (type.kind) {
    case 'string':
      return text
    case 'boolean':
      if (text.toLowerCase() === 'true') return true
      if (text.toLowerCase() === 'false') return false
      throw mismatch(type, text)
    case 'int8':
    case 'int16':
    case 'int32':
      if (!/^[+-]?\d+$/.test(text)) throw mismatch(type, text)
      return Number(text)
    case 'int64':
      if (!/^[+-]?\d+$/.test(text)) throw mismatch(type, text)
      return BigInt(text)
    case 'float':
    case 'double':
      return floatOf(type, text)
    case 'decimal':
      return decimalOf(text, type.scale)
    case 'date':
      return dateOf(text)
    case 'timestamp':
      return timestampOf(text)
    case 'binary':
      return Buffer.from(text, 'utf8')
    default:
      throw mismatch(type, text)
  }
}

function floatOf(type: DataType, text: string): number {
  const number = Number(text)
  if (text.trim() === '' || (Number.isNaN(number) && text !== 'NaN')) throw mismatch(type, text)
  return number
}

/** The unscaled integer. */
export function decimalOf(text: string, scale: number): bigint {
  const found = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text)
  const [, sign, whole = '', fraction = '', exponent = '0'] = found ?? []
  if (found === null || whole + fraction === '') throw new RangeError(`${text} is no decimal`)
  const shift = scale - fraction.length + Number(exponent)
  let digits = whole + fraction
  if (shift >= 0) digits += '0'.repeat(Math.min(shift, 100))
  else {
    const dropped = digits.slice(shift)
    if (/[1-9]/.test(dropped)) throw new RangeError(`${text} has more than ${scale} decimals`)
    digits = digits.slice(0, shift)
  }
  const value = BigInt(digits === '' ? '0' : digits)
  return sign === '-' ? -value : value
}

/** Days since 1970. */
export function dateOf(text: string): number {
  const found = /^([+-]?\d{4,6})-(\d{2})-(\d{2})(?:[T ].*)?$/.exec(text)
  if (found === null) throw new RangeError(`${text} is no date`)
  return dayOf(text, Number(found[1]), Number(found[2]), Number(found[3]))
}

/** Throws RangeError for a day that there is not. */
function dayOf(text: string, year: number, month: number, day: number): number {
  const days = daysOf(year, month, day)
  const date = civilOf(days)
  if (date.month !== month || date.day !== day) throw new RangeError(`${text} is no date`)
  return days
}

const timestamp =
  /^([+-]?\d{4,6})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/

/** Microseconds since 1970; without a zone it is meant in UTC. */
export function timestampOf(text: string): bigint {
  const found = timestamp.exec(text)
  if (found === null) throw new RangeError(`${text} is no timestamp`)
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] =
    found
  if (Number(hour) > 24 || Number(minute) > 59 || Number(second) > 60) {
    throw new RangeError(`${text} is no timestamp`)
  }
  const days = dayOf(text, Number(year), Number(month), Number(day))
  const seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second) - offsetSeconds(zone)
  const micros = Number(fraction.padEnd(6, '0').slice(0, 6))
  return (BigInt(days) * 86_400n + BigInt(seconds)) * 1_000_000n + BigInt(micros)
}

function offsetSeconds(zone: string): number {
  if (zone === 'Z') return 0
  const seconds = Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(-2)) * 60
  return zone.startsWith('-') ? -seconds : seconds
}

function mismatch(type: DataType, text: string): RangeError {
  return new RangeError(`${text.slice(0, 40)} is no ${type.kind}`)
}
