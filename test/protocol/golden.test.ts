/**
 * The tables against Kafka itself: bytes that Kafka's own classes wrote, beside the values that
 * they held (`test/golden/generate` makes them). Each is decoded, compared, and encoded again to
 * the same bytes, except where the bytes have tags that no table knows: those are passed over.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { decode, encode } from '../../protocol/codec.ts'
import type { Field, Fields } from '../../protocol/schema.ts'
import type { Type } from '../../protocol/types.ts'
import { includes, int64Max } from '../../protocol/types.ts'
import { allMessages, versionsOf } from './all-messages.ts'

const directory = new URL('../../../test/golden/messages/', import.meta.url)

interface Golden {
  message: string
  version: number
  fill: string
  value: Record<string, unknown>
  bytes: string
}

function goldenLines(): Golden[] {
  return readdirSync(directory).flatMap((name) => {
    const text = gunzipSync(readFileSync(new URL(name, directory))).toString()
    return text
      .trimEnd()
      .split('\n')
      .map((line): Golden => JSON.parse(line))
  })
}

/**
 * The value as decoding gives it: bytes as buffers, defaults for the fields that its version
 * lacks.
 */
function expectedFields(fields: Fields, value: Record<string, unknown>, version: number): unknown {
  const entries = Object.entries(fields).map(([name, field]) => {
    if (!includes(field.versions, version)) return [name, field.default]
    return [name, expectedField(field, value[name], version)]
  })
  return Object.fromEntries(entries)
}

function expectedField(field: Field, value: unknown, version: number): unknown {
  return value === null ? null : expectedValue(field.type, value, version)
}

function expectedValue(type: Type<Fields>, value: unknown, version: number): unknown {
  if (value === undefined) throw new Error('the value lacks a field of its version')
  if (type.kind === 'array') {
    return (value as unknown[]).map((element) => expectedValue(type.element, element, version))
  }
  if (type.kind === 'struct') {
    return expectedFields(type.fields, value as Record<string, unknown>, version)
  }
  if (type.name === 'bytes') return Buffer.from(value as string, 'base64')
  if (type.name === 'records') return [Buffer.from(value as string, 'base64')]
  // JSON knows doubles only; the values here are small, or the ends of the range.
  if (type.name !== 'int64Exact') return value
  return value === int64Max ? 2n ** 63n - 1n : BigInt(value as number)
}

t.test("Kafka's bytes decode to Kafka's values and encode to the same bytes", async (t) => {
  const lines = goldenLines()
  const covered = new Map<string, Set<number>>()
  for (const { message, version, fill, value, bytes } of lines) {
    const what = `${message} v${version} ${fill}`
    const table = allMessages.get(message)
    if (table === undefined || !includes(table.valid, version)) {
      t.fail(`a table for ${what}`)
      return
    }
    const golden = Buffer.from(bytes, 'base64')
    const decoded = decode(table, version, golden)
    const expected = expectedFields(table.fields, value, version)
    if (!isDeepStrictEqual(decoded, expected)) {
      t.strictSame(decoded, expected, what)
      return
    }
    const encoded = encode(table, version, decoded)
    if (fill !== 'UNKNOWN_TAGS' && !encoded.equals(golden)) {
      t.equal(encoded.toString('hex'), golden.toString('hex'), `${what}, encoded`)
      return
    }
    const versions = covered.get(message) ?? new Set()
    covered.set(message, versions.add(version))
  }
  const missing = [...allMessages.values()].flatMap((table) =>
    versionsOf(table)
      .filter((version) => !covered.get(table.name)?.has(version))
      .map((version) => `${table.name} v${version}`),
  )
  t.same(missing, [], `${lines.length} values; every version of every table has some`)
})
