/**
 * JSON as data: reads and writes text without losing a digit. `JSON.parse` makes one kind of number of
 * 1, 1.0 and 9007199254740993; here integers are bigints, and a number with a fraction or an exponent
 * keeps its text until somebody knows what type it is to have.
 */
import { stringEnd } from '../tables/columns/json-string.ts'
import { DataException } from './failures.ts'
import { float32Text, float64Text } from './float-text.ts'

/** A number with a fraction or an exponent, as it was written. */
export class Fraction {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Json = null | boolean | string | bigint | Fraction | Json[] | JsonObject
export type JsonObject = Map<string, Json>

/** As deep as Kafka's own reader goes. */
const depthMax = 1000
/** Digits of a number; a longer one takes time that grows with its square. */
const digitsMax = 1000

/** Throws DataException, which says where, unless the text is one JSON value. */
export function parseJson(text: string): Json {
  const reader = new Reader(text)
  const value = reader.value(0)
  reader.end()
  return value
}

/** Zeros may lead, as Kafka's own reader lets them. */
const number = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y
const space = /[ \t\n\r]*/y
const words = new Map<string, readonly [string, Json]>([
  ['t', ['true', true]],
  ['f', ['false', false]],
  ['n', ['null', null]],
])

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  end(): void {
    this.#skipSpace()
    if (this.#at < this.#text.length) throw this.#unexpected('the end')
  }

  value(depth: number): Json {
    if (depth > depthMax)
      throw new DataException(`JSON is nested deeper than the maximum allowed (${depthMax})`)
    this.#skipSpace()
    const first = this.#text[this.#at]
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return this.#string()
    const word = words.get(first ?? '')
    if (word === undefined) return this.#number()
    if (!this.#text.startsWith(word[0], this.#at)) throw this.#unexpected('a value')
    this.#at += word[0].length
    return word[1]
  }

  #object(depth: number): JsonObject {
    const object: JsonObject = new Map()
    this.#at++
    if (this.#has('}')) return object
    do {
      this.#skipSpace()
      const name = this.#string()
      if (!this.#has(':')) throw this.#unexpected('a colon')
      object.set(name, this.value(depth + 1))
    } while (this.#has(','))
    if (!this.#has('}')) throw this.#unexpected('a comma or the end of an object')
    return object
  }

  #array(depth: number): Json[] {
    const array: Json[] = []
    this.#at++
    if (this.#has(']')) return array
    do array.push(this.value(depth + 1))
    while (this.#has(','))
    if (!this.#has(']')) throw this.#unexpected('a comma or the end of an array')
    return array
  }

  #string(): string {
    if (this.#text[this.#at] !== '"') throw this.#unexpected('a string')
    const end = stringEnd(this.#text, this.#at)
    try {
      const value = JSON.parse(this.#text.slice(this.#at, end)) as string
      this.#at = end
      return value
    } catch (cause) {
      throw new DataException(`JSON has a malformed string at position ${this.#at}`, { cause })
    }
  }

  #number(): Json {
    const match = this.#match(number)
    if (match === null) throw this.#unexpected('a value')
    const [text, fraction, exponent] = match
    if (text.length > digitsMax)
      throw new DataException(`JSON has a number of more than ${digitsMax} digits`)
    return fraction === undefined && exponent === undefined ? BigInt(text) : new Fraction(text)
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match !== null) this.#at = pattern.lastIndex
    return match
  }

  /** Whether this comes next, after white space; it is passed over then. */
  #has(character: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #skipSpace(): void {
    space.lastIndex = this.#at
    space.exec(this.#text)
    this.#at = space.lastIndex
  }

  #unexpected(expected: string): DataException {
    const character = this.#text[this.#at]
    const found = character === undefined ? 'the end' : quoted(character)
    return new DataException(`JSON has ${found} at position ${this.#at} in place of ${expected}`)
  }
}

/** In the order in which the objects' names were set, without white space. */
export function writeJson(value: Json): string {
  if (value instanceof Fraction) return value.text
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(writeJson).join(',')}]`
  if (typeof value === 'string') return stringJson(value)
  if (!(value instanceof Map)) return String(value)
  const members = Array.from(value, ([name, member]) => `${stringJson(name)}:${writeJson(member)}`)
  return `{${members.join(',')}}`
}

/** As Kafka's own writer has them, for the bytes of keys decide on partitions: those beyond 16 bits as two escapes. */
function stringJson(text: string): string {
  const written = JSON.stringify(text)
  return /[\ud800-\udfff]|\\u/.test(written)
    ? written.replace(/\\u([0-9a-f]{4})|\\.|[\ud800-\udfff]/g, (found, digits?: string) => {
        if (digits !== undefined) return `\\u${digits.toUpperCase()}`
        return found.startsWith('\\') ? found : `\\u${hex4(found)}`
      })
    : written
}

const hex4 = (character: string) =>
  character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')

/** Always with a fraction or an exponent, so that a reader takes it for no integer. */
export function floatJson(value: number): Json {
  // As Kafka's own writer has it: JSON knows no such numbers.
  return Number.isFinite(value) ? new Fraction(float64Text(value)) : String(value)
}

export function float32Json(value: number): Json {
  return Number.isFinite(value) ? new Fraction(float32Text(value)) : String(value)
}

/** A terminal may do as a control character says. */
function quoted(character: string): string {
  if (/\P{C}/u.test(character)) return `'${character}'`
  return `U+${hex4(character)}`
}
