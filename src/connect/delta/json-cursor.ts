/**
 * JSON read byte by byte where its values are known to have columns, with nothing made on the way. It takes what is
 * plain and common and gives up at all else, errors included, which whoever reads it in full then sees.
 */
import type { BytesBuilder } from '../../tables/columns/leaf-builders.ts'

const quote = 0x22
const backslash = 0x5c
const minus = 0x2d
const point = 0x2e
const zero = 0x30
const nine = 0x39
/** A double holds as many decimal digits, whatever they are. */
const exactDigits = 15
/** Numbers that are longer are refused by who reads them in full. */
const numberBytesMax = 1000
/** Powers of ten that a double holds exactly: a quotient by one is rounded once, and so rightly. */
const powersOfTen = Array.from({ length: 23 }, (_, power) => 10 ** power)

export class JsonCursor {
  bytes: Uint8Array = new Uint8Array(0)
  at = 0
  end = 0

  /** The bytes are UTF-8. */
  begin(bytes: Uint8Array): void {
    this.bytes = bytes
    this.at = 0
    this.end = bytes.length
  }

  skipSpace(): void {
    for (; this.at < this.end; this.at++) {
      const byte = this.bytes[this.at]!
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
    }
  }

  /** Whether this comes next, behind white space; it is passed over then. */
  takes(character: number): boolean {
    if (this.bytes[this.at] !== character) {
      this.skipSpace()
      if (this.bytes[this.at] !== character) return false
    }
    this.at++
    return true
  }

  takesWord(word: Uint8Array): boolean {
    for (let i = 0; i < word.length; i++) if (this.bytes[this.at + i] !== word[i]) return false
    this.at += word.length
    return true
  }

  /** A string as a row of a column; false where there is none, or one that has no bytes. */
  stringTo(column: BytesBuilder): boolean {
    const { bytes, end } = this
    if (bytes[this.at] !== quote) return false
    const start = this.at + 1
    let at = start
    while (at < end) {
      const byte = bytes[at]!
      if (byte === quote) {
        column.appendSlice(bytes, start, at)
        this.at = at + 1
        return true
      }
      if (byte === backslash || byte < 0x20) break
      at++
    }
    return at < end && bytes[at] === backslash && this.#escapedTo(column, start)
  }

  #escapedTo(column: BytesBuilder, start: number): boolean {
    const text = this.#escaped(start)
    if (text === null || /\p{Surrogate}/u.test(text)) return false
    column.append(text)
    return true
  }

  /** A string with escapes in it; null: it is malformed. */
  #escaped(start: number): string | null {
    const { bytes, end } = this
    let at = start
    while (at < end && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1
    if (at >= end) return null
    this.at = at + 1
    try {
      return JSON.parse(this.#text(start - 1, at + 1)) as string
    } catch (error) {
      if (error instanceof SyntaxError) return null
      throw error
    }
  }

  /** A string without escapes; null: there is none. */
  plainString(): string | null {
    const { bytes, end } = this
    if (bytes[this.at] !== quote) return null
    const start = this.at + 1
    let at = start
    while (at < end && bytes[at] !== quote && bytes[at] !== backslash && bytes[at]! >= 0x20) at++
    if (at >= end || bytes[at] !== quote) return null
    this.at = at + 1
    return this.#text(start, at)
  }

  #text(start: number, end: number): string {
    const { buffer, byteOffset } = this.bytes
    return Buffer.from(buffer, byteOffset + start, end - start).toString()
  }

  /** An integer without a fraction or an exponent; undefined: there is none, or one beyond 64 bits. */
  integer(): number | bigint | undefined {
    const start = this.at
    const isNegative = this.bytes[start] === minus
    if (isNegative) this.at++
    const first = this.at
    const value = this.#digits()
    const count = this.at - first
    if (!this.#endsNumber() || !isWhole(this.bytes, first, count)) return undefined
    // Not -0, which is no integer's.
    if (count <= exactDigits) return isNegative ? 0 - value : value
    if (count > 19) return undefined
    const exact = BigInt(this.#text(start, this.at))
    return BigInt.asIntN(64, exact) === exact ? exact : undefined
  }

  /** Any number that a double holds, or that it is rounded to where it has a fraction or an exponent. */
  double(): number | undefined {
    const start = this.at
    const isNegative = this.bytes[start] === minus
    if (isNegative) this.at++
    const first = this.at
    let value = this.#digits()
    const whole = this.at - first
    if (!isWhole(this.bytes, first, whole)) return undefined
    let fraction = 0
    if (this.bytes[this.at] === point) {
      const from = ++this.at
      value = this.#digits(value)
      fraction = this.at - from
      if (fraction === 0) return undefined
    }
    if (this.#endsNumber()) {
      if (whole + fraction <= exactDigits) {
        if (fraction === 0) return isNegative ? 0 - value : value
        const quotient = value / powersOfTen[fraction]!
        return isNegative ? -quotient : quotient
      }
      if (fraction === 0) return undefined
    } else if (!this.#takesExponent()) return undefined
    if (this.at - start > numberBytesMax) return undefined
    const rounded = Number(this.#text(start, this.at))
    return Number.isFinite(rounded) ? rounded : undefined
  }

  /** What the digits that come make of `value`, which is right as long as there are few of them. */
  #digits(value = 0): number {
    const { bytes, end } = this
    let at = this.at
    let sum = value
    for (; at < end; at++) {
      const byte = bytes[at]!
      if (byte < zero || byte > nine) break
      sum = sum * 10 + (byte - zero)
    }
    this.at = at
    return sum
  }

  #takesExponent(): boolean {
    const { bytes } = this
    if ((bytes[this.at]! | 0x20) !== 0x65) return false
    this.at++
    if (bytes[this.at] === minus || bytes[this.at] === 0x2b) this.at++
    const from = this.at
    this.#digits()
    return this.at > from && this.#endsNumber()
  }

  /** Neither a fraction nor an exponent follows. */
  #endsNumber(): boolean {
    const byte = this.bytes[this.at]!
    return byte !== point && (byte | 0x20) !== 0x65
  }
}

/** Digits of which the first is no zero before others. */
function isWhole(bytes: Uint8Array, first: number, count: number): boolean {
  return count === 1 || (count > 1 && bytes[first] !== zero)
}
