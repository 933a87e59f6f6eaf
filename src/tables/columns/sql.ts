/**
 * Expressions as SQL writes them, read for the columns that they are about: comparisons, `IN`, `BETWEEN`, `LIKE`, `IS NULL`,
 * joined by `AND`, `OR`, `NOT`; `+ - * / %` and `||`, `CASE`, `CAST`, and the functions of `functions.ts`. What binds
 * stronger is read deeper down.
 */
import { type Column, type DataType, type Field, typeName } from './column.ts'
import { parseJson } from './exact-json.ts'
import {
  arithmetic,
  columnExpression,
  type Evaluate,
  type Expression,
  literalExpression,
  type Operator,
  typed,
} from './expression.ts'
import { assigned, call, cast, concatenated } from './functions.ts'
import { type Token, tokensOf } from './sql-tokens.ts'
import {
  comparison,
  comparisonOf,
  condition,
  conjunction,
  disjunction,
  likeness,
  membership,
  negation,
  nullTest,
} from './truth.ts'

const depthMax = 100
/** Parts of one expression: more is no text of a person. */
const tokensMax = 20_000

export interface Parsed {
  readonly expression: Expression
  /** The columns that it looks at, in the order in which `Evaluate` takes them. */
  readonly fields: readonly Field[]
}

/**
 * Throws RangeError for what is no expression on these columns. `now`, in milliseconds, is what `current_timestamp()` says;
 * without it there is no such function.
 */
export function parseExpression(text: string, fields: readonly Field[], now?: number): Parsed {
  const parser = new Parser(text, fields, now)
  const expression = parser.whole()
  return { expression, fields: parser.used }
}

export interface Assignment {
  readonly field: Field
  readonly expression: Expression
}

/** As in `total = total + 1, note = 'late'`. Throws RangeError. */
export function parseAssignments(
  text: string,
  fields: readonly Field[],
): { readonly assignments: readonly Assignment[]; readonly fields: readonly Field[] } {
  const parser = new Parser(text, fields)
  return { assignments: parser.assignments(), fields: parser.used }
}

const types: Readonly<Record<string, DataType>> = {
  ...{ tinyint: { kind: 'int8' }, byte: { kind: 'int8' } },
  ...{ smallint: { kind: 'int16' }, short: { kind: 'int16' } },
  ...{ int: { kind: 'int32' }, integer: { kind: 'int32' } },
  ...{ bigint: { kind: 'int64' }, long: { kind: 'int64' } },
  ...{ float: { kind: 'float' }, real: { kind: 'float' }, double: { kind: 'double' } },
  ...{ string: { kind: 'string' }, boolean: { kind: 'boolean' }, date: { kind: 'date' } },
  timestamp: { kind: 'timestamp', unit: 'micros', isUtc: true },
  timestamp_ntz: { kind: 'timestamp', unit: 'micros', isUtc: false },
}
const reserved = new Set([
  'AND',
  'OR',
  'NOT',
  'IS',
  'IN',
  'BETWEEN',
  'LIKE',
  'THEN',
  'WHEN',
  'ELSE',
  'END',
  'AS',
])

function isMoment(word: string): boolean {
  return ['CURRENT_TIMESTAMP', 'CURRENT_DATE', 'NOW'].includes(word)
}

class Parser {
  readonly used: Field[] = []
  readonly #fields: readonly Field[]
  readonly #tokens: readonly Token[]
  readonly #now: number | undefined
  #at = 0
  #depth = 0

