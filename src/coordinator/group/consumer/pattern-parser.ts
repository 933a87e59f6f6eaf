/**
 * RE2's syntax for regular expressions, read into a tree. Whether an operator is greedy and what a
 * group captures means nothing to who only asks whether a name matches, and is passed over.
 */
import {
  CharacterSet,
  namedClasses,
  perlClasses,
  punctuation,
  unicodeClasses,
} from './character-set.ts'

/** RE2 repeats no more often. */
const repeatMax = 1000
const depthMax = 250

/** The expression is not valid; the message says why, in RE2J's words where it has some. */
export class InvalidPattern extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'InvalidPattern'
  }
}

export type Assertion = 'start' | 'end' | 'word boundary' | 'no word boundary'

export type Node =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'assert'; readonly assertion: Assertion }
  | { readonly kind: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly kind: 'choice'; readonly nodes: readonly Node[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly min: number; readonly max: number }

const escapes: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }
const newline = 10

interface Flags {
  readonly ignoresCase: boolean
  /** `.` stands for a newline too. No name has one. */
  readonly dotAll: boolean
}

export class PatternParser {
  readonly #text: string
  #at = 0
  #depth = 0
  #flags: Flags = { ignoresCase: false, dotAll: false }

  constructor(text: string) {
    this.#text = text
  }

  parse(): Node {
    const node = this.#choice()
    if (this.#at < this.#text.length) throw new InvalidPattern('missing closing )')
    return node
  }

  get #next(): string | undefined {
    return this.#text[this.#at]
  }

