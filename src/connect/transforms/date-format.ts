/**
 * Times as texts by a pattern of Java's `SimpleDateFormat`, in UTC and in English: `yyyy-MM-dd'T'HH:mm`.
 * As there, a field that follows another without anything between has exactly its pattern's digits, what
 * follows the pattern is ignored, and a month 13 is January of the next year. Weeks begin on Sunday, the first one is that
 * of January 1st. Other than there, dates before 1582 are of the Gregorian calendar, too.
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

const numeric = 'yMLdHkKhmsSDu'
/** Of weeks, which are shown only. */
const ofWeeks = 'YwWF'
const known = `${numeric}${ofWeeks}GaEzZX`

export class DateFormat {
  readonly #tokens: readonly Token[]
  /** Null: there are fields that cannot be read. */
  readonly #matcher: RegExp | null
  readonly pattern: string

  /** Throws Error where it is no pattern, or one with letters that are not supported. */
  constructor(pattern: string) {
    this.pattern = pattern
    this.#tokens = tokensOf(pattern)
    const isReadable = this.#tokens.every(
      (token) => 'literal' in token || !ofWeeks.includes(token.letter),
    )
    this.#matcher = isReadable ? matcherOf(this.#tokens) : null
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
    if (this.#matcher === null)
      throw new DataException(`Weeks in timestamps cannot be read: pattern (${this.pattern})`)
    const match = this.#matcher.exec(text)
    if (match === null)
      throw new DataException(
        `Could not parse timestamp: value (${text}) does not match pattern (${this.pattern})`,
      )
    const fields = new Map<string, number>()
    let at = 1
    for (const token of this.#tokens)
      if (!('literal' in token)) fields.set(token.letter, read(token, match[at++]!))
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
      if (letter === 'X' && end - at > 3)
        throw new Error(`invalid ISO 8601 format: length=${end - at}`)
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
      return count === 2 ? lastTwo(civil.year) : padded(civil.year)
    case 'Y':
      return count === 2 ? lastTwo(weekOf(civil).year) : padded(weekOf(civil).year)
    case 'w':
      return padded(weekOf(civil).week)
    case 'W':
      return padded(Math.ceil((civil.day + weekdayBefore(civil, civil.day)) / 7))
    case 'F':
      return padded(Math.ceil(civil.day / 7))
    case 'G':
      return civil.year > 0 ? 'AD' : 'BC'
    case 'M':
    case 'L':
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
      return count < 4 ? 'UTC' : 'Coordinated Universal Time'
    case 'Z':
      return '+0000'
    case 'X':
      return 'Z'
    default:
      return padded(clockPart(letter, hours, civil.ofDayMs))
  }
}

const lastTwo = (year: number) => String(year % 100).padStart(2, '0')

/** The day of the week, from 0 for Sunday, so many days less one before. */
const weekdayBefore = ({ weekday }: Civil, days: number) => (((weekday - days + 1) % 7) + 7) % 7

/** The days at the end of a year whose week has January 1st are of the next year's first week. */
function weekOf(civil: Civil): { year: number; week: number } {
  const isLastWeek = civil.month === 12 && civil.day + 6 - civil.weekday > 31
  if (isLastWeek) return { year: civil.year + 1, week: 1 }
  const first = weekdayBefore(civil, civil.dayOfYear)
  return { year: civil.year, week: Math.ceil((civil.dayOfYear + first) / 7) }
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
    const blanks = '[ \\t]*'
    if (isMonth(letter) && count > 2) return `${blanks}(${alternatives(months)})`
    if (letter === 'E') return `${blanks}(${alternatives(weekdays)})`
    if (letter === 'a') return `${blanks}(AM|PM)`
    if (letter === 'G') return `${blanks}(AD|BC)`
    if (!numeric.includes(letter)) return `${blanks}${zones(letter, count)}`
    const next = tokens[index + 1]
    const isAdjacent = next !== undefined && !('literal' in next) && isNumber(next)
    return isAdjacent ? `${blanks}(\\d{${count}})` : `${blanks}(\\d{1,15})`
  })
  return new RegExp(`^\\s*${parts.join('')}`, 'i')
}

function isNumber({ letter, count }: { letter: string; count: number }): boolean {
  return numeric.includes(letter) && !(isMonth(letter) && count > 2)
}

const isMonth = (letter: string) => letter === 'M' || letter === 'L'

/** What may stand for a zone: of the names those of UTC alone. */
function zones(letter: string, count: number): string {
  if (letter === 'X') return `(Z|[+-]\\d\\d${['', '\\d\\d', ':\\d\\d'][count - 1]})`
  return '(GMT[+-]\\d?\\d:\\d\\d|UTC|GMT|[+-]\\d\\d\\d\\d)'
}

function alternatives(names: readonly string[]): string {
  return [...names, ...names.map((name) => name.slice(0, 3))].join('|')
}

function read({ letter, count }: { letter: string; count: number }, text: string): number {
  if (/^\d+$/.test(text)) {
    // Two digits are of this century, or of the last one from its middle on.
    if (letter === 'y' && count < 3 && text.length === 2)
      return Number(text) + (Number(text) < 50 ? 2000 : 1900)
    return Number(text)
  }
  const named = text.slice(0, 3).toLowerCase()
  const among = (names: readonly string[]) =>
    names.findIndex((name) => name.slice(0, 3).toLowerCase() === named)
  if (isMonth(letter)) return among(months) + 1
  if (letter === 'G') return named === 'bc' ? 1 : 0
  if (letter === 'E') return among(weekdays)
  if (letter === 'a') return named === 'pm' ? 12 : 0
  const zone = /^(?:GMT)?([+-])(\d?\d):?(\d\d)?$/i.exec(text)
  if (zone === null) return 0
  return (zone[1] === '-' ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3] ?? 0))
}

function instantOf(fields: ReadonlyMap<string, number>): Instant {
  const get = (letter: string, otherwise: number) => fields.get(letter) ?? otherwise
  const given = get('y', fields.has('G') ? 1 : 1970)
  const year = get('G', 0) === 1 ? 1 - given : given
  const days = fields.has('D')
    ? daysOf(year, 1, get('D', 1))
    : daysOf(year, fields.get('M') ?? get('L', 1), get('d', 1))
  const half = fields.has('h') ? zeroAt(12, get('h', 0)) : get('K', 0)
  const whole = fields.has('k') ? zeroAt(24, get('k', 0)) : fields.get('H')
  const hours = whole ?? half + get('a', 0)
  const minutes = hours * 60 + get('m', 0) - get('Z', get('z', get('X', 0)))
  return new Instant(days * dayMs + (minutes * 60 + get('s', 0)) * 1000 + get('S', 0))
}

const zeroAt = (hour: number, given: number) => (given === hour ? 0 : given)
