/**
 * The syntax of regular expressions as Kafka's brokers understand them (RE2's): what JavaScript's has, but
 * for references back and looking around, and with `(?i)`, `\Q…\E`, `\A`, `\z`, `[[:alpha:]]` beside. Whether
 * a repetition is lazy makes no difference here: texts match as a whole, or do not.
 */
import type { CharacterTest, PatternNode, Place } from './pattern.ts'

/** The expression is not valid. */
export class PatternError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'PatternError'
  }
}

/** RE2's limits. */
const repeatMax = 1000
const depthMax = 1000

interface Flags {
  readonly ignoresCase: boolean
  /** `^` and `$` match at lines. */
  readonly isMultiline: boolean
  /** `.` matches line feeds. */
  readonly dotMatchesAll: boolean
}

const noFlags: Flags = { ignoresCase: false, isMultiline: false, dotMatchesAll: false }

/** Throws PatternError. */
export function parsePattern(text: string): PatternNode {
  return new PatternParser(text).parse()
}

class PatternParser {
  readonly #characters: readonly string[]
  #at = 0
  #flags = noFlags
  #depth = 0

  constructor(text: string) {
    this.#characters = [...text]
  }

  parse(): PatternNode {
    const node = this.#alternatives()
    if (this.#peek() !== undefined) throw new PatternError('missing closing )')
    return node
  }

  #peek(): string | undefined {
    return this.#characters[this.#at]
  }