  #take(text: string): boolean {
    const isNext = this.#text.startsWith(text, this.#at)
    if (isNext) this.#at += text.length
    return isNext
  }

  #choice(): Node {
    if (++this.#depth > depthMax) throw new InvalidPattern('expression nests too deeply')
    const nodes = [this.#sequence()]
    while (this.#take('|')) nodes.push(this.#sequence())
    this.#depth--
    return nodes.length === 1 ? (nodes[0] as Node) : { kind: 'choice', nodes }
  }

  #sequence(): Node {
    const nodes: Node[] = []
    while (this.#next !== undefined && this.#next !== '|' && this.#next !== ')') {
      nodes.push(...this.#repeated(this.#atom()))
    }
    return { kind: 'sequence', nodes }
  }

  /** An atom is several nodes where it is quoted text: an operator after it is about the last. */
  #repeated(atom: readonly Node[]): readonly Node[] {
    const bounds = this.#operator()
    if (bounds === null) return atom
    const node = atom.at(-1)
    if (node === undefined) throw new InvalidPattern('missing argument to repetition operator')
    this.#take('?')
    if (this.#operator() !== null) throw new InvalidPattern('invalid nested repetition operator')
    const [min, max] = bounds
    return [...atom.slice(0, -1), { kind: 'repeat', node, min, max }]
  }

  #operator(): readonly [number, number] | null {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.#take('?')) return [0, 1]
    const counted = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 24))
    if (counted === null) return null
    const [all, from, comma, to] = counted
    this.#at += all.length
    const min = Number(from)
    const max = comma === undefined ? min : to === '' ? Number.POSITIVE_INFINITY : Number(to)
    if (min > repeatMax || max < min || (max > repeatMax && max !== Number.POSITIVE_INFINITY)) {
      throw new InvalidPattern('invalid repeat count')
    }
    return [min, max]
  }

  #atom(): Node[] {
    const character = this.#next as string
    if (this.#operator() !== null) {
      throw new InvalidPattern('missing argument to repetition operator')
    }
    this.#at += character.length
    switch (character) {
      case '(':
        return this.#group()
      case '[':
        return [this.#set(this.#bracket())]
      case '.':
        return [this.#set(this.#dot())]
      case '^':
        return [{ kind: 'assert', assertion: 'start' }]
      case '$':
        return [{ kind: 'assert', assertion: 'end' }]
      case '\\':
        return this.#escape()
      default:
        return [this.#set(new CharacterSet().add(character.charCodeAt(0)))]
    }
  }

  #dot(): CharacterSet {
    const all = new CharacterSet().negated()
    return this.#flags.dotAll ? all : new CharacterSet().add(newline).negated()
  }

  #set(set: CharacterSet): Node {
    return { kind: 'set', set: this.#flags.ignoresCase ? set.folded() : set }
  }

  /** Flags hold to the end of the group in which they are set. */
  #group(): Node[] {
    const outer = this.#flags
    if (this.#take('?')) {
      const named = /^P?<(\w+)>/.exec(this.#text.slice(this.#at))
      if (named !== null) this.#at += named[0].length
      else if (this.#setFlags()) return []
    }
    const node = this.#choice()
    if (!this.#take(')')) throw new InvalidPattern('missing closing )')
    this.#flags = outer
    return [node]
  }

  /** `(?i)` or `(?i-s:`; true if the group ends with them. */
  #setFlags(): boolean {
    const found = /^([imsU]*)(?:-([imsU]+))?([:)])/.exec(this.#text.slice(this.#at))
    if (found === null) throw new InvalidPattern('invalid or unsupported Perl syntax')
    const [all, set = '', cleared = '', end] = found
    this.#at += all.length
    const flag = (letter: string, before: boolean) =>
      set.includes(letter) || (before && !cleared.includes(letter))
    const { ignoresCase, dotAll } = this.#flags
    this.#flags = { ignoresCase: flag('i', ignoresCase), dotAll: flag('s', dotAll) }
    return end === ')'
  }

  #escape(): Node[] {
    const character = this.#next
    if (character === undefined) {
      throw new InvalidPattern('trailing backslash at end of expression')
    }
    if (this.#take('Q')) return this.#quoted()
    if (this.#take('A')) return [{ kind: 'assert', assertion: 'start' }]
    if (this.#take('z')) return [{ kind: 'assert', assertion: 'end' }]
    if (this.#take('b')) return [{ kind: 'assert', assertion: 'word boundary' }]
    if (this.#take('B')) return [{ kind: 'assert', assertion: 'no word boundary' }]
    return [this.#set(this.#escapedClass() ?? new CharacterSet().add(this.#escapedCode()))]
  }

  #quoted(): Node[] {
    const end = this.#text.indexOf('\\E', this.#at)
    const quoted = this.#text.slice(this.#at, end < 0 ? undefined : end)
    this.#at = end < 0 ? this.#text.length : end + 2
    return [...quoted].map((each) => this.#set(new CharacterSet().add(each.charCodeAt(0))))
  }

  /** Behind the backslash; null if it stands for one character. */
  #escapedClass(): CharacterSet | null {
    const character = this.#next as string
    const perl = Object.hasOwn(perlClasses, character) ? perlClasses[character] : undefined
    if (perl !== undefined) {
      this.#at++
      return perl
    }
    const unicode = /^([pP])(?:\{(\^?)(\w+)\}|(\w))/.exec(this.#text.slice(this.#at, this.#at + 40))
    if (unicode === null) return null
    const [all, kind, caret, long, short] = unicode
    this.#at += all.length
    const name = long ?? short ?? ''
    const set = Object.hasOwn(unicodeClasses, name) ? unicodeClasses[name] : undefined
    if (set === undefined) throw new InvalidPattern('invalid character class range')
    return (kind === 'P') === (caret === '^') ? set : set.negated()
  }

  #escapedCode(): number {
    const rest = this.#text.slice(this.#at, this.#at + 12)
    const hex = /^x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/.exec(rest)
    if (hex !== null) {
      this.#at += hex[0].length
      return Number.parseInt(hex[1] ?? hex[2] ?? '', 16)
    }
    const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest)
    if (octal !== null) {
      this.#at += octal[0].length
      return Number.parseInt(octal[0], 8)
    }
    const character = this.#next ?? ''
    this.#at++
    if (Object.hasOwn(escapes, character)) return escapes[character] as number
    const code = character.charCodeAt(0)
    if (!punctuation.has(code)) throw new InvalidPattern('invalid escape sequence')
    return code
  }

  /** Behind the opening bracket. */
  #bracket(): CharacterSet {
    const isNegated = this.#take('^')
    const set = new CharacterSet()
    let isFirst = true
    while (isFirst || this.#next !== ']') {
      if (this.#next === undefined) throw new InvalidPattern('missing closing ]')
      isFirst = false
      const known = this.#namedClass() ?? this.#takeEscapedClass()
      if (known !== null) set.addAll(known)
      else this.#addRange(set)
    }
    this.#at++
    // Before it is turned around: [^a] without case has no A either.
    const all = this.#flags.ignoresCase ? set.folded() : set
    return isNegated ? all.negated() : all
  }

  #namedClass(): CharacterSet | null {
    const named = /^\[:(\^?)(\w+):\]/.exec(this.#text.slice(this.#at, this.#at + 16))
    if (named === null) return null
    const [all, caret, name = ''] = named
    const set = Object.hasOwn(namedClasses, name) ? namedClasses[name] : undefined
    if (set === undefined) throw new InvalidPattern('invalid character class range')
    this.#at += all.length
    return caret === '^' ? set.negated() : set
  }

  #takeEscapedClass(): CharacterSet | null {
    if (this.#next !== '\\') return null
    this.#at++
    const set = this.#next === undefined ? null : this.#escapedClass()
    if (set === null) this.#at--
    return set
  }

  #addRange(set: CharacterSet): void {
    const from = this.#member()
    const isRange = this.#next === '-' && this.#text[this.#at + 1] !== ']'
    if (!isRange || this.#text[this.#at + 1] === undefined) {
      set.add(from)
      return
    }
    this.#at++
    const to = this.#member()
    if (to < from) throw new InvalidPattern('invalid character class range')
    set.add(from, to)
  }

  #member(): number {
    if (!this.#take('\\')) return this.#text.charCodeAt(this.#at++)
    if (this.#next === undefined) throw new InvalidPattern('missing closing ]')
    return this.#escapedCode()
  }
}
