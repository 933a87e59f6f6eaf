/**
 * Columns that rows in JSON would need. Integers are int64, or decimals where they are longer; other numbers are
 * double, text is text, also where it looks like a date. What is integer in one row and a fraction in another is
 * double; what is text in one and a number in another is refused.
 */
import { type DataType, type Field, typeName } from './column.ts'
import { type Json, NumberText } from './exact-json.ts'

/** Lists and objects within others: more is no table. */
const depthMax = 50
const columnsMax = 10_000

/** What a value was seen to be; `null`: never anything. */
type Seen =
  | null
  | 'boolean'
  | 'int64'
  | 'decimal'
  | 'double'
  | 'string'
  | { readonly list: Seen }
  | { readonly struct: Map<string, Seen> }

export class SchemaInference {
  #seen: Map<string, Seen> = new Map()

  /** Throws RangeError for what fits no column beside the rows before. */
  observe(row: Json): void {
    const seen = seenOf(row, '', 0)
    if (seen === null || typeof seen === 'string' || !('struct' in seen)) {
      throw new RangeError('not an object')
    }
    this.#seen = mergedStruct(this.#seen, seen.struct, '')
  }

  /** A column that never had a value is taken to be text. */
  fields(): Field[] {
    return fieldsOf(this.#seen, '')
  }
}

function seenOf(json: Json, at: string, depth: number): Seen {
  if (depth > depthMax) throw new RangeError(`${at} is more than ${depthMax} levels deep`)
  switch (typeof json) {
    case 'boolean':
      return 'boolean'
    case 'string':
      return 'string'
    case 'number':
      // Longer integers are bigints: one that is not is written with a point or an exponent.
      return Number.isSafeInteger(json) && !Object.is(json, -0) ? 'int64' : 'double'
    case 'bigint':
      return integerSeen(json, at)
    default:
      break
  }
  if (json === null) return null
  if (json instanceof NumberText) return 'double'
  if (Array.isArray(json)) {
    const element = json.reduce<Seen>(
      (seen, one) => merged(seen, seenOf(one, `${at}[]`, depth + 1), `${at}[]`),
      null,
    )
    return { list: element }
  }
  const struct = new Map<string, Seen>()
  for (const [name, value] of Object.entries(json)) {
    struct.set(name, seenOf(value, at === '' ? name : `${at}.${name}`, depth + 1))
  }
  return { struct }
}

function integerSeen(value: bigint, at: string): Seen {
  if (BigInt.asIntN(64, value) === value) return 'int64'
  if (value < 10n ** 38n && value > -(10n ** 38n)) return 'decimal'
  throw new RangeError(`${at}: no type holds an integer of more than 38 digits`)
}

const numbers: readonly Seen[] = ['int64', 'decimal', 'double']

function merged(a: Seen, b: Seen, at: string): Seen {
  if (a === null || a === b) return b
  if (b === null) return a
  if (typeof a === 'string' || typeof b === 'string') {
    const wider = Math.max(numbers.indexOf(a), numbers.indexOf(b))
    if (!numbers.includes(a) || !numbers.includes(b)) throw contradiction(a, b, at)
    return numbers[wider]!
  }
  if ('list' in a && 'list' in b) return { list: merged(a.list, b.list, `${at}[]`) }
  if ('struct' in a && 'struct' in b) return { struct: mergedStruct(a.struct, b.struct, at) }
  throw contradiction(a, b, at)
}

function mergedStruct(
  into: Map<string, Seen>,
  from: ReadonlyMap<string, Seen>,
  at: string,
): Map<string, Seen> {
  let folded: Map<string, string> | undefined
  for (const [name, seen] of from) {
    if (!into.has(name)) {
      folded ??= new Map([...into.keys()].map((one) => [one.toLowerCase(), one]))
      const other = folded.get(name.toLowerCase())
      if (other !== undefined) throw sameName(name, other, at)
      folded.set(name.toLowerCase(), name)
    }
    const before = into.get(name) ?? null
    into.set(name, merged(before, seen, at === '' ? name : `${at}.${name}`))
  }
  if (into.size > columnsMax) throw new RangeError(`more than ${columnsMax} columns`)
  return into
}

function sameName(name: string, other: string, at: string): RangeError {
  const within = at === '' ? '' : ` of ${at}`
  return new RangeError(
    `${name} and ${other}${within}: names that differ in case only are one name`,
  )
}

function contradiction(a: Seen, b: Seen, at: string): RangeError {
  return new RangeError(`${at} is ${kindOf(b)}, but was ${kindOf(a)} in a row before`)
}

function kindOf(seen: Seen): string {
  if (seen === null) return 'nothing'
  if (seen === 'decimal') return seen
  if (typeof seen === 'string') return typeName({ kind: seen })
  return 'list' in seen ? 'a list' : 'an object'
}

function fieldsOf(seen: ReadonlyMap<string, Seen>, at: string): Field[] {
  if (seen.size === 0) throw new RangeError(`${at === '' ? 'rows' : at}: objects without a field`)
  return [...seen].map(([name, one]) => ({
    name,
    type: typeOf(one, at === '' ? name : `${at}.${name}`),
    isNullable: true,
  }))
}

function typeOf(seen: Seen, at: string): DataType {
  if (seen === null) return { kind: 'string' }
  if (seen === 'decimal') return { kind: 'decimal', precision: 38, scale: 0 }
  if (typeof seen === 'string') return { kind: seen }
  if ('struct' in seen) return { kind: 'struct', fields: fieldsOf(seen.struct, at) }
  const element = { name: 'element', type: typeOf(seen.list, `${at}[]`), isNullable: true }
  return { kind: 'list', element }
}
