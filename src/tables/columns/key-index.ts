/**
 * Rows found by their keys: the values of a few columns, which are the same as in SQL's `=`, but that NaN is the same as
 * itself. A row that lacks a value in one of them has no key, and is never found.
 */
import { type Column, type Field, isValid, typeName } from './column.ts'
import { valueAt } from './value.ts'

type Key = string | number | bigint | boolean

export class KeyIndex {
  readonly #keyOf: (columns: readonly Column[], row: number) => Key | null
  readonly #rows = new Map<Key, number>()

  /** Throws RangeError for a column whose values are no keys. */
  constructor(fields: readonly Field[]) {
    const parts = fields.map(keyPart)
    const [only] = parts
    this.#keyOf =
      parts.length === 1
        ? (columns, row) => only!(columns[0]!, row)
        : (columns, row) => whole(parts, columns, row)
  }

  /** Remembers a row. Answers the one with its key that was remembered before, which it replaces; -1: there was none. */
  put(columns: readonly Column[], row: number): number {
    const key = this.#keyOf(columns, row)
    if (key === null) return -1
    const before = this.#rows.get(key) ?? -1
    this.#rows.set(key, row)
    return before
  }

  /** The row that was remembered last with the key of this one; -1: none was. The columns are those of the fields. */
  find(columns: readonly Column[], row: number): number {
    const key = this.#keyOf(columns, row)
    return key === null ? -1 : (this.#rows.get(key) ?? -1)
  }
}

type KeyPart = (column: Column, row: number) => Key | null

function keyPart({ name, type }: Field): KeyPart {
  switch (type.kind) {
    case 'null':
    case 'list':
    case 'map':
    case 'struct':
      throw new RangeError(`column ${name} is of type ${typeName(type)}, which is no key`)
    default:
      return (column, row) => {
        if (!isValid(column, row)) return null
        // Text is told apart by its bytes, whether or not they are UTF-8.
        if (column.layout === 'bytes') return bytesAt(column, row)
        return valueAt(type, column, row) as Key
      }
  }
}

function bytesAt({ bytes, offsets }: Column & { layout: 'bytes' }, row: number): string {
  const start = offsets[row]!
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, offsets[row + 1]! - start).toString(
    'latin1',
  )
}

function whole(parts: readonly KeyPart[], columns: readonly Column[], row: number): string | null {
  let key = ''
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!(columns[i]!, row)
    if (part === null) return null
    const text = String(part)
    key += `${text.length}:${text}`
  }
  return key
}