  #next(): string {
    const character = this.#characters[this.#at++]
    if (character === undefined) throw new PatternError('unexpected end of expression')
    return character
  }

  /** Takes `text` if it comes next. */
  #takes(text: string): boolean {
    const end = this.#at + text.length
    if (this.#characters.slice(this.#at, end).join('') !== text) return false
    this.#at = end
    return true
  }

  /** Up to `end`, which is taken, too. */
  #upTo(end: string): string {
    const found = this.#characters.indexOf(end, this.#at)
    if (found < 0) throw new PatternError(`missing closing ${end}`)
    const text = this.#characters.slice(this.#at, found).join('')
    this.#at = found + 1
    return text
  }

  #alternatives(): PatternNode {
    if (++this.#depth > depthMax) throw new PatternError('expression nests too deeply')
    const outer = this.#flags
    const options = [this.#sequence()]
    while (this.#takes('|')) options.push(this.#sequence())
    this.#flags = outer
    this.#depth--
    return options.length === 1 ? (options[0] as PatternNode) : { kind: 'alternatives', options }
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = []
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; ) {
      if (this.#takes('\\Q')) parts.push(...this.#quoted())
      else parts.push(this.#repeated(this.#atom()))
      next = this.#peek()
    }
    return { kind: 'sequence', parts }
  }

  #quoted(): PatternNode[] {
    const parts: PatternNode[] = []
    while (this.#peek() !== undefined && !this.#takes('\\E'))
      parts.push(this.#literal(this.#next()))
    const last = parts.pop()
    return last === undefined ? [] : [...parts, this.#repeated(last)]
  }

  #repeated(node: PatternNode): PatternNode {
    let result = node
    for (;;) {
      const bounds = this.#bounds()
      if (bounds === null) return result
      if (result !== node) throw new PatternError('invalid nested repetition operator')
      this.#takes('?')
      result = { kind: 'repeat', node, ...bounds }
    }
  }

  #bounds(): { min: number; max: number } | null {
    if (this.#takes('*')) return { min: 0, max: Number.POSITIVE_INFINITY }
    if (this.#takes('+')) return { min: 1, max: Number.POSITIVE_INFINITY }
    if (this.#takes('?')) return { min: 0, max: 1 }
    if (this.#peek() !== '{') return null
    const rest = this.#characters.slice(this.#at, this.#at + 16).join('')
    const match = /^\{(\d+)(,?)(\d*)\}/.exec(rest)
    // Braces that say nothing of repetition stand for themselves.
    if (match === null) return null
    this.#at += match[0].length
    const min = Number(match[1])
    const open = match[2] === ',' ? Number.POSITIVE_INFINITY : min
    const max = match[3] === '' ? open : Number(match[3])
    const isBounded = max !== Number.POSITIVE_INFINITY
    if (min > repeatMax || (isBounded && max > repeatMax) || min > max) {
      throw new PatternError('invalid repeat count')
    }
    return { min, max }
  }

  #atom(): PatternNode {
    const character = this.#next()
    switch (character) {
      case '(':
        return this.#group()
      case '[':
        return this.#set(this.#class())
      case '.':
        return this.#set(this.#flags.dotMatchesAll ? () => true : (code) => code !== lineFeed)
      case '^':
        return { kind: 'place', place: this.#flags.isMultiline ? 'line start' : 'start' }
      case '$':
        return { kind: 'place', place: this.#flags.isMultiline ? 'line end' : 'end' }
      case '\\':
        return this.#escaped()
      case '*':
      case '+':
      case '?':
        throw new PatternError('missing argument to repetition operator')
      default:
        return this.#literal(character)
    }
  }

  #group(): PatternNode {
    const outer = this.#flags
    if (this.#takes('?')) {
      if (!this.#named() && !this.#flagged()) return { kind: 'sequence', parts: [] }
    }
    const node = this.#alternatives()
    if (!this.#takes(')')) throw new PatternError('missing closing )')
    this.#flags = outer
    return node
  }

  /** Takes `<name>` or `P<name>`. */
  #named(): boolean {
    const next = this.#peek()
    if (next !== '<' && next !== 'P') return false
    const end = this.#characters.indexOf('>', this.#at) + 1
    if (!/^P?<\w+>$/.test(this.#characters.slice(this.#at, end).join(''))) return false
    this.#at = end
    return true
  }

  /** `i-s:` for a group, or `i-s)` for the rest of the group around: false. */
  #flagged(): boolean {
    let isSet = true
    for (;;) {
      const character = this.#next()
      if (character === ':') return true
      if (character === ')') return false
      if (character === '-' && isSet) isSet = false
      else this.#flag(character, isSet)
    }
  }

  #flag(character: string, isSet: boolean): void {
    if (character === 'i') this.#flags = { ...this.#flags, ignoresCase: isSet }
    else if (character === 'm') this.#flags = { ...this.#flags, isMultiline: isSet }
    else if (character === 's') this.#flags = { ...this.#flags, dotMatchesAll: isSet }
    // Laziness makes no difference.
    else if (character !== 'U') throw new PatternError('invalid or unsupported Perl syntax')
  }

  #escaped(): PatternNode {
    const next = this.#peek()
    if (next === undefined) throw new PatternError('trailing backslash at end of expression')
    const place = places[next]
    if (place !== undefined) {
      this.#at++
      return { kind: 'place', place }
    }
    return this.#set(this.#escape())
  }

  /** What follows a backslash, inside a class or outside. */
  #escape(): CharacterTest {
    const character = this.#next()
    const known = escapedSets[character]
    if (known !== undefined) return known
    if (character === 'p' || character === 'P') return this.#unicodeClass(character === 'P')
    return isCode(this.#escapedCode(character))
  }

  #escapedCode(character: string): number {
    const control = controls[character]
    if (control !== undefined) return control
    if (character === 'x') {
      const digits = this.#takes('{') ? this.#upTo('}') : this.#next() + this.#next()
      const code = Number.parseInt(digits, 16)
      if (!/^[0-9a-fA-F]{1,6}$/.test(digits) || code > 0x10ffff) {
        throw new PatternError('invalid escape sequence')
      }
      return code
    }
    const octal = this.#octal(character)
    if (octal !== null) return octal
    if (/[0-9A-Za-z]/.test(character)) throw new PatternError('invalid escape sequence')
    return codeOf(character)
  }

  /** Up to three digits; a single one but 0 would be a reference back. */
  #octal(first: string): number | null {
    const digits = first + this.#characters.slice(this.#at, this.#at + 2).join('')
    const found = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(digits)?.[0]
    if (found === undefined) return null
    this.#at += found.length - 1
    return Number.parseInt(found, 8)
  }

  #unicodeClass(isNegated: boolean): CharacterTest {
    const first = this.#next()
    let name = first === '{' ? this.#upTo('}') : first
    const inverts = name.startsWith('^')
    if (inverts) name = name.slice(1)
    const isIn = unicodeTest(name)
    return inverts === isNegated ? isIn : (code) => !isIn(code)
  }

  #class(): CharacterTest {
    const isNegated = this.#takes('^')
    const tests: CharacterTest[] = []
    for (let isFirst = true; isFirst || this.#peek() !== ']'; isFirst = false) {
      if (this.#peek() === undefined) throw new PatternError('missing closing ]')
      if (this.#takes('[:')) tests.push(this.#posixClass())
      else tests.push(this.#rangeOrSet())
    }
    this.#at++
    const isIn = this.#flags.ignoresCase ? inAnyCase(anyOf(tests)) : anyOf(tests)
    const test = isNegated ? not(isIn) : isIn
    return tests.length > partsAskedMax ? remembered(test) : test
  }

  #posixClass(): CharacterTest {
    const name = this.#upTo(':')
    const isIn = posixSets[name.replace('^', '')]
    if (isIn === undefined || !this.#takes(']'))
      throw new PatternError('invalid character class range')
    return name.startsWith('^') ? (code) => !isIn(code) : isIn
  }

  #rangeOrSet(): CharacterTest {
    const first = this.#next()
    if (first === '\\') {
      const next = this.#peek() ?? ''
      if (next in escapedSets || next === 'p' || next === 'P') return this.#escape()
    }
    const from = first === '\\' ? this.#escapedCode(this.#next()) : codeOf(first)
    const isRange = this.#peek() === '-' && this.#characters[this.#at + 1] !== ']'
    if (!isRange) return isCode(from)
    this.#at++
    const last = this.#next()
    const to = last === '\\' ? this.#escapedCode(this.#next()) : codeOf(last)
    if (to < from) throw new PatternError('invalid character class range')
    return (code) => code >= from && code <= to
  }

  #literal(character: string): PatternNode {
    return this.#set(isCode(codeOf(character)))
  }

  #set(test: CharacterTest): PatternNode {
    return { kind: 'character', test: this.#flags.ignoresCase ? inAnyCase(test) : test }
  }
}

const lineFeed = 10

const places: Readonly<Record<string, Place>> = {
  A: 'start',
  z: 'end',
  b: 'word boundary',
  B: 'no word boundary',
}

const controls: Readonly<Record<string, number>> = { a: 7, t: 9, n: 10, v: 11, f: 12, r: 13 }

const ranges =
  (...pairs: readonly (readonly [string, string])[]): CharacterTest =>
  (code) =>
    pairs.some(([from, to]) => code >= codeOf(from) && code <= codeOf(to))
const not =
  (test: CharacterTest): CharacterTest =>
  (code) =>
    !test(code)
const anyOf =
  (tests: readonly CharacterTest[]): CharacterTest =>
  (code) =>
    tests.some((test) => test(code))
const isCode =
  (wanted: number): CharacterTest =>
  (code) =>
    code === wanted

const isDigit = ranges(['0', '9'])
export const isWordCharacter = ranges(['0', '9'], ['A', 'Z'], ['_', '_'], ['a', 'z'])
const isSpace = ranges(['\t', '\n'], ['\f', '\r'], [' ', ' '])

const escapedSets: Readonly<Record<string, CharacterTest>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWordCharacter,
  W: not(isWordCharacter),
  s: isSpace,
  S: not(isSpace),
}

const isGraphic = ranges(['!', '~'])
const isAlphanumeric = ranges(['0', '9'], ['A', 'Z'], ['a', 'z'])
const posixSets: Readonly<Record<string, CharacterTest>> = {
  alnum: isAlphanumeric,
  alpha: ranges(['A', 'Z'], ['a', 'z']),
  ascii: ranges(['\0', '\x7f']),
  blank: ranges(['\t', '\t'], [' ', ' ']),
  cntrl: ranges(['\0', '\x1f'], ['\x7f', '\x7f']),
  digit: isDigit,
  graph: isGraphic,
  lower: ranges(['a', 'z']),
  print: ranges([' ', '~']),
  punct: (code) => isGraphic(code) && !isAlphanumeric(code),
  space: ranges(['\t', '\r'], [' ', ' ']),
  upper: ranges(['A', 'Z']),
  word: isWordCharacter,
  xdigit: ranges(['0', '9'], ['A', 'F'], ['a', 'f']),
}

function codeOf(character: string): number {
  return character.codePointAt(0) as number
}

/** Parts of a class that are asked one after the other, each time. */
const partsAskedMax = 8
const asciiCount = 128

/** Asks once for each ASCII character, of which names are made: a class may be of thousands of parts. */
function remembered(test: CharacterTest): CharacterTest {
  const isIn: (boolean | undefined)[] = new Array(asciiCount)
  return (code) => {
    if (code >= asciiCount) return test(code)
    isIn[code] ??= test(code)
    return isIn[code] as boolean
  }
}

function inAnyCase(test: CharacterTest): CharacterTest {
  return (code) => {
    if (test(code)) return true
    const character = String.fromCodePoint(code)
    const others = [character.toLowerCase(), character.toUpperCase()]
    return others.some((other) => other.length === character.length && test(codeOf(other)))
  }
}

/** By the names of what was asked for so far: there are some hundreds. */
const unicodeTests = new Map<string, CharacterTest>()

/** `name`: a general category, as Lu, or a script, as Greek. */
function unicodeTest(name: string): CharacterTest {
  const known = unicodeTests.get(name)
  if (known !== undefined) return known
  if (!/^[A-Za-z_]{1,40}$/.test(name)) throw new PatternError('invalid character class range')
  if (name === 'Any') return () => true
  for (const property of [`gc=${name}`, `sc=${name}`]) {
    try {
      const single = new RegExp(`^\\p{${property}}$`, 'u')
      const test = (code: number) => single.test(String.fromCodePoint(code))
      unicodeTests.set(name, test)
      return test
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
  }
  throw new PatternError('invalid character class range')
}
