/**
 * A condition on rows, as SQL writes it: comparisons of a column with a constant, `IN`, `IS NULL`, and these joined by
 * `AND`, `OR`, `NOT` and parentheses. As in SQL what is compared with no value is neither true nor false.
 *
 *     day >= '2024-01-01' AND (country IN ('de', 'at') OR NOT total > 12.50)
 */
import type { Column, ColumnBatch, DataType, Field } from './column.ts'
import { isValid, typeName } from './column.ts'
import { type Json, NumberText, parseJson } from './exact-json.ts'
import { rowOfJson } from './json-values.ts'
import { compareScalars, type Scalar } from './predicate.ts'
import { type Value, valueAt } from './value.ts'

/** `null`: unknown. */
type Truth = boolean | null
type Test = (row: { readonly [name: string]: Value }) => Truth

const depthMax = 100
const token =
  /\s*(?:(?<name>[A-Za-z_][\w.]*|`(?:[^`]|``)+`)|(?<text>'(?:[^']|'')*')|(?<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?<mark><=|>=|<>|!=|==|[=<>(),]))/y

export class Condition {
  /** Those that it looks at. */
  readonly fields: readonly Field[]
  readonly #test: Test

  private constructor(fields: readonly Field[], test: Test) {
    this.fields = fields
    this.#test = test
  }

  /** Throws RangeError for what is no condition on these columns. */
  static parse(text: string, fields: readonly Field[]): Condition {
    const parser = new ConditionParser(text, fields)
    const test = parser.whole()
    return new Condition([...parser.used], test)
  }

  /** The rows for which it is true; the batch has the columns that it looks at. */
  matches(batch: ColumnBatch): Uint8Array {
    const columns = this.fields.map((field): [Field, Column] => {
      const at = batch.fields.findIndex(({ name }) => name === field.name)
      return [field, batch.columns[at]!]
    })
    const found = new Uint8Array(batch.rowCount)
    for (let row = 0; row < batch.rowCount; row++) {
      const values = columns.map(([{ name, type }, column]): [string, Value] => [
        name,
        isValid(column, row) ? valueAt(type, column, row) : null,
      ])
      if (this.isTrueOf(Object.fromEntries(values))) found[row] = 1
    }
    return found
  }

  isTrueOf(row: { readonly [name: string]: Value }): boolean {
    return this.#test(row) === true
  }
}

interface Token {
  readonly kind: 'name' | 'text' | 'number' | 'mark' | 'end'
  readonly text: string
}

class ConditionParser {
  readonly used = new Set<Field>()
  readonly #fields: readonly Field[]
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(text: string, fields: readonly Field[]) {
    this.#fields = fields
    this.#tokens = tokensOf(text)
  }

  whole(): Test {
    const test = this.#either()
    if (this.#next.kind !== 'end') throw this.#unexpected()
    return test
  }

  get #next(): Token {
    return this.#tokens[this.#at]!
  }

  #either(): Test {
    const tests = [this.#both()]
    while (this.#takeWord('OR')) tests.push(this.#both())
    return (row) => {
      const truths = tests.map((test) => test(row))
      return truths.includes(true) ? true : truths.includes(null) ? null : false
    }
  }

  #both(): Test {
    const tests = [this.#one()]
    while (this.#takeWord('AND')) tests.push(this.#one())
    return (row) => {
      const truths = tests.map((test) => test(row))
      return truths.includes(false) ? false : truths.includes(null) ? null : true
    }
  }

  #one(): Test {
    if (++this.#depth > depthMax)
      throw new RangeError(`more than ${depthMax} conditions in another`)
    const test = this.#takeWord('NOT') ? negated(this.#one()) : this.#primary()
    this.#depth--
    return test
  }

  #primary(): Test {
    if (this.#takeMark('(')) {
      const test = this.#either()
      this.#expectMark(')')
      return test
    }
    const field = this.#field()
    const { name } = field
    if (this.#takeWord('IS')) {
      const wantsValue = this.#takeWord('NOT')
      if (!this.#takeWord('NULL')) throw this.#unexpected()
      return (row) => ((row[name] ?? null) !== null) === wantsValue
    }
    const isNegated = this.#takeWord('NOT')
    if (isNegated || this.#word === 'IN') {
      if (!this.#takeWord('IN')) throw this.#unexpected()
      const test = this.#oneOf(field)
      return isNegated ? negated(test) : test
    }
    return this.#comparison(field)
  }

  #oneOf(field: Field): Test {
    this.#expectMark('(')
    const tests: Test[] = []
    do tests.push(comparison(field, '=', this.#constant(field)))
    while (this.#takeMark(','))
    this.#expectMark(')')
    return (row) => {
      const truths = tests.map((test) => test(row))
      return truths.includes(true) ? true : truths.includes(null) ? null : false
    }
  }

  #comparison(field: Field): Test {
    const { kind, text } = this.#next
    if (kind !== 'mark' || '(),'.includes(text)) throw this.#unexpected()
    this.#at++
    return comparison(field, text, this.#constant(field))
  }

  #field(): Field {
    const { kind, text } = this.#next
    if (kind !== 'name') throw this.#unexpected()
    this.#at++
    const name = text.startsWith('`') ? text.slice(1, -1).replaceAll('``', '`') : text
    const field =
      this.#fields.find((one) => one.name === name) ??
      this.#fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (field === undefined) throw new RangeError(`there is no column ${name}`)
    if (['list', 'map', 'struct', 'null'].includes(field.type.kind)) {
      throw new RangeError(
        `column ${name} is of type ${typeName(field.type)}, which is not compared`,
      )
    }
    this.used.add(field)
    return field
  }

  /** As a row in JSON would have it. */
  #constant(field: Field): Scalar | null {
    const { kind, text } = this.#next
    let json: Json
    if (kind === 'text') json = text.slice(1, -1).replaceAll("''", "'")
    else if (kind === 'number') json = numberOf(text)
    else if (this.#word === 'TRUE' || this.#word === 'FALSE') json = this.#word === 'TRUE'
    else if (this.#word === 'NULL') json = null
    else throw this.#unexpected()
    this.#at++
    return constantOf(field, json)
  }

  get #word(): string {
    return this.#next.kind === 'name' ? this.#next.text.toUpperCase() : ''
  }

  #takeWord(word: string): boolean {
    if (this.#word !== word) return false
    this.#at++
    return true
  }

  #takeMark(mark: string): boolean {
    if (this.#next.kind !== 'mark' || this.#next.text !== mark) return false
    this.#at++
    return true
  }

  #expectMark(mark: string): void {
    if (!this.#takeMark(mark)) throw this.#unexpected()
  }

  #unexpected(): RangeError {
    const { kind, text } = this.#next
    return new RangeError(kind === 'end' ? 'the condition ends too early' : `unexpected ${text}`)
  }
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  const end = text.trimEnd().length
  for (let at = 0; at < end; ) {
    token.lastIndex = at
    const found = token.exec(text)
    if (found === null) throw new RangeError(`unexpected ${text.slice(at).trim().slice(0, 20)}`)
    const [kind, one] = Object.entries(found.groups!).find(([, group]) => group !== undefined)!
    tokens.push({ kind: kind as Token['kind'], text: one })
    at = token.lastIndex
  }
  return [...tokens, { kind: 'end', text: '' }]
}

/** With all its digits. */
function numberOf(text: string): Json {
  const [, sign, digits] = /^(-?)(.*)$/.exec(text)!
  const whole = digits!
    .replace(/^\./, '0.')
    .replace(/\.(?=$|[eE])/, '')
    .replace(/^0+(?=\d)/, '')
  return parseJson(`${sign}${whole}`)
}

function constantOf(field: Field, json: Json): Scalar | null {
  const { [field.name]: value } = rowOfJson([field], Object.fromEntries([[field.name, json]]))
  if (typeof value === 'number' && !isFloat(field.type) && !Number.isInteger(value)) {
    const shown = json instanceof NumberText ? json.text : value
    throw new RangeError(`${field.name} cannot be ${shown}: it is of type ${typeName(field.type)}`)
  }
  return (value ?? null) as Scalar | null
}

function isFloat({ kind }: DataType): boolean {
  return kind === 'float' || kind === 'double'
}

function negated(test: Test): Test {
  return (row) => {
    const truth = test(row)
    return truth === null ? null : !truth
  }
}

function comparison({ name, type }: Field, mark: string, constant: Scalar | null): Test {
  const wanted =
    type.kind === 'float' && typeof constant === 'number' ? Math.fround(constant) : constant
  return (row) => {
    const value = (row[name] ?? null) as Scalar | null
    if (value === null || wanted === null) return null
    const order = orderOf(value, wanted)
    switch (mark) {
      case '=':
      case '==':
        return order === 0
      case '<>':
      case '!=':
        return order !== 0
      case '<':
        return order < 0
      case '<=':
        return order <= 0
      case '>':
        return order > 0
      default:
        return order >= 0
    }
  }
}

/** NaN is the same as itself and above all other numbers, as in Spark. */
function orderOf(a: Scalar, b: Scalar): number {
  const [isNan, otherIsNan] = [Number.isNaN(a), Number.isNaN(b)]
  return isNan || otherIsNan ? Number(isNan) - Number(otherIsNan) : compareScalars(a, b)
}
