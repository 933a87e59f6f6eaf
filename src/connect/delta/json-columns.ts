/**
 * Objects of JSON put into columns as they are read, without anything made of them in between: neither Connect's data nor
 * a row. What is taken is what `fit` would have made of it, value for value; all that is not plain is left to that:
 * columns that there are not yet, values that do not fit, two values for one, maps, decimals, malformed text.
 *
 * Objects mostly have their names in the order of those before them, so a name is compared with the one that came next
 * there before it is looked for.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import type { DataType, Field } from '../../tables/columns/column.ts'
import {
  type BatchBuilder,
  ListBuilder,
  RequiredBuilder,
  StructBuilder,
} from '../../tables/columns/column-builder.ts'
import {
  BytesBuilder,
  type ColumnBuilder,
  NumberBuilder,
} from '../../tables/columns/leaf-builders.ts'
import { DataException } from '../failures.ts'
import { fit, namesOf } from './fit.ts'
import { JsonCursor } from './json-cursor.ts'

const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c
const colon = 0x3a
const quote = 0x22
const letterN = 0x6e
const nullWord = Buffer.from('null')
const trueWord = Buffer.from('true')
const falseWord = Buffer.from('false')

/** Reads a value that is there and not null into its column. False: it is for others; what was appended is undone. */
type Read = (json: JsonCursor) => boolean

export class JsonColumns {
  readonly #cursor = new JsonCursor()
  readonly #members: Members

  /** Columns named in `others`, in lower case, are filled by somebody else, and no value may have their names. */
  constructor(batch: BatchBuilder, fields: readonly Field[], others: ReadonlySet<string>) {
    this.#members = new Members(fields, batch.columns, others)
  }

  /** Whether the text was appended, but for the other columns; else the row has to be dropped. */
  append(text: Buffer): boolean {
    if (!isAscii(text) && !isUtf8(text)) return false
    const json = this.#cursor
    json.begin(text)
    if (!json.takes(openBrace) || !this.#members.read(json)) return false
    json.skipSpace()
    return json.at === json.end
  }
}

/** The names of an object and what stands for them, each put into its column. */
class Members {
  readonly #fields: readonly Field[]
  readonly #names: readonly Uint8Array[]
  readonly #columns: readonly ColumnBuilder[]
  readonly #reads: readonly Read[]
  readonly #isOther: readonly boolean[]
  /** In which object a column had its last value. */
  readonly #taken: Float64Array
  /** Which column's name came behind that of each last; at the end, which came first. */
  readonly #following: Int32Array
  #objects = 0

  constructor(
    fields: readonly Field[],
    columns: readonly ColumnBuilder[],
    others: ReadonlySet<string> = new Set(),
  ) {
    this.#fields = fields
    this.#names = fields.map(({ name }) => Buffer.from(name))
    this.#columns = columns
    this.#reads = fields.map((field, i) => readerOf(field, columns[i]!))
    this.#isOther = fields.map(({ name }) => others.has(name.toLowerCase()))
    this.#taken = new Float64Array(fields.length)
    this.#following = Int32Array.from([...fields.keys()].map((i) => i + 1).concat(0))
  }

