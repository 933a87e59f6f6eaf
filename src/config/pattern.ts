/**
 * Regular expressions from clients, matched in time that is linear in the text, whatever they say: one of
 * JavaScript's own could hold up the whole broker. All ways through the expression are gone together, one
 * character after the other, so none is ever tried again (Thompson's construction).
 */
import { isWordCharacter, PatternError, parsePattern } from './pattern-syntax.ts'

export type CharacterTest = (code: number) => boolean
export type Place =
  | 'start'
  | 'end'
  | 'line start'
  | 'line end'
  | 'word boundary'
  | 'no word boundary'

export type PatternNode =
  | { readonly kind: 'character'; readonly test: CharacterTest }
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'alternatives'; readonly options: readonly PatternNode[] }
  | {
      readonly kind: 'repeat'
      readonly node: PatternNode
      readonly min: number
      /** Infinite where it is open. */
      readonly max: number
    }

/** Goes on at `next`, the numbers of steps; the last step is the end. */
type Step =
  | { readonly kind: 'character'; readonly test: CharacterTest; next: number }
  | { readonly kind: 'place'; readonly place: Place; next: number }
  | { readonly kind: 'either'; next: number; other: number }

/** Steps of one expression: what a character of the text may cost. */
const stepsMax = 1500
/** Steps gone between two stops: tens of microseconds. */
const stepsBetweenStops = 1000
/** Characters of one expression. */
const lengthMax = 4096

export class Pattern {
  readonly #steps: Step[] = []
  /** By step, and one for the end: the round in which it was reached last. */
  readonly #reachedIn: Int32Array
  #round = 0
  /** Gone since the last stop. */
  #stepsGone = 0

  /** Throws PatternError. */
  constructor(text: string) {
    if (text.length > lengthMax) throw new PatternError(`it is longer than ${lengthMax} characters`)
    const node = parsePattern(text)
    if (sizeOf(node) > stepsMax) throw new PatternError('invalid repeat count')
    this.#add(node)
    this.#reachedIn = new Int32Array(this.#steps.length + 1)
  }

  /** Whether `text` as a whole is what the expression says. */
  matches(text: string): boolean {
    const matching = this.matching(text)
    for (;;) {
      const { done, value } = matching.next()
      if (done === true) return value
    }
  }

  /** As `matches`, with stops where others may have their turn; one text after the other. */
  *matching(text: string): Generator<void, boolean> {
    const codes = [...text].map((character) => character.codePointAt(0) as number)
    this.#reachedIn.fill(0)
    this.#round = 0
    let current = this.#reached([0], codes, 0)
    for (let at = 0; at < codes.length; at++) {
      const arrived: number[] = []
      for (const step of current) if (step.test(codes[at] as number)) arrived.push(step.next)
      if (arrived.length === 0) return false
      current = this.#reached(arrived, codes, at + 1)
      if (this.#stepsGone < stepsBetweenStops) continue
      this.#stepsGone = 0
      yield
    }
    return this.#reachedIn[this.#steps.length] === this.#round
  }

  /** The characters that may come at `at`, once all that takes none was gone through. */
  #reached(open: number[], codes: readonly number[], at: number): (Step & { kind: 'character' })[] {
    const round = ++this.#round
    const reached: (Step & { kind: 'character' })[] = []
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      this.#stepsGone++
      if (this.#reachedIn[index] === round) continue
      this.#reachedIn[index] = round
      const step = this.#steps[index]
      if (step === undefined) continue
      if (step.kind === 'character') reached.push(step)
      else if (step.kind === 'either') open.push(step.next, step.other)
      else if (isAt(step.place, codes, at)) open.push(step.next)
    }
    return reached
  }

  /** Appends the steps of `node`; whatever follows it comes right behind them. */
  #add(node: PatternNode): void {
    const steps = this.#steps
    switch (node.kind) {
      case 'character':
      case 'place':
        steps.push({ ...node, next: steps.length + 1 })
        break
      case 'sequence':
        for (const part of node.parts) this.#add(part)
        break
      case 'alternatives':
        this.#addAlternatives(node.options)
        break
      case 'repeat':
        this.#addRepeat(node)
    }
  }

  #addAlternatives(options: readonly PatternNode[]): void {
    const exits = options.map((option, index) => {
      const isLast = index === options.length - 1
      const entry = isLast ? null : this.#either()
      this.#add(option)
      // It goes nowhere but to the end.
      const exit = isLast ? null : this.#either()
      if (entry !== null) entry.other = this.#steps.length
      return exit
    })
    for (const exit of exits) {
      if (exit !== null) exit.next = exit.other = this.#steps.length
    }
  }

  #addRepeat({ node, min, max }: PatternNode & { kind: 'repeat' }): void {
    for (let count = 0; count < min; count++) this.#add(node)
    if (max === Number.POSITIVE_INFINITY) {
      const start = this.#steps.length
      const entry = this.#either()
      this.#add(node)
      const back = this.#either()
      back.next = back.other = start
      entry.other = this.#steps.length
      return
    }
    const entries = []
    for (let count = min; count < max; count++) {
      entries.push(this.#either())
      this.#add(node)
    }
    for (const entry of entries) entry.other = this.#steps.length
  }

  #either() {
    const step = { kind: 'either' as const, next: this.#steps.length + 1, other: -1 }
    this.#steps.push(step)
    return step
  }
}

/** How many steps the node takes, or more than there may be. */
function sizeOf(node: PatternNode): number {
  switch (node.kind) {
    case 'character':
    case 'place':
      return 1
    case 'sequence':
      return node.parts.reduce((sum, part) => sum + sizeOf(part), 0)
    case 'alternatives':
      return node.options.reduce((sum, option) => sum + sizeOf(option) + 2, 0)
    case 'repeat': {
      const isOpen = node.max === Number.POSITIVE_INFINITY
      return (sizeOf(node.node) + 1) * (isOpen ? node.min + 1 : node.max) + 1
    }
  }
}

function isAt(place: Place, codes: readonly number[], at: number): boolean {
  switch (place) {
    case 'start':
      return at === 0
    case 'end':
      return at === codes.length
    case 'line start':
      return at === 0 || codes[at - 1] === lineFeed
    case 'line end':
      return at === codes.length || codes[at] === lineFeed
    case 'word boundary':
      return isWordBoundary(codes, at)
    case 'no word boundary':
      return !isWordBoundary(codes, at)
  }
}

function isWordBoundary(codes: readonly number[], at: number): boolean {
  const isWord = (code: number | undefined) => code !== undefined && isWordCharacter(code)
  return isWord(codes[at - 1]) !== isWord(codes[at])
}

const lineFeed = 10
