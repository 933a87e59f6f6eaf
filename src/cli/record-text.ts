/**
 * Records as text, both ways. The JSON form is one object a line; what `consume --json` prints,
 * `produce --format json` takes back unchanged:
 *
 *     {"topic":"orders","partition":0,"offset":7,"timestamp":1700000000000,
 *      "key":"k","value":"v","headers":[{"key":"source","value":"web"}]}
 *
 * Bytes that are not UTF-8 go as base64 under `keyBase64` and `valueBase64` in place of `key` and
 * `value`. On the way in, headers may also be one object, values other than strings become their JSON
 * text, and everything but the value may be missing.
 */
import { isUtf8 } from 'node:buffer'
import type { BatchRecord, RecordHeader } from '../../protocol/records/record.ts'

export const encodings = ['text', 'base64', 'hex'] as const
export type Encoding = (typeof encodings)[number]

/** The bytes that a text stands for. Throws RangeError where it is no base64 or hex. */
export function decodeBytes(text: Buffer, encoding: Encoding): Buffer {
  if (encoding === 'text') return text
  const characters = text.toString('latin1').trim()
  const pattern = encoding === 'hex' ? /^([0-9a-fA-F]{2})*$/ : /^[A-Za-z0-9+/_-]*={0,2}$/
  if (!pattern.test(characters))
    throw new RangeError(`"${characters.slice(0, 40)}" is no ${encoding}`)
  return Buffer.from(characters, encoding)
}

/** The text that stands for bytes. */
export function encodeBytes(bytes: Buffer, encoding: Encoding): Buffer {
  return encoding === 'text' ? bytes : Buffer.from(bytes.toString(encoding), 'latin1')
}

/** A record as the JSON form has it. */
export interface JsonRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
  readonly partition?: number
  readonly timestamp?: number
}

/** Throws RangeError or SyntaxError where the text is no record. */
export function parseRecord(text: string): JsonRecord {
  const row: unknown = JSON.parse(text)
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    throw new RangeError('a record is an object, like {"key":"k","value":"v"}')
  const fields = row as Record<string, unknown>
  if (!('value' in fields) && !('valueBase64' in fields))
    throw new RangeError('a record has a "value"')
  return {
    key: bytesOf(fields, 'key'),
    value: bytesOf(fields, 'value'),
    headers: headersOf(fields['headers']),
    ...integerOf(fields, 'partition'),
    ...integerOf(fields, 'timestamp'),
  }
}

function integerOf(fields: Record<string, unknown>, name: 'partition' | 'timestamp') {
  const number = fields[name]
  if (number === undefined || number === null || (name === 'timestamp' && number === -1)) return {}
  if (!Number.isSafeInteger(number)) throw new RangeError(`"${name}" is a whole number`)
  return { [name]: number as number }
}

function bytesOf(fields: Record<string, unknown>, name: string): Buffer | null {
  const encoded = fields[`${name}Base64`]
  if (typeof encoded === 'string') return decodeBytes(Buffer.from(encoded, 'latin1'), 'base64')
  const plain = fields[name]
  if (plain === undefined || plain === null) return null
  return Buffer.from(typeof plain === 'string' ? plain : JSON.stringify(plain))
}

function headersOf(headers: unknown): RecordHeader[] {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers))
    return headers.map((header: Record<string, unknown>) => {
      if (typeof header?.['key'] !== 'string')
        throw new RangeError('a header has a "key" and a "value"')
      return { key: header['key'], value: bytesOf(header, 'value') }
    })
  if (typeof headers !== 'object') throw new RangeError('"headers" is an array or an object')
  return Object.entries(headers).map(([key, value]) => ({
    key,
    value: bytesOf({ value }, 'value'),
  }))
}

/** The JSON form of a record, without a newline. */
export function printRecord(topic: string, partition: number, record: BatchRecord): string {
  const { offset, timestamp, key, value, headers } = record
  return JSON.stringify({
    topic,
    partition,
    offset,
    timestamp,
    ...printBytes('key', key),
    ...printBytes('value', value),
    headers: headers.map((header) => ({ key: header.key, ...printBytes('value', header.value) })),
  })
}

function printBytes(name: string, bytes: Buffer | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null }
  if (isUtf8(bytes)) return { [name]: bytes.toString('utf8') }
  return { [`${name}Base64`]: bytes.toString('base64') }
}

const namedCharacters: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
  0: '\0',
  '\\': '\\',
}

/** A separator as it is typed: `\t`, `\n`, `\x1f` and the like stand for what they name. */
export function unescaped(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|[tnr0\\])/g, (_, name: string) =>
    name.startsWith('x')
      ? String.fromCharCode(Number.parseInt(name.slice(1), 16))
      : namedCharacters[name]!,
  )
}
