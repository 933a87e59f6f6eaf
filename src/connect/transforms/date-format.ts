/**
 * Times as texts by a pattern of Java's `SimpleDateFormat`, in UTC and in English: `yyyy-MM-dd'T'HH:mm`.
 * As there, a field that follows another without anything between has exactly its pattern's digits, what
 * follows the pattern is ignored, and a month 13 is January of the next year.
 */

import { civilOf, daysOf } from '../../tables/columns/calendar.ts'
import { DataException } from '../failures.ts'
import { Instant } from '../logical.ts'

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const dayMs = 86_400_000

type Token = { readonly letter: string; readonly count: number } | { readonly literal: string }

interface Civil {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly weekday: number
  readonly dayOfYear: number
  readonly ofDayMs: number
}

const numeric = 'yMdHkKhmsSDu'
const known = `${numeric}aEzZX`

export class DateFormat {
  readonly #tokens: readonly Token[]
  readonly #matcher: RegExp
  readonly pattern: string

  /** Throws Error where it is no pattern, or one with letters that are not supported. */
  constructor(pattern: string) {
    this.pattern = pattern
    this.#tokens = tokensOf(pattern)
    this.#matcher = matcherOf(this.#tokens)
  }

  format({ epochMs }: Instant): string {
    const days = Math.floor(epochMs / dayMs)
    const date = civilOf(days)
    const civil: Civil = {
      ...date,
      weekday: (((days + 4) % 7) + 7) % 7,
      dayOfYear: days - daysOf(date.year, 1, 1) + 1,
      ofDayMs: epochMs - days * dayMs,
    }
    return this.#tokens
      .map((token) =>
        'literal' in token ? token.literal : shown(token.letter, token.count, civil),
      )
      .join('')
  }

  /** Throws DataException where the text does not begin as the pattern. */
  parse(text: string): Instant {
    const match = this.#matcher.exec(text)
    if (match === null)
      throw new DataException(
        `Could not parse timestamp: value (${text}) does not match pattern (${this.pattern})`,
      )
    const fields = new Map<string, number>()
    let at = 1
    for (const token of this.#tokens)
      if (!('literal' in token)) fields.set(token.letter, read(token.letter, match[at++]!))
    return instantOf(fields)
  }
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < pattern.length; ) {
    const letter = pattern[at]!
    if (letter === "'") {
      const end = quoteEnd(pattern, at)
      const quoted = pattern.slice(at + 1, end).replaceAll("''", "'")
      tokens.push({ literal: quoted === '' ? "'" : quoted })
      at = end + 1
    } else if (/[A-Za-z]/.test(letter)) {
      let end = at
      while (pattern[end] === letter) end++
      if (!known.includes(letter)) throw new Error(`Illegal pattern character '${letter}'`)
      tokens.push({ letter, count: end - at })
      at = end
    } else {
      tokens.push({ literal: letter })
      at++
    }
  }
  return tokens
}

/** Two quotes are one within quotes. */
function quoteEnd(pattern: string, start: number): number {
  for (let at = start + 1; at < pattern.length; at++) {
    if (pattern[at] !== "'") continue
    if (pattern[at + 1] !== "'" || at === start + 1) return at
    at++
  }
  throw new Error('Unterminated quote')
}

function shown(letter: string, count: number, civil: Civil): string {
  const padded = (value: number) => String(value).padStart(count, '0')
  const hours = Math.floor(civil.ofDayMs / 3_600_000)
  switch (letter) {
    case 'y':
      return count === 2 ? String(civil.year % 100).padStart(2, '0') : padded(civil.year)
    case 'M':
      if (count < 3) return padded(civil.month)
      return count === 3 ? months[civil.month - 1]!.slice(0, 3) : months[civil.month - 1]!
    case 'E':
      return count < 4 ? weekdays[civil.weekday]!.slice(0, 3) : weekdays[civil.weekday]!
    case 'd':
      return padded(civil.day)
    case 'D':
      return padded(civil.dayOfYear)
    case 'u':
      return padded(civil.weekday === 0 ? 7 : civil.weekday)
    case 'a':
      return hours < 12 ? 'AM' : 'PM'
    case 'z':
      return 'UTC'
    case 'Z':
      return '+0000'
    case 'X':
      return 'Z'
    default:
      return padded(clockPart(letter, hours, civil.ofDayMs))
  }
}

function clockPart(letter: string, hours: number, ofDayMs: number): number {
  if (letter === 'H') return hours
  if (letter === 'k') return hours === 0 ? 24 : hours
  if (letter === 'K') return hours % 12
  if (letter === 'h') return hours % 12 === 0 ? 12 : hours % 12
  if (letter === 'm') return Math.floor(ofDayMs / 60_000) % 60
  return letter === 's' ? Math.floor(ofDayMs / 1000) % 60 : ofDayMs % 1000
}

function matcherOf(tokens: readonly Token[]): RegExp {
  const parts = tokens.map((token, index) => {
    if ('literal' in token) return token.literal.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
    const { letter, count } = token
    if (letter === 'M' && count > 2) return `(${alternatives(months)})`
    if (letter === 'E') return `(${alternatives(weekdays)})`
    if (letter === 'a') return '(AM|PM)'
    if (!numeric.includes(letter)) return '(UTC|GMT|Z|[+-]\\d\\d(?::?\\d\\d)?)'
    const next = tokens[index + 1]
    const isAdjacent = next !== undefined && !('literal' in next) && isNumber(next)
    return isAdjacent ? `(\\d{${count}})` : '(\\d{1,9})'
  })
  return new RegExp(`^\\s*${parts.join('')}`, 'i')
}

function isNumber({ letter, count }: { letter: string; count: number }): boolean {
  return numeric.includes(letter) && !(letter === 'M' && count > 2)
}

function alternatives(names: readonly string[]): string {
  return [...names, ...names.map((name) => name.slice(0, 3))].join('|')
}

function read(letter: string, text: string): number {
  if (/^\d+$/.test(text)) {
    // Two digits are of this century, or of the last one from its middle on.
    if (letter === 'y' && text.length === 2) return Number(text) + (Number(text) < 50 ? 2000 : 1900)
    return Number(text)
  }
  const named = text.slice(0, 3).toLowerCase()
  const among = (names: readonly string[]) =>
    names.findIndex((name) => name.slice(0, 3).toLowerCase() === named)
  if (letter === 'M') return among(months) + 1
  if (letter === 'E') return among(weekdays)
  if (letter === 'a') return named === 'pm' ? 12 : 0
  const zone = /^([+-])(\d\d):?(\d\d)?$/.exec(text)
  if (zone === null) return 0
  return (zone[1] === '-' ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3] ?? 0))
}

function instantOf(fields: ReadonlyMap<string, number>): Instant {
  const get = (letter: string, otherwise: number) => fields.get(letter) ?? otherwise
  const year = get('y', 1970)
  const days = fields.has('D')
    ? daysOf(year, 1, get('D', 1))
    : daysOf(year, get('M', 1), get('d', 1))
  const half = fields.has('h') ? get('h', 0) % 12 : get('K', 0)
  const hours = fields.has('k') ? get('k', 0) % 24 : (fields.get('H') ?? half + get('a', 0))
  const minutes = hours * 60 + get('m', 0) - get('Z', get('z', get('X', 0)))
  return new Instant(days * dayMs + (minutes * 60 + get('s', 0)) * 1000 + get('S', 0))
}
