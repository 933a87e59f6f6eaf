/**
 * What the text of a header stands for: null, booleans, the smallest integer that fits, floats, decimals, dates and times
 * (ISO 8601, as Kafka writes them), lists and maps as in JSON, where keys need not be texts; the rest are strings. Other
 * than Kafka's, which leaves out what follows a value, it takes a text for what all of it is.
 */
import { daysOf } from '../../tables/columns/calendar.ts'
import { stringEnd } from '../../tables/columns/json-string.ts'
import {
  arrayOf,
  date,
  decimalOf,
  equalSchemas,
  mapOf,
  nullValue,
  type PrimitiveType,
  primitive,
  type Schema,
  type SchemaAndValue,
  time,
  timestamp,
} from '../data.ts'
import { DataException } from '../failures.ts'
import { float32Text } from '../float-text.ts'
import { Decimal, Instant } from '../logical.ts'

/** As deep as JSON may be. */
const depthMax = 1000

/** A string where it is nothing else. */
export function valueOfText(text: string): SchemaAndValue {
  const found = scalarOf(trimmed(text))
  if (found !== undefined) return found
  if (/^[\0- ]*[[{]/.test(text)) {
    try {
      return new TextReader(text).whole()
    } catch (error) {
      if (!(error instanceof DataException)) throw error
    }
  }
  return { schema: primitive('STRING'), value: text }
}

/** Of what Java takes for blank. */
const trimmed = (text: string) => text.replace(/^[\0- ]+|[\0- ]+$/g, '')

/** Undefined: it is none. */
function scalarOf(text: string): SchemaAndValue | undefined {
  if (text === 'null') return nullValue
  if (text === 'true' || text === 'false')
    return { schema: primitive('BOOLEAN'), value: text === 'true' }
  return temporalOf(text) ?? numberOf(text)
}

function temporalOf(text: string): SchemaAndValue | undefined {
  const match =
    /^(?:(\d{4})-(\d\d)-(\d\d))?(T?)(?:(\d\d):(\d\d):(\d\d)\.(\d{3})Z)?$/.exec(text) ?? []
  const [, year, month, day, separator, hours, minutes, seconds, ms] = match
  const days = year === undefined ? null : daysOf(Number(year), Number(month), Number(day))
  const ofDay =
    hours === undefined
      ? null
      : ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + Number(ms)
  if (days !== null && ofDay !== null && separator === 'T')
    return { schema: timestamp(), value: new Instant(days * 86_400_000 + ofDay) }
  if (separator !== '') return undefined
  if (days !== null && ofDay === null) return { schema: date(), value: Instant.ofDays(days) }
  if (days === null && ofDay !== null) return { schema: time(), value: new Instant(ofDay) }
  return undefined
}

const integerTypes: readonly (readonly [PrimitiveType, number])[] = [
  ['INT8', 8],
  ['INT16', 16],
  ['INT32', 32],
]

/** Digits beyond which a text is no number that anybody sent. */
const digitsMax = 1000

function numberOf(text: string): SchemaAndValue | undefined {
  // Before anything else a sign or a digit: `.5` is a text.
  if (text.length > digitsMax || !/^[+-]?\d+\.?\d*([eE][+-]?\d{1,3})?$/.test(text)) return undefined
  const decimal = Decimal.parse(text)
  const whole = decimal.whole()
  const exact = { schema: decimalOf(decimal.scale), value: decimal }
  const integer = whole === null ? undefined : integerOf(whole)
  if (integer !== undefined) return integer
  // With more digits than an INT64 has; 1e40 has one.
  if (whole !== null && String(decimal.unscaled).length > 18) return exact
  const value = Number(text)
  const narrow = Math.fround(value)
  if (Number.isFinite(narrow)) return { schema: primitive('FLOAT32'), value: narrow }
  if (Number.isFinite(value)) return { schema: primitive('FLOAT64'), value }
  return exact
}

/** Undefined: no integer has so many bits. */
function integerOf(value: bigint): SchemaAndValue | undefined {
  for (const [type, bits] of integerTypes)
    if (BigInt.asIntN(bits, value) === value)
      return { schema: primitive(type), value: Number(value) }
  if (BigInt.asIntN(64, value) === value) return { schema: primitive('INT64'), value }
  return undefined
}

/** Reads lists and maps. Throws DataException where the text is none. */
class TextReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): SchemaAndValue {
    const value = this.#value(0)
    this.#skipBlanks()
    if (this.#at < this.#text.length) throw new DataException('There is more behind the value')
    return value
  }

  #value(depth: number): SchemaAndValue {
    if (depth > depthMax) throw new DataException('The value is nested too deeply')
    this.#skipBlanks()
    if (this.#has('[')) return this.#list(depth)
    if (this.#has('{')) return this.#map(depth)
    if (this.#text[this.#at] === '"') return this.#quoted()
    const text = this.#match(/\s*[\d-]+T?\d\d:\d\d:\d\d\.\d{3}Z|[^,:[\]{}"]+/y)
    const found = scalarOf(trimmed(text))
    if (found === undefined) throw new DataException('A text is not quoted')
    return found
  }

  #list(depth: number): SchemaAndValue {
    const members: SchemaAndValue[] = []
    while (!this.#has(']')) {
      members.push(this.#value(depth + 1))
      if (!this.#has(',') && !this.#isNext(']')) throw new DataException('A list does not end')
    }
    const { schema, values } = merged(members)
    return { schema: schema === null ? null : arrayOf(schema), value: values }
  }

  #map(depth: number): SchemaAndValue {
    const keys: SchemaAndValue[] = []
    const members: SchemaAndValue[] = []
    while (!this.#has('}')) {
      keys.push(this.#value(depth + 1))
      if (!this.#has(':')) throw new DataException('A key has no value')
      members.push(this.#value(depth + 1))
      if (!this.#has(',') && !this.#isNext('}')) throw new DataException('A map does not end')
    }
    const [ofKeys, ofValues] = [merged(keys), merged(members)]
    if (ofKeys.schema === null || ofValues.schema === null)
      return {
        schema: null,
        value: new Map(keys.map((key, at) => [plain(key), plain(members[at]!)])),
      }
    const value = new Map(ofKeys.values.map((key, at) => [key, ofValues.values[at]]))
    return { schema: mapOf(ofKeys.schema, ofValues.schema), value }
  }

  #quoted(): SchemaAndValue {
    const end = stringEnd(this.#text, this.#at)
    try {
      const text = JSON.parse(this.#text.slice(this.#at, end)) as string
      this.#at = end
      return temporalOf(text) ?? { schema: primitive('STRING'), value: text }
    } catch (cause) {
      throw new DataException('A text is malformed', { cause })
    }
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [found] = pattern.exec(this.#text) ?? []
    if (found === undefined) throw new DataException('A value is missing')
    this.#at += found.length
    return found
  }

  /** Whether this comes next, after blanks; it is passed over then. */
  #has(character: string): boolean {
    if (!this.#isNext(character)) return false
    this.#at++
    return true
  }

  #isNext(character: string): boolean {
    this.#skipBlanks()
    return this.#text[this.#at] === character
  }

  #skipBlanks(): void {
    while (this.#text.charCodeAt(this.#at) <= 32) this.#at++
  }
}

const numberOrder: readonly string[] = ['INT8', 'INT16', 'INT32', 'INT64', 'FLOAT32', 'FLOAT64']

/** Members of one type have it together, as have numbers; others have no schema. */
function merged(members: readonly SchemaAndValue[]): { schema: Schema | null; values: unknown[] } {
  const schemas = members.flatMap(({ schema }) => schema ?? [])
  const [first] = schemas
  const hasNull = members.some(({ value }) => value === null)
  const isComplete = members.every(({ schema, value }) => schema !== null || value === null)
  const ranks = schemas.map(({ type, name }) => (name === null ? numberOrder.indexOf(type) : -1))
  if (isComplete && first !== undefined && ranks.every((rank) => rank >= 0)) {
    const type = numberOrder[Math.max(...ranks)] as PrimitiveType
    const schema = primitive(type, { optional: hasNull })
    return { schema, values: members.map(({ value }) => widened(type, value)) }
  }
  const isUniform =
    isComplete && first !== undefined && schemas.every((each) => equalSchemas(first, each))
  if (!isUniform || (hasNull && first.type !== 'STRING'))
    return { schema: null, values: members.map(plain) }
  const values = members.map(({ value }) => value)
  return { schema: hasNull ? primitive('STRING', { optional: true }) : first, values }
}

function widened(type: PrimitiveType, value: unknown): unknown {
  if (value === null) return null
  return type === 'INT64' ? BigInt(value as number) : Number(value)
}

/** As data without a schema: integers have 64 bits, and a float is what its text says. */
function plain({ schema, value }: SchemaAndValue): unknown {
  const [ofKeys, ofValues] = [schema?.keySchema ?? null, schema?.valueSchema ?? null]
  if (Array.isArray(value)) return value.map((member) => plain({ schema: ofValues, value: member }))
  if (value instanceof Map)
    return new Map(
      Array.from(value, ([key, member]) => [
        plain({ schema: ofKeys, value: key }),
        plain({ schema: ofValues, value: member }),
      ]),
    )
  if (typeof value !== 'number' || schema === null) return value
  if (schema.type === 'FLOAT32') return Number(float32Text(value))
  return schema.type.startsWith('INT') ? BigInt(value) : value
}
