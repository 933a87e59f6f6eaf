/**
 * Regular expressions and replacements of Java's, which the settings of connectors are written in. What JavaScript writes
 * in another way is translated, and what it does not have is refused: nothing matches something else than it would there.
 */

const posixClasses: Readonly<Record<string, string>> = {
  Lower: 'a-z',
  Upper: 'A-Z',
  Alpha: 'a-zA-Z',
  Digit: '0-9',
  Alnum: 'a-zA-Z0-9',
  Punct: '\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e',
  Graph: '\\x21-\\x7e',
  Print: '\\x20-\\x7e',
  Blank: '\\x20\\t',
  Cntrl: '\\x00-\\x1f\\x7f',
  XDigit: '0-9a-fA-F',
  Space: '\\x20\\t-\\r',
  ASCII: '\\x00-\\x7f',
}
/** What stands for them outside of a class. */
const places: Readonly<Record<string, string>> = {
  A: '(?<![\\s\\S])',
  z: '(?![\\s\\S])',
  Z: '(?=\\n?(?![\\s\\S]))',
}
/** Members of a class. */
const members: Readonly<Record<string, string>> = {
  h: ' \\t\\xa0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000',
  v: '\\n\\x0b\\f\\r\\x85\\u2028\\u2029',
  e: '\\x1b',
  a: '\\x07',
}
const sameLetters = 'tnrfdDsSwWbBxukc'
const syntax = /[\\^$.*+?()[\]{}|/]/

/** Matches whole texts. Throws Error that says what is wrong. */
export function javaPattern(text: string): RegExp {
  try {
    return new PatternTranslation(text).result
  } catch (cause) {
    throw new Error(`Invalid regular expression: ${(cause as Error).message}`, { cause })
  }
}

class PatternTranslation {
  readonly #text: string
  #at = 0
  #isInClass = false
  #needsUnicode = false

  constructor(text: string) {
    this.#text = text
  }

  get result(): RegExp {
    const flags = /^\(\?([a-zA-Z]+)\)/.exec(this.#text)
    const letters = flags?.[1] ?? ''
    // Names have no lines: `m` changes nothing.
    if (!/^[ims]*$/.test(letters)) throw new Error(`the flags ${letters} are not supported`)
    this.#at = flags?.[0].length ?? 0
    let source = ''
    while (this.#at < this.#text.length) source += this.#next()
    const ours = [...new Set(letters.replaceAll('m', ''))].join('')
    return new RegExp(`^(?:${source})$`, this.#needsUnicode ? `${ours}u` : ours)
  }

  #next(): string {
    const character = this.#text[this.#at++]!
    if (character === '\\') return this.#escaped()
    if (!this.#isInClass) {
      this.#isInClass = character === '['
      return character
    }
    if (character === ']') this.#isInClass = false
    if (character === '[' || (character === '&' && this.#text[this.#at] === '&'))
      throw new Error('classes within classes are not supported')
    return character
  }

  #escaped(): string {
    const letter = this.#text[this.#at++] ?? ''
    if (letter === 'Q') return this.#quoted()
    if (letter === 'p' || letter === 'P') return this.#property(letter)
    const place = !this.#isInClass ? places[letter] : undefined
    if (place !== undefined) return place
    const listed = members[letter]
    if (listed !== undefined) return !this.#isInClass ? `[${listed}]` : listed
    const isLonger = 'xbu'.includes(letter) && this.#text[this.#at] === '{'
    const isSame = sameLetters.includes(letter) && !isLonger
    if (isSame || (/[1-9]/.test(letter) && !this.#isInClass)) return `\\${letter}`
    if (/^[a-zA-Z0-9]?$/.test(letter)) throw new Error(`\\${letter} is not supported`)
    return this.#literal(letter)
  }

  #literal(character: string): string {
    const isSpecial = syntax.test(character) || (this.#isInClass && /[-&]/.test(character))
    return isSpecial ? `\\${character}` : character
  }

  #quoted(): string {
    const end = this.#text.indexOf('\\E', this.#at)
    const quoted = this.#text.slice(this.#at, end < 0 ? undefined : end)
    this.#at = end < 0 ? this.#text.length : end + 2
    return [...quoted].map((character) => this.#literal(character)).join('')
  }

  #property(letter: string): string {
    const [all, braced, single] = /^(?:\{(\w+)\}|([A-Z]))/.exec(this.#text.slice(this.#at)) ?? []
    if (all === undefined) throw new Error(`\\${letter} names no property`)
    this.#at += all.length
    const name = braced ?? single!
    const listed = posixClasses[name]
    if (listed !== undefined && letter === 'p') return !this.#isInClass ? `[${listed}]` : listed
    if (listed !== undefined && !this.#isInClass) return `[^${listed}]`
    const property = `\\${letter}{${name.replace(/^Is/, '')}}`
    if (listed !== undefined || !isProperty(property))
      throw new Error(`\\${letter}{${name}} is not supported`)
    this.#needsUnicode = true
    return property
  }
}

function isProperty(source: string): boolean {
  try {
    return new RegExp(source, 'u').source !== ''
  } catch {
    return false
  }
}

/** What a replacement makes of a match: `$1` and `${name}` are groups. Throws Error that says what is wrong. */
export function javaReplacement(text: string, pattern: RegExp): (match: RegExpExecArray) => string {
  const empty = new RegExp(`${pattern.source}|`, pattern.flags).exec('')!
  const parts: (string | { readonly group: string | number })[] = []
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at)
    const [named, name] = /^\$\{(\w+)\}/.exec(rest) ?? []
    const [numbered, digits] = /^\$(\d+)/.exec(rest) ?? []
    if (named !== undefined) {
      if (!Object.hasOwn(empty.groups ?? {}, name!)) throw new Error(`No group with name {${name}}`)
      parts.push({ group: name! })
      at += named.length
    } else if (numbered !== undefined) {
      const group = groupOf(digits!, empty.length - 1)
      parts.push({ group: Number(group) })
      at += 1 + group.length
    } else {
      if (rest.startsWith('$')) throw new Error('Illegal group reference')
      if (rest === '\\') throw new Error('character to be escaped is missing')
      parts.push(rest.startsWith('\\') ? rest[1]! : rest[0]!)
      at += rest.startsWith('\\') ? 2 : 1
    }
  }
  return (match) =>
    parts
      .map((part) => {
        if (typeof part === 'string') return part
        return (
          (typeof part.group === 'number' ? match[part.group] : match.groups?.[part.group]) ?? ''
        )
      })
      .join('')
}

/** As many digits as name a group. */
function groupOf(digits: string, groupCount: number): string {
  if (Number(digits[0]) > groupCount) throw new Error(`No group ${digits[0]}`)
  let length = 1
  while (length < digits.length && Number(digits.slice(0, length + 1)) <= groupCount) length++
  return digits.slice(0, length)
}