  constructor(text: string, fields: readonly Field[], now?: number) {
    this.#fields = fields
    this.#now = now
    this.#tokens = tokensOf(text)
    if (this.#tokens.length > tokensMax) throw new RangeError(`more than ${tokensMax} words`)
  }

  whole(): Expression {
    const expression = this.#either()
    if (this.#next.kind !== 'end') throw this.#unexpected()
    return expression
  }

  assignments(): Assignment[] {
    const all: Assignment[] = []
    do {
      const name = this.#name()
      const field = this.#fieldNamed(name)
      if (field === undefined) throw new RangeError(`there is no column ${name}`)
      if (all.some((one) => one.field === field)) {
        throw new RangeError(`two values for ${field.name}`)
      }
      this.#expectMark('=')
      all.push({ field, expression: this.#either() })
    } while (this.#takeMark(','))
    if (this.#next.kind !== 'end') throw this.#unexpected()
    return all
  }

  get #next(): Token {
    return this.#tokens[this.#at]!
  }

  #either(): Expression {
    return this.#within(() => {
      const parts = [this.#both()]
      while (this.#takeWord('OR')) parts.push(this.#both())
      return disjunction(parts)
    })
  }

  #both(): Expression {
    const parts = [this.#negated()]
    while (this.#takeWord('AND')) parts.push(this.#negated())
    return conjunction(parts)
  }

  #negated(): Expression {
    if (!this.#takeWord('NOT')) return this.#compared()
    return this.#within(() => negation(this.#negated()))
  }

  #within<Result>(read: () => Result): Result {
    if (++this.#depth > depthMax)
      throw new RangeError(`more than ${depthMax} expressions in another`)
    const result = read()
    this.#depth--
    return result
  }

  #compared(): Expression {
    const left = this.#joined()
    const op = this.#next.kind === 'mark' ? comparisonOf(this.#next.text) : undefined
    if (op !== undefined) {
      this.#at++
      return comparison(op, left, this.#joined())
    }
    if (this.#takeWord('IS')) {
      const wantsValue = this.#takeWord('NOT')
      if (!this.#takeWord('NULL')) throw this.#unexpected()
      return nullTest(left, wantsValue)
    }
    const isNegated = this.#takeWord('NOT')
    const test = this.#ranged(left)
    if (test === null && isNegated) throw this.#unexpected()
    if (test === null) return left
    return isNegated ? negation(test) : test
  }

  #ranged(left: Expression): Expression | null {
    if (this.#takeWord('IN')) return membership(left, this.#list())
    if (this.#takeWord('LIKE')) return likeness(left, this.#joined())
    if (!this.#takeWord('BETWEEN')) return null
    const least = this.#joined()
    if (!this.#takeWord('AND')) throw this.#unexpected()
    return conjunction([comparison('>=', left, least), comparison('<=', left, this.#joined())])
  }

  /** One at least, in parentheses. */
  #list(): Expression[] {
    this.#expectMark('(')
    const parts: Expression[] = []
    do parts.push(this.#either())
    while (this.#takeMark(','))
    this.#expectMark(')')
    return parts
  }

  #joined(): Expression {
    const parts = [this.#sum()]
    while (this.#takeMark('||')) parts.push(this.#sum())
    return parts.length === 1 ? parts[0]! : concatenated(parts)
  }

  #sum(): Expression {
    return this.#computed(['+', '-'], () => this.#computed(['*', '/', '%'], () => this.#signed()))
  }

  #computed(operators: readonly Operator[], read: () => Expression): Expression {
    let left = read()
    for (;;) {
      const operator = operators.find((one) => this.#takeMark(one))
      if (operator === undefined) return left
      left = arithmetic(operator, left, read())
    }
  }

  #signed(): Expression {
    if (this.#takeMark('+')) return this.#within(() => this.#signed())
    if (!this.#takeMark('-')) return this.#primary()
    if (this.#next.kind === 'number') return this.#number('-')
    return this.#within(() => arithmetic('-', literalExpression(0), this.#signed()))
  }

  #primary(): Expression {
    const { kind, text } = this.#next
    if (kind === 'number') return this.#number('')
    if (kind === 'text') {
      this.#at++
      return literalExpression(text)
    }
    if (this.#takeMark('(')) {
      const inner = this.#either()
      this.#expectMark(')')
      return inner
    }
    if (kind === 'quoted') return this.#column()
    if (kind !== 'name' || reserved.has(this.#word)) throw this.#unexpected()
    return this.#named()
  }

  /** With all its digits. */
  #number(sign: string): Expression {
    const digits = this.#next.text
      .replace(/^\./, '0.')
      .replace(/\.(?=$|[eE])/, '')
      .replace(/^0+(?=\d)/, '')
    this.#at++
    return literalExpression(parseJson(`${sign}${digits}`))
  }

  /** What begins with a word: a constant, a call, `CASE`, a column. */
  #named(): Expression {
    const word = this.#word
    const after = this.#tokens[this.#at + 1]!
    const isCall = after.kind === 'mark' && after.text === '('
    const isColumn = this.#fieldNamed(this.#next.text) !== undefined
    if (isMoment(word) && !isColumn && this.#now !== undefined) return this.#moment(word)
    if (isCall) {
      this.#at++
      if (word === 'CAST') return this.#cast()
      const args = this.#tokens[this.#at + 1]!.text === ')' ? this.#nothing() : this.#list()
      return call(word.toLowerCase(), args)
    }
    if (isColumn) return this.#column()
    const constant = { TRUE: true, FALSE: false, NULL: null }[word]
    if (constant !== undefined) {
      this.#at++
      return literalExpression(constant)
    }
    if (word === 'CASE') return this.#case()
    if (after.kind === 'text' && (word === 'DATE' || word.startsWith('TIMESTAMP'))) {
      const type = types[word.toLowerCase()]
      if (type === undefined) throw this.#unexpected()
      this.#at += 2
      return typed(literalExpression(after.text), type)
    }
    return this.#column()
  }

  /** With or without parentheses. */
  #moment(word: string): Expression {
    this.#at++
    if (this.#next.text === '(') this.#nothing()
    const micros = BigInt(this.#now!) * 1000n
    const moment: Expression = { type: types['timestamp']!, at: () => micros }
    return word === 'CURRENT_DATE' ? cast(moment, types['date']!) : moment
  }

  #nothing(): Expression[] {
    this.#expectMark('(')
    this.#expectMark(')')
    return []
  }

  #cast(): Expression {
    this.#expectMark('(')
    const inner = this.#either()
    if (!this.#takeWord('AS')) throw this.#unexpected()
    const type = this.#type()
    this.#expectMark(')')
    return cast(inner, type)
  }

  #type(): DataType {
    const name = this.#word.toLowerCase()
    if (Object.hasOwn(types, name)) {
      this.#at++
      return types[name]!
    }
    if (name !== 'decimal' && name !== 'numeric') throw this.#unexpected()
    this.#at++
    if (!this.#takeMark('(')) return { kind: 'decimal', precision: 10, scale: 0 }
    const precision = this.#digits()
    const scale = this.#takeMark(',') ? this.#digits() : 0
    this.#expectMark(')')
    if (precision < 1 || precision > 38 || scale > precision) {
      throw new RangeError(`there is no decimal(${precision},${scale})`)
    }
    return { kind: 'decimal', precision, scale }
  }

  #digits(): number {
    const { kind, text } = this.#next
    if (kind !== 'number' || !/^\d{1,2}$/.test(text)) throw this.#unexpected()
    this.#at++
    return Number(text)
  }

  #case(): Expression {
    this.#at++
    const branches: { when: Evaluate; result: Expression }[] = []
    return this.#within(() => {
      while (this.#takeWord('WHEN')) {
        const when = condition(this.#either()).at
        if (!this.#takeWord('THEN')) throw this.#unexpected()
        branches.push({ when, result: this.#either() })
      }
      const otherwise = this.#takeWord('ELSE') ? this.#either() : literalExpression(null)
      if (branches.length === 0 || !this.#takeWord('END')) throw this.#unexpected()
      const results = [...branches.map(({ result }) => result), otherwise]
      const { type } = results.find(({ literal }) => literal === undefined) ?? results[0]!
      const values = results.map((result) => assigned(result, type))
      return {
        type,
        at: (columns: readonly Column[], row: number) => {
          const found = branches.findIndex(({ when }) => when(columns, row) === true)
          return values.at(found)!(columns, row)
        },
      }
    })
  }

  /** A column, or what lies within its structs, with points between the names. */
  #column(): Expression {
    const names = [this.#name()]
    while (this.#takeMark('.')) names.push(this.#name())
    const whole = this.#fieldNamed(names.join('.'))
    const field = whole ?? this.#fieldNamed(names[0]!)
    if (field === undefined) throw new RangeError(`there is no column ${names.join('.')}`)
    if (!this.used.includes(field)) this.used.push(field)
    const path = [field.name]
    const within: number[] = []
    let { type } = field
    for (const name of whole === undefined ? names.slice(1) : []) {
      const fields: readonly Field[] = type.kind === 'struct' ? type.fields : []
      const place = fields.findIndex((one) => one.name.toLowerCase() === name.toLowerCase())
      if (place < 0) throw new RangeError(`there is no column ${names.join('.')}`)
      path.push(fields[place]!.name)
      within.push(place)
      type = fields[place]!.type
    }
    if (type.kind === 'null')
      throw new RangeError(`column ${field.name} is of type ${typeName(type)}`)
    return columnExpression(this.used.indexOf(field), type, path, within)
  }

  #name(): string {
    const { kind, text } = this.#next
    if (kind !== 'name' && kind !== 'quoted') throw this.#unexpected()
    this.#at++
    return text
  }

  #fieldNamed(name: string): Field | undefined {
    return (
      this.#fields.find((one) => one.name === name) ??
      this.#fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
    )
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
    return new RangeError(kind === 'end' ? 'the expression ends too early' : `unexpected ${text}`)
  }
}
