/**
 * JSON with nothing rounded: integers beyond 2^53 become bigints, and numbers that a double cannot give back digit for
 * digit are kept as their text. Where no number is long enough for that, it is `JSON.parse`.
 */

import { stringEnd } from './json-string.ts'

/** A number that no double holds, as it was written. */
export class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | NumberText
  | Json[]
  | { [name: string]: Json }

/** Values within values: more is no data. */
const depthMax = 200
/** The least number of which a double has all digits. */
const normalLeast = 2 ** -1022
/** A number of fewer characters is what a double gives back. */
const mayBeLong = /[\d.]{16}|\d[eE]/

/** Throws SyntaxError. */
export function parseJson(text: string): Json {
  if (!mayBeLong.test(text)) return JSON.parse(text) as Json
  return new Parser(text).whole()
}

/** As `parseJson`, but an object that has a name twice is a SyntaxError too, where `JSON.parse` drops the first value. */
export function parseDistinctJson(text: string): Json {
  if (!mayBeLong.test(text)) {
    const value = JSON.parse(text) as Json
    if (namesIn(value) === namesMarked(text)) return value
  }
  return new Parser(text, true).whole()
}

/** Names that objects have, in all. */
function namesIn(value: Json): number {
  let sum = 0
  const left = [value]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (typeof next !== 'object' || next === null) continue
    const values = Object.values(next)
    if (!Array.isArray(next)) sum += values.length
    for (const one of values) if (typeof one === 'object') left.push(one)
  }
  return sum
}

/** Colons behind a quote: one for every name, and few others, which are within texts. */
function namesMarked(text: string): number {
  let sum = 0
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) {
    let before = at - 1
    while (before > 0 && text.charCodeAt(before) <= 0x20) before--
    if (text[before] === '"') sum++
  }
  return sum
}

const space = /[ \t\n\r]*/y
const number = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const word = /true|false|null/y

class Parser {
  readonly #text: string
  /** True where an object may not have a name twice. */
  readonly #isDistinct: boolean
  #at = 0
  #depth = 0

  constructor(text: string, isDistinct = false) {
    this.#text = text
    this.#isDistinct = isDistinct
  }

  whole(): Json {
    const value = this.#value()
    this.#take(space)
    if (this.#at < this.#text.length) throw this.#unexpected()
    return value
  }

  #value(): Json {
    this.#take(space)
    switch (this.#text[this.#at]) {
      case '{':
        return this.#within(() => this.#object())
      case '[':
        return this.#within(() => this.#array())
      case '"':
        return this.#string()
      default: {
        const literal = this.#take(word)
        if (literal !== null) return JSON.parse(literal) as Json
        const digits = this.#take(number)
        if (digits === null || digits === '') throw this.#unexpected()
        return exactNumber(digits)
      }
    }
  }

  #within<Result>(read: () => Result): Result {
    if (++this.#depth > depthMax) throw new SyntaxError(`more than ${depthMax} values in another`)
    this.#at++
    const result = read()
    this.#depth--
    return result
  }

  #object(): Json {
    const entries: [string, Json][] = []
    if (this.#ends('}')) return {}
    do {
      this.#take(space)
      const name = this.#string()
      this.#take(space)
      if (this.#text[this.#at++] !== ':') throw this.#unexpected()
      entries.push([name, this.#value()])
    } while (this.#goesOn('}'))
    // Not by assignment: a field may be named __proto__.
    const object = Object.fromEntries(entries)
    if (this.#isDistinct && Object.keys(object).length < entries.length) {
      const names = entries.map(([name]) => name)
      const twice = names.find((name, i) => names.indexOf(name) !== i)
      throw new SyntaxError(`two values for ${twice}`)
    }
    return object
  }

  #array(): Json {
    const values: Json[] = []
    if (this.#ends(']')) return values
    do values.push(this.#value())
    while (this.#goesOn(']'))
    return values
  }

  #ends(close: string): boolean {
    this.#take(space)
    if (this.#text[this.#at] !== close) return false
    this.#at++
    return true
  }

  #goesOn(close: string): boolean {
    if (this.#ends(close)) return false
    if (this.#text[this.#at++] !== ',') throw this.#unexpected()
    return true
  }

  #string(): string {
    if (this.#text[this.#at] !== '"') throw this.#unexpected()
    const end = stringEnd(this.#text, this.#at)
    const value = JSON.parse(this.#text.slice(this.#at, end)) as string
    this.#at = end
    return value
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) return null
    this.#at += found[0].length
    return found[0]
  }

  #unexpected(): SyntaxError {
    return new SyntaxError(`not JSON at character ${this.#at}`)
  }
}

function exactNumber(text: string): number | bigint | NumberText {
  const value = Number(text)
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(value) ? value : BigInt(text)
  const digits = text
    .replace(/[eE].*$/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+/, '')
  const isHeld = digits === '' || (Math.abs(value) >= normalLeast && Number.isFinite(value))
  return digits.length <= 15 && isHeld ? value : new NumberText(text)
}

/** The text that `parseJson` reads back as the same value. */
export function jsonText(value: Json | undefined): string {
  if (value instanceof NumberText) return value.text
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const parts = Object.entries(value).map(
      ([name, one]) => `${JSON.stringify(name)}:${jsonText(one)}`,
    )
    return `{${parts.join(',')}}`
  }
  return JSON.stringify(value ?? null)
}