  /** Behind the opening brace. */
  read(json: JsonCursor): boolean {
    const object = ++this.#objects
    let last = this.#names.length
    if (!json.takes(closeBrace)) {
      do {
        json.skipSpace()
        const place = this.#placeOf(json, last)
        if (place === null || !json.takes(colon)) return false
        json.skipSpace()
        if (place < 0) {
          // No column, and nothing in it.
          if (!json.takesWord(nullWord)) return false
          continue
        }
        if (this.#taken[place] === object || this.#isOther[place]) return false
        this.#taken[place] = object
        last = place
        if (!this.#readValue(json, place)) return false
      } while (json.takes(comma))
      if (!json.takes(closeBrace)) return false
    }
    for (let place = 0; place < this.#columns.length; place++) {
      if (this.#taken[place] === object || this.#isOther[place]) continue
      if (!this.#appendNothing(place)) return false
    }
    return true
  }

  #readValue(json: JsonCursor, place: number): boolean {
    if (json.bytes[json.at] !== letterN) return this.#reads[place]!(json)
    return json.takesWord(nullWord) && this.#appendNothing(place)
  }

  #appendNothing(place: number): boolean {
    if (!this.#fields[place]!.isNullable) return false
    this.#columns[place]!.append(null)
    return true
  }

  /** -1: there is no such column; null: there is no name, or none that is plain. */
  #placeOf(json: JsonCursor, last: number): number | null {
    const next = this.#following[last]!
    if (next < this.#names.length && this.#isNext(json, this.#names[next]!)) return next
    const name = json.plainString()
    if (name === null) return null
    const place = namesOf(this.#fields).find(name)
    if (place === undefined) return -1
    this.#following[last] = place
    return place
  }

  #isNext(json: JsonCursor, name: Uint8Array): boolean {
    const { bytes, at } = json
    const end = at + name.length + 1
    if (bytes[at] !== quote || bytes[end] !== quote) return false
    for (let i = 0; i < name.length; i++) if (bytes[at + 1 + i] !== name[i]) return false
    json.at = end + 1
    return true
  }
}

function readerOf({ type, name }: Field, column: ColumnBuilder): Read {
  if (column instanceof RequiredBuilder)
    return readerOf({ type, name, isNullable: true }, column.within)
  if (column instanceof StructBuilder)
    return structReader(type as DataType & { kind: 'struct' }, column)
  if (column instanceof ListBuilder) return listReader(type as DataType & { kind: 'list' }, column)
  if (column instanceof BytesBuilder && type.kind === 'string')
    return (json) => json.stringTo(column)
  if (column instanceof NumberBuilder) return numberReader(type, column)
  return () => false
}

function numberReader(type: DataType, column: NumberBuilder): Read {
  switch (type.kind) {
    case 'boolean':
      return (json) => {
        const isTrue = json.takesWord(trueWord)
        if (!isTrue && !json.takesWord(falseWord)) return false
        column.appendNumber(isTrue ? 1 : 0)
        return true
      }
    case 'int8':
      return integerReader(column, 2 ** 7)
    case 'int16':
      return integerReader(column, 2 ** 15)
    case 'int32':
      return integerReader(column, 2 ** 31)
    case 'int64':
      return (json) => {
        const value = json.integer()
        if (typeof value === 'number') column.appendSafeInteger(value)
        else if (value !== undefined) column.append(value)
        return value !== undefined
      }
    case 'float':
    case 'double': {
      const isDouble = type.kind === 'double'
      return (json) => {
        const value = json.double()
        if (value === undefined) return false
        const held = isDouble ? value : Math.fround(value)
        if (!Number.isFinite(held)) return false
        column.appendNumber(held)
        return true
      }
    }
    default:
      return textReader(type, column)
  }
}

function integerReader(column: NumberBuilder, bound: number): Read {
  return (json) => {
    const value = json.integer()
    if (typeof value !== 'number' || value < -bound || value >= bound) return false
    column.appendNumber(value)
    return true
  }
}

/** A type that has its values in text: dates and timestamps. */
function textReader(type: DataType, column: NumberBuilder): Read {
  const field = { name: '', type, isNullable: true }
  return (json) => {
    const text = json.plainString()
    if (text === null) return false
    try {
      column.append(fit(field, text, ''))
      return true
    } catch (error) {
      if (error instanceof DataException) return false
      throw error
    }
  }
}

function listReader({ element }: DataType & { kind: 'list' }, column: ListBuilder): Read {
  const read = readerOf(element, column.element)
  return (json) => {
    if (!json.takes(openBracket)) return false
    let count = 0
    if (!json.takes(closeBracket)) {
      do {
        json.skipSpace()
        if (json.bytes[json.at] !== letterN) {
          if (!read(json)) return false
        } else {
          if (!element.isNullable || !json.takesWord(nullWord)) return false
          column.element.append(null)
        }
        count++
      } while (json.takes(comma))
      if (!json.takes(closeBracket)) return false
    }
    column.appendElements(count)
    return true
  }
}

function structReader({ fields }: DataType & { kind: 'struct' }, column: StructBuilder): Read {
  const members = new Members(fields, column.children)
  return (json) => {
    if (!json.takes(openBrace) || !members.read(json)) return false
    column.appendPresent()
    return true
  }
}
