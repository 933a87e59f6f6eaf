/**
 * Values made from the tables: any value that a version of a message can hold, from a seed. What
 * the version lacks gets its default, so that encoding and decoding gives the very same value.
 */
import type { Field, Fields, Message } from '../../protocol/schema.ts'
import type { Primitive, Type } from '../../protocol/types.ts'
import { includes, int64Max, int64Min, zeroUuid } from '../../protocol/types.ts'

/** A number from 0 up to, but not including, `limit`. */
export type Random = (limit: number) => number

/** Mulberry32: small, and the same everywhere for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed | 0
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * limit)
  }
}

export function generateValue(table: Message, version: number, random: Random): never {
  return generateFields(table.fields, version, random) as never
}

function generateFields(fields: Fields, version: number, random: Random): object {
  const entries = Object.entries(fields).map(([name, field]) => [
    name,
    generateField(field, version, random),
  ])
  return Object.fromEntries(entries)
}

function generateField(field: Field, version: number, random: Random): unknown {
  if (!includes(field.versions, version)) return field.default
  const isNullable = includes(field.nullable, version)
  if (isNullable && random(4) === 0) return null
  if (field.tag !== null && random(2) === 0 && (isNullable || field.default !== null)) {
    return field.default
  }
  return generate(field.type, version, random)
}

function generate(type: Type<Fields>, version: number, random: Random): unknown {
  if (type.kind === 'struct') return generateFields(type.fields, version, random)
  if (type.kind === 'array') {
    return Array.from({ length: random(4) }, () => generate(type.element, version, random))
  }
  return generators[type.name](random)
}

function integer(min: number, max: number): (random: Random) => number {
  return (random) => {
    const choice = random(6)
    if (choice < 3) return [0, min, max][choice] as number
    return choice === 3 ? Math.min(max, random(200)) : Math.floor(min + random(max - min))
  }
}

const texts = [
  '',
  'orders',
  'größe',
  '\u6c34\u8eca',
  '\u{1f6b0} race',
  'x'.repeat(126),
  'é'.repeat(70),
]

function byteChunk(random: Random, sizeMax: number): Buffer {
  return Buffer.from(Array.from({ length: random(sizeMax) }, () => random(256)))
}

const generators: Record<Primitive, (random: Random) => unknown> = {
  bool: (random) => random(2) === 1,
  int8: integer(-0x80, 0x7f),
  int16: integer(-0x8000, 0x7fff),
  uint16: integer(0, 0xffff),
  int32: integer(-0x8000_0000, 0x7fff_ffff),
  uint32: integer(0, 0xffff_ffff),
  int64: (random) =>
    [int64Min, int64Max, -1, 2 ** 53, -(2 ** 53), random(2 ** 53), -random(2 ** 40)][random(7)],
  int64Exact: (random) => [-(2n ** 63n), 2n ** 63n - 1n, -1n, BigInt(random(2 ** 53))][random(4)],
  float64: (random) => [0, -1.5, Number.MAX_VALUE, Number.MIN_VALUE, 1 / 3][random(5)],
  uuid: (random) => (random(3) === 0 ? zeroUuid : uuidOf(random)),
  string: (random) => texts[random(texts.length)],
  bytes: (random) => byteChunk(random, random(10) === 0 ? 5000 : 20),
  records: (random) => [byteChunk(random, random(10) === 0 ? 5000 : 20)],
}

function uuidOf(random: Random): string {
  return Buffer.from(Array.from({ length: 16 }, () => random(256))).toString('base64url')
}
