/** Sets of the characters that topic names are made of, and those that have a name in RE2's syntax. */
const asciiCount = 128

/** A set of the 128 characters that names are made of. */
export class CharacterSet {
  readonly #has = new Uint8Array(asciiCount)

  has(code: number): boolean {
    return code < asciiCount && this.#has[code] === 1
  }

  add(from: number, to = from): this {
    for (let code = from; code <= Math.min(to, asciiCount - 1); code++) this.#has[code] = 1
    return this
  }

  addAll(other: CharacterSet): this {
    for (let code = 0; code < asciiCount; code++) if (other.has(code)) this.#has[code] = 1
    return this
  }

  negated(): CharacterSet {
    const result = new CharacterSet()
    for (let code = 0; code < asciiCount; code++) if (!this.has(code)) result.add(code)
    return result
  }

  /** With the other case of each letter. */
  folded(): CharacterSet {
    const result = new CharacterSet().addAll(this)
    for (let code = 0x41; code <= 0x5a; code++) {
      if (this.has(code) || this.has(code + 0x20)) result.add(code).add(code + 0x20)
    }
    return result
  }
}

/** Of single characters, and ranges of them with a `-` between. */
const setOf = (text: string): CharacterSet => {
  const set = new CharacterSet()
  for (const [, from, to, single = ''] of text.matchAll(/(.)-(.)|(.)/gs)) {
    if (from === undefined) set.add(single.charCodeAt(0))
    else set.add(from.charCodeAt(0), to?.charCodeAt(0))
  }
  return set
}

const digits = setOf('0-9')
const space = setOf('\t\n\f\r ')
export const word = setOf('0-9A-Za-z_')
export const perlClasses: Readonly<Record<string, CharacterSet>> = {
  d: digits,
  D: digits.negated(),
  s: space,
  S: space.negated(),
  w: word,
  W: word.negated(),
}

export const punctuation = setOf('!-/')
  .addAll(setOf(':-@'))
  .addAll(setOf('[-`'))
  .addAll(setOf('{-~'))
export const namedClasses: Readonly<Record<string, CharacterSet>> = {
  alnum: setOf('0-9A-Za-z'),
  alpha: setOf('A-Za-z'),
  ascii: new CharacterSet().negated(),
  blank: setOf('\t '),
  cntrl: new CharacterSet().add(0, 0x1f).add(0x7f),
  digit: digits,
  graph: new CharacterSet().add(0x21, 0x7e),
  lower: setOf('a-z'),
  print: new CharacterSet().add(0x20, 0x7e),
  punct: punctuation,
  space: setOf('\t\n\v\f\r '),
  upper: setOf('A-Z'),
  word,
  xdigit: setOf('0-9A-Fa-f'),
}

/** The ASCII part of the Unicode classes that have one. */
export const unicodeClasses: Readonly<Record<string, CharacterSet>> = {
  L: setOf('A-Za-z'),
  Lu: setOf('A-Z'),
  Ll: setOf('a-z'),
  N: digits,
  Nd: digits,
  Latin: setOf('A-Za-z'),
  P: setOf('!-#%-*,-/:;?@[-]_{}'),
}
