/**
 * Values of rows given in JSON: the way back of `json-text.ts`, of the same forms. What a type cannot hold is refused
 * with a RangeError that names the column; nothing is rounded or cut off to make it fit, but for floats, whose text
 * may have more digits than they keep.
 */
import { type DataType, type Field, typeName } from './column.ts'
import { type Json, NumberText } from './exact-json.ts'
import { dateOf, decimalOf, timestampOf } from './text-values.ts'
import type { Value } from './value.ts'

type JsonObject = { readonly [name: string]: Json }

/** A row by the names of the fields, which are found whatever their case. */
export function rowOfJson(fields: readonly Field[], json: Json): { [name: string]: Value } {
  if (!isObject(json)) throw new RangeError('not an object')
  return structOf(fields, json, '')
}

function structOf(
  fields: readonly Field[],
  json: JsonObject,
  at: string,
): { [name: string]: Value } {
  const row: [string, Value][] = []
  for (const [name, value] of Object.entries(json)) {
    const field =
      fields.find((one) => one.name === name) ??
      fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (field === undefined) throw new RangeError(`there is no column ${at}${name}`)
    row.push([field.name, valueOfJson(field.type, value, `${at}${field.name}`)])
  }
  const names = row.map(([name]) => name)
  if (new Set(names).size < names.length) {
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    throw new RangeError(`two values for ${at}${twice}, whose case makes no difference`)
  }
  // Not by assignment: a field may be named __proto__.
  return Object.fromEntries(row)
}

function valueOfJson(type: DataType, json: Json, at: string): Value {
  if (json === null) return null
  switch (type.kind) {
    case 'boolean':
      if (typeof json === 'boolean') return json
      break
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      if (typeof json === 'number' || typeof json === 'bigint') return json
      break
    case 'float':
    case 'double': {
      const value = floatOf(json)
      if (value !== null) return inRange(type, value, at)
      break
    }
    case 'list':
      if (!Array.isArray(json)) break
      return json.map((one) => valueOfJson(type.element.type, one, `${at}[]`))
    case 'map':
      return mapOf(type, json, at)
    case 'struct':
      if (isObject(json)) return structOf(type.fields, json, `${at}.`)
      break
    default: {
      const value = scalarOf(type, json, at)
      if (value !== undefined) return value
    }
  }
  throw mismatch(type, json, at)
}

/** `undefined`: the type has no such form. */
function scalarOf(type: DataType, json: Json, at: string): Value | undefined {
  if (type.kind === 'decimal') {
    const text = json instanceof NumberText ? json.text : json
    if (typeof text === 'boolean' || typeof text === 'object') return undefined
    return named(at, () => decimalOf(String(text), type.scale))
  }
  if (typeof json !== 'string') return undefined
  switch (type.kind) {
    case 'string':
      return json
    case 'binary':
      return bytesOf(json)
    case 'date':
      return /[T ]/.test(json) ? undefined : named(at, () => dateOf(json))
    case 'timestamp':
      if (!type.isUtc && /(?:Z|[+-]\d{2}:?\d{2})$/.test(json.slice(10))) return undefined
      if (/\.\d{6}\d*[1-9]/.test(json)) return undefined
      return named(at, () => timestampOf(json))
    default:
      return undefined
  }
}

function floatOf(json: Json): number | null {
  if (typeof json === 'number' || typeof json === 'bigint') return Number(json)
  if (json instanceof NumberText) return Number(json.text)
  if (json === 'NaN') return Number.NaN
  if (json === 'Infinity') return Number.POSITIVE_INFINITY
  return json === '-Infinity' ? Number.NEGATIVE_INFINITY : null
}

/** A number that only a wider type holds would become infinite. */
function inRange(type: DataType, value: number, at: string): number {
  const held = type.kind === 'float' ? Math.fround(value) : value
  if (Number.isFinite(held) || !Number.isFinite(value)) return value
  throw new RangeError(`${at} cannot hold ${value}: it is of type ${typeName(type)}`)
}

/** `undefined` for what is not base64 of whole bytes. */
function bytesOf(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** Text keys as those of an object, others as a list of key and value. */
function mapOf(type: DataType & { kind: 'map' }, json: Json, at: string): Value {
  const entries = new Map<Value, Value>()
  const put = (key: Json, value: Json): void => {
    const made = valueOfJson(type.key.type, key, `${at} (key)`)
    if (made === null) throw new RangeError(`${at} has an entry without a key`)
    entries.set(made, valueOfJson(type.value.type, value, `${at} (value)`))
  }
  if (Array.isArray(json)) {
    for (const entry of json) {
      const isEntry =
        isObject(entry) && Object.keys(entry).every((name) => name === 'key' || name === 'value')
      if (!isEntry) throw new RangeError(`${at}: an entry that is no {"key", "value"}`)
      put(entry['key'] ?? null, entry['value'] ?? null)
    }
    return entries
  }
  if (!isObject(json) || type.key.type.kind !== 'string') throw mismatch(type, json, at)
  for (const [key, value] of Object.entries(json)) put(key, value)
  return entries
}

function isObject(json: Json): json is { [name: string]: Json } {
  return (
    typeof json === 'object' &&
    json !== null &&
    !Array.isArray(json) &&
    !(json instanceof NumberText)
  )
}

function named<Result>(at: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new RangeError(`${at}: ${error.message}`, { cause: error })
  }
}

function mismatch(type: DataType, json: Json, at: string): RangeError {
  const shown =
    json instanceof NumberText
      ? json.text
      : Array.isArray(json)
        ? 'a list'
        : typeof json === 'object'
          ? 'an object'
          : JSON.stringify(typeof json === 'bigint' ? String(json) : json)
  return new RangeError(`${at} cannot hold ${shown.slice(0, 60)}: it is of type ${typeName(type)}`)
}
