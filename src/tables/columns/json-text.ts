/**
 * Rows as JSON, one object a row, with nothing lost: integers and decimals with all their digits, floats that JSON has
 * no number for as the strings `NaN`, `Infinity` and `-Infinity`, bytes in base64, dates `YYYY-MM-DD`, timestamps ISO
 * 8601 to the microsecond (or nanosecond), with `Z` unless they are without zone. Maps with text for keys are
 * objects, others lists of `{"key", "value"}`.
 */
import { civilOf } from './calendar.ts'
import { type Column, type ColumnBatch, type DataType, isValid, type TimeUnit } from './column.ts'
import { isText, wideAt } from './value.ts'

const millisPerDay = 86_400_000
const digitsOf: Readonly<Record<TimeUnit, number>> = { millis: 3, micros: 6, nanos: 9 }

type Print = (column: Column, row: number) => string

/** Prints a row of batches with such fields. */
export function rowPrinter(
  fields: ColumnBatch['fields'],
): (batch: ColumnBatch, row: number) => string {
  const names = fields.map(({ name }) => JSON.stringify(name))
  const prints = fields.map(({ type }) => printer(type))
  return ({ columns }, row) => {
    let text = '{'
    for (let i = 0; i < prints.length; i++) {
      text += `${i === 0 ? '' : ','}${names[i]}:${prints[i]!(columns[i]!, row)}`
    }
    return `${text}}`
  }
}

/** Prints values of a type, `null` where there is none. */
export function printer(type: DataType): Print {
  const print = printerOfValues(type)
  return (column, row) => (isValid(column, row) ? print(column, row) : 'null')
}

function printerOfValues(type: DataType): Print {
  switch (type.kind) {
    case 'null':
      return () => 'null'
    case 'boolean':
      return (column, row) => (int(column, row) === 1 ? 'true' : 'false')
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
      return (column, row) => String(int(column, row))
    case 'uint32':
      return (column, row) => String(int(column, row) >>> 0)
    case 'int64':
      return (column, row) => String(long(column, row))
    case 'uint64':
      return (column, row) => String(BigInt.asUintN(64, long(column, row)))
    case 'float16':
    case 'float':
      return (column, row) => floatText(int(column, row))
    case 'double':
      return (column, row) => doubleText(int(column, row))
    case 'decimal':
      return (column, row) =>
        decimalText(
          column.layout === 'int128' ? wideAt(column.values, row) : long(column, row),
          type.scale,
        )
    case 'date':
      return (column, row) => `"${dateText(int(column, row))}"`
    case 'time':
      return (column, row) =>
        `"${timeText(type.unit === 'millis' ? BigInt(int(column, row)) : long(column, row), type.unit)}"`
    case 'timestamp':
      return (column, row) =>
        `"${timestampText(long(column, row), type.unit)}${type.isUtc ? 'Z' : ''}"`
    case 'list':
      return listPrinter(printer(type.element.type))
    case 'map':
      return mapPrinter(type)
    case 'struct': {
      const print = rowPrinter(type.fields)
      return (column, row) => {
        const { children, length } = column as Column & { layout: 'struct' }
        return print({ fields: type.fields, columns: children, rowCount: length }, row)
      }
    }
    default:
      return bytesPrinter(type)
  }
}

function bytesPrinter(type: DataType): Print {
  const read = (column: Column, row: number, as: (bytes: Buffer) => string): string => {
    const { bytes, offsets } = column as Column & { layout: 'bytes' }
    const start = offsets[row]!
    return as(Buffer.from(bytes.buffer, bytes.byteOffset + start, offsets[row + 1]! - start))
  }
  if (isText(type))
    return (column, row) => read(column, row, (bytes) => JSON.stringify(bytes.toString()))
  if (type.kind === 'uuid')
    return (column, row) => read(column, row, (bytes) => `"${uuidText(bytes)}"`)
  return (column, row) => read(column, row, (bytes) => `"${bytes.toString('base64')}"`)
}

function listPrinter(print: Print): Print {
  return (column, row) => {
    const { offsets, element } = column as Column & { layout: 'list' }
    let text = '['
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
      text += `${text.length === 1 ? '' : ','}${print(element, i)}`
    }
    return `${text}]`
  }
}

function mapPrinter(type: DataType & { kind: 'map' }): Print {
  const printKey = printer(type.key.type)
  const printValue = printer(type.value.type)
  return (column, row) => {
    const { offsets, element } = column as Column & { layout: 'list' }
    const [keys, values] = (element as Column & { layout: 'struct' }).children as [Column, Column]
    // Of two entries with one key the last counts.
    const entries = new Map<string, string>()
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
      entries.set(printKey(keys, i), printValue(values, i))
    }
    const parts = [...entries].map(([key, value]) =>
      isText(type.key.type)
        ? `${key === 'null' ? '""' : key}:${value}`
        : `{"key":${key},"value":${value}}`,
    )
    return isText(type.key.type) ? `{${parts.join(',')}}` : `[${parts.join(',')}]`
  }
}

function int(column: Column, row: number): number {
  return (column as Column & { layout: 'int32' | 'boolean' | 'float' | 'double' }).values[row]!
}

function long(column: Column, row: number): bigint {
  return (column as Column & { layout: 'int64' }).values[row]!
}

function doubleText(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0.0' : String(value)
  return `"${value}"`
}

/** The shortest digits that give the same float again. */
function floatText(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return doubleText(value)
  for (let digits = 6; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits))
    if (Math.fround(text) === value) return String(text)
  }
  return String(Number(value.toPrecision(9)))
}

/** An unscaled decimal with its point. */
export function decimalText(unscaled: bigint, scale: number): string {
  const isNegative = unscaled < 0n
  const digits = String(isNegative ? -unscaled : unscaled).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const text = scale === 0 ? whole : `${whole}.${digits.slice(digits.length - scale)}`
  return isNegative ? `-${text}` : text
}

/** `YYYY-MM-DD` of days since 1970, by the Gregorian calendar throughout; years beyond four digits as they are. */
export function dateText(days: number): string {
  const { year, month, day } = civilOf(days)
  const yearText = `${year < 0 ? '-' : ''}${String(Math.abs(year)).padStart(4, '0')}`
  return `${yearText}-${two(month)}-${two(day)}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** `HH:MM:SS` with as many digits of the second as the unit has, six at least. */
function timeText(value: bigint, unit: TimeUnit): string {
  const perSecond = 10n ** BigInt(digitsOf[unit])
  const seconds = Number(value / perSecond)
  const fraction = String(value % perSecond)
    .padStart(digitsOf[unit], '0')
    .padEnd(6, '0')
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${fraction}`
}

/** ISO 8601 without a zone. */
export function timestampText(value: bigint, unit: TimeUnit): string {
  const perDay = (BigInt(millisPerDay) * 10n ** BigInt(digitsOf[unit])) / 1000n
  const ofDay = ((value % perDay) + perDay) % perDay
  return `${dateText(Number((value - ofDay) / perDay))}T${timeText(ofDay, unit)}`
}

/** Eight, four, four, four and twelve digits of 16 bytes. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
