/**
 * The order of a leaf's values, as statistics and indexes mean it: signed or unsigned by type, byte for byte for text
 * and bytes, false before true. Types without an order have no minimum and maximum.
 */
import { isUtf8 } from 'node:buffer'
import type { DataType } from '../columns/column.ts'
import { ByteArrays, type FixedWidthValues, type PhysicalValues } from './physical-values.ts'
import type { LeafNode } from './schema.ts'

export type ValueOrder = 'signed' | 'unsigned' | 'float' | 'bytes' | 'bigEndian' | 'none'

export function orderOf({ field, physical }: LeafNode): ValueOrder {
  switch (physical) {
    case 'BOOLEAN':
      return 'unsigned'
    case 'INT32':
    case 'INT64':
      return isUnsigned(field.type) ? 'unsigned' : field.type.kind === 'null' ? 'none' : 'signed'
    case 'FLOAT':
    case 'DOUBLE':
      return 'float'
    case 'INT96':
      return 'none'
    case 'BYTE_ARRAY':
    case 'FIXED_LEN_BYTE_ARRAY':
      if (field.type.kind === 'decimal') return 'bigEndian'
      return field.type.kind === 'interval' || field.type.kind === 'float16' ? 'none' : 'bytes'
  }
}

function isUnsigned({ kind }: DataType): boolean {
  return kind === 'uint8' || kind === 'uint16' || kind === 'uint32' || kind === 'uint64'
}

/** Places of the least and the greatest of some values. */
export interface Extremes {
  readonly least: number
  readonly greatest: number
}

type Compare = (a: number, b: number) => number

/**
 * The extremes of `values`, of those that `isUsed` marks if it is given; `null`: there are none, or they have
 * no order. NaN is left out.
 */
export function extremesOf(
  values: PhysicalValues,
  order: ValueOrder,
  isUsed: Uint8Array | null = null,
): Extremes | null {
  if (order === 'none') return null
  const compare = comparer(values, order)
  const isNan = order === 'float' ? nanTest(values as FixedWidthValues) : null
  let least = -1
  let greatest = -1
  for (let i = 0; i < values.length; i++) {
    if (isUsed !== null && isUsed[i] === 0) continue
    if (isNan?.(i)) continue
    if (least < 0) least = greatest = i
    else if (compare(i, least) < 0) least = i
    else if (compare(i, greatest) > 0) greatest = i
  }
  return least < 0 ? null : { least, greatest }
}

/** Compares two of `values` by their places. */
export function comparer(values: PhysicalValues, order: ValueOrder): Compare {
  if (values instanceof ByteArrays) {
    const { bytes, offsets } = values
    return (a, b) => compareBytes(bytes, offsets[a]!, offsets[a + 1]!, offsets[b]!, offsets[b + 1]!)
  }
  const { bytes, words, width } = values
  if (order === 'float') {
    const floats = floatsOf(values)
    return (a, b) => floats[a]! - floats[b]! || 0
  }
  if (width === 4) {
    return order === 'signed'
      ? (a, b) => words[a]! - words[b]!
      : (a, b) => (words[a]! >>> 0) - (words[b]! >>> 0)
  }
  if (width === 8 && order !== 'bytes') {
    const high = order === 'signed' ? 0 : 0x80000000
    return (a, b) =>
      (words[2 * a + 1]! ^ high) - (words[2 * b + 1]! ^ high) ||
      (words[2 * a]! >>> 0) - (words[2 * b]! >>> 0)
  }
  if (order === 'bigEndian') {
    return (a, b) =>
      ((bytes[a * width]! << 24) >> 24) - ((bytes[b * width]! << 24) >> 24) ||
      compareBytes(bytes, a * width, (a + 1) * width, b * width, (b + 1) * width)
  }
  return (a, b) => compareBytes(bytes, a * width, (a + 1) * width, b * width, (b + 1) * width)
}

function compareBytes(
  bytes: Uint8Array,
  aStart: number,
  aEnd: number,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < length; i++) {
    const difference = bytes[aStart + i]! - bytes[bStart + i]!
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}

function floatsOf(values: FixedWidthValues): Float32Array | Float64Array {
  const buffer = values.bytes.buffer as ArrayBuffer
  return values.width === 4 ? new Float32Array(buffer) : new Float64Array(buffer)
}

function nanTest(values: FixedWidthValues): (at: number) => boolean {
  const floats = floatsOf(values)
  return (at) => Number.isNaN(floats[at]!)
}

/** The bytes of one value, without a length before them. */
export function bytesOf(values: PhysicalValues, at: number): Uint8Array {
  return values instanceof ByteArrays
    ? values.bytes.subarray(values.offsets[at]!, values.offsets[at + 1]!)
    : values.bytes.subarray(at * values.width, (at + 1) * values.width)
}

/** A zero bounds both zeros: as a minimum it is written as -0, as a maximum as +0. */
export function zeroBound(bytes: Uint8Array, as: 'least' | 'greatest'): Uint8Array {
  const sign = bytes.length - 1
  const isZero = bytes.every((byte, i) => (i === sign ? byte & 127 : byte) === 0)
  if (!isZero) return bytes
  const bound = new Uint8Array(bytes.length)
  bound[sign] = as === 'least' ? 128 : 0
  return bound
}

/** A bound that is not longer than `most` bytes, where one is to be had. */
export function shortened(
  bytes: Uint8Array,
  as: 'least' | 'greatest',
  { most, isText }: { most: number; isText: boolean },
): { bytes: Uint8Array; isExact: boolean } {
  if (bytes.length <= most) return { bytes, isExact: true }
  let length = most
  // Not within a character: back to where one begins.
  if (isText) while (length > 0 && (bytes[length]! & 0xc0) === 0x80) length--
  const prefix = bytes.slice(0, length)
  if (as === 'least') return { bytes: prefix, isExact: false }
  const next = isUtf8(prefix) && isText ? nextText(prefix) : nextBytes(prefix)
  return next === null ? { bytes, isExact: true } : { bytes: next, isExact: false }
}

/** The least that is above all with this prefix. */
function nextBytes(prefix: Uint8Array): Uint8Array | null {
  for (let end = prefix.length; end > 0; end--) {
    if (prefix[end - 1] === 255) continue
    const next = prefix.slice(0, end)
    next[end - 1]!++
    return next
  }
  return null
}

function nextText(prefix: Uint8Array): Uint8Array | null {
  const characters = [...Buffer.from(prefix).toString()]
  while (characters.length > 0) {
    const last = characters.pop()!.codePointAt(0)!
    // Over the surrogates, which no text may hold.
    const next = last === 0xd7ff ? 0xe000 : last + 1
    if (next <= 0x10ffff) return Buffer.from(characters.join('') + String.fromCodePoint(next))
  }
  return null
}
