/**
 * Regular expressions for topics, in RE2's syntax (KIP-848), matched in time that grows with the name
 * and the expression only: all ways to match are walked at once, so nothing is ever tried again
 * (Thompson's construction). A client's expression runs inside the broker; JavaScript's own would let
 * one like `(a+)+$` stand still for ever.
 *
 * The expression must match the whole name. Names are ASCII: what stands for other characters matches
 * nothing.
 */
import { type CharacterSet, word } from './character-set.ts'
import { type Assertion, InvalidPattern, type Node, PatternParser } from './pattern-parser.ts'

/** What an expression may expand to; each step of matching may have to look at all of it. */
const instructionsMax = 5000
/** Of the expression, in characters. */
export const patternLengthMax = 4096

type Instruction =
  | { readonly op: 'set'; readonly set: CharacterSet; readonly next: number }
  | { readonly op: 'assert'; readonly assertion: Assertion; readonly next: number }
  | { readonly op: 'split'; readonly next: number; readonly other: number }
  | { readonly op: 'match' }

/** Turns nodes into instructions, from the last to the first: what follows is known then. */
class Compiler {
  readonly instructions: Instruction[] = [{ op: 'match' }]
  #visits = 0

  /** Where `node`, followed by `next`, begins. Nothing repeated many times takes its time, too. */
  add(node: Node, next: number): number {
    if (++this.#visits > 4 * instructionsMax) throw new InvalidPattern('invalid repeat count')
    switch (node.kind) {
      case 'set':
        return this.#push({ op: 'set', set: node.set, next })
      case 'assert':
        return this.#push({ op: 'assert', assertion: node.assertion, next })
      case 'sequence':
        return node.nodes.reduceRight((after, each) => this.add(each, after), next)
      case 'choice':
        return node.nodes
          .map((each) => this.add(each, next))
          .reduceRight((other, each) => this.#push({ op: 'split', next: each, other }))
      case 'repeat':
        return this.#repeat(node.node, node.min, node.max, next)
    }
  }

  #repeat(node: Node, min: number, max: number, next: number): number {
    let at = next
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.#push({ op: 'split', next: at, other: at })
      const body = this.add(node, loop)
      this.instructions[loop] = { op: 'split', next: body, other: at }
      at = loop
    } else {
      for (let count = min; count < max; count++) {
        at = this.#push({ op: 'split', next: this.add(node, at), other: next })
      }
    }
    for (let count = 0; count < min; count++) at = this.add(node, at)
    return at
  }

  #push(instruction: Instruction): number {
    if (this.instructions.length >= instructionsMax) {
      throw new InvalidPattern('invalid repeat count')
    }
    return this.instructions.push(instruction) - 1
  }
}

export class TopicPattern {
  readonly #instructions: readonly Instruction[]
  readonly #start: number
  /** The step at which an instruction was last reached, so that it is looked at once. */
  readonly #reachedAt: Int32Array
  #step = 0

  /** Throws InvalidPattern. */
  constructor(text: string) {
    if (text.length > patternLengthMax) {
      throw new InvalidPattern(`longer than ${patternLengthMax} characters`)
    }
    const compiler = new Compiler()
    this.#start = compiler.add(new PatternParser(text).parse(), 0)
    this.#instructions = compiler.instructions
    this.#reachedAt = new Int32Array(this.#instructions.length)
  }

  /** Whether it matches all of `name`. */
  matches(name: string): boolean {
    let reached = this.#follow([this.#start], name, 0)
    for (let at = 0; at < name.length && reached.length > 0; at++) {
      const code = name.charCodeAt(at)
      const next: number[] = []
      for (const index of reached) {
        const instruction = this.#instructions[index] as Instruction
        if (instruction.op === 'set' && instruction.set.has(code)) next.push(instruction.next)
      }
      reached = this.#follow(next, name, at + 1)
    }
    return reached.some((index) => this.#instructions[index]?.op === 'match')
  }

  /** What can be reached from `pending` without a character, at position `at`. */
  #follow(pending: number[], name: string, at: number): number[] {
    const step = ++this.#step
    const reached: number[] = []
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      if (this.#reachedAt[index] === step) continue
      this.#reachedAt[index] = step
      const instruction = this.#instructions[index] as Instruction
      switch (instruction.op) {
        case 'split':
          pending.push(instruction.next, instruction.other)
          break
        case 'assert':
          if (holds(instruction.assertion, name, at)) pending.push(instruction.next)
          break
        default:
          reached.push(index)
      }
    }
    return reached
  }
}

function holds(assertion: Assertion, name: string, at: number): boolean {
  switch (assertion) {
    case 'start':
      return at === 0
    case 'end':
      return at === name.length
    case 'word boundary':
      return isBoundary(name, at)
    case 'no word boundary':
      return !isBoundary(name, at)
  }
}

function isBoundary(name: string, at: number): boolean {
  return isWord(name, at - 1) !== isWord(name, at)
}

function isWord(name: string, at: number): boolean {
  return at >= 0 && at < name.length && word.has(name.charCodeAt(at))
}
