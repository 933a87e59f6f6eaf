/** The values of a column as its leaf stores them: the way back of `convert.ts`. */
import type { Column } from '../columns/column.ts'
import { wideAt } from '../columns/value.ts'
import { ByteArrays, FixedWidthValues, type PhysicalValues } from './physical-values.ts'
import type { LeafNode } from './schema.ts'

/** The values at `positions`, or all of them. */
export function toPhysical(
  leaf: LeafNode,
  column: Column,
  positions: Int32Array | null,
): PhysicalValues {
  const length = positions === null ? column.length : positions.length
  if (leaf.physical === 'BYTE_ARRAY') {
    return byteArrays(column as Column & { layout: 'bytes' }, positions, length)
  }
  const values = new FixedWidthValues(leaf.width, length)
  values.length = length
  switch (column.layout) {
    case 'boolean':
      fillBytes(values, column.values, positions)
      return values
    case 'int32':
      fillWords(values, column.values, positions)
      return values
    case 'int64':
      if (leaf.width === 4) fillNarrowed(values, column.values, positions)
      else fillPairs(values, column.values, positions)
      return values
    case 'float':
      if (leaf.width === 2) fillHalves(values, column.values, positions)
      else fillWords(values, wordsOf(column.values), positions)
      return values
    case 'double':
      fillPairs(values, column.values, positions)
      return values
    case 'int128':
      fillBigEndian(values, column.values, positions)
      return values
    case 'bytes':
      fillFixed(values, column, positions, leaf)
      return values
    default:
      return values
  }
}

function wordsOf(values: Float32Array | Float64Array | BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4)
}

function fillBytes(to: FixedWidthValues, from: Uint8Array, positions: Int32Array | null): void {
  if (positions === null) to.bytes.set(from.subarray(0, to.length))
  else for (let i = 0; i < positions.length; i++) to.bytes[i] = from[positions[i]!]!
}

function fillWords(to: FixedWidthValues, from: Int32Array, positions: Int32Array | null): void {
  if (positions === null) to.words.set(from.subarray(0, to.length))
  else for (let i = 0; i < positions.length; i++) to.words[i] = from[positions[i]!]!
}

function fillPairs(
  to: FixedWidthValues,
  values: Float64Array | BigInt64Array,
  positions: Int32Array | null,
): void {
  const from = wordsOf(values)
  if (positions === null) {
    to.words.set(from.subarray(0, 2 * to.length))
    return
  }
  for (let i = 0; i < positions.length; i++) {
    to.words[2 * i] = from[2 * positions[i]!]!
    to.words[2 * i + 1] = from[2 * positions[i]! + 1]!
  }
}

/** Decimals of up to nine digits: their lower words are all of them. */
function fillNarrowed(
  to: FixedWidthValues,
  values: BigInt64Array,
  positions: Int32Array | null,
): void {
  const from = wordsOf(values)
  for (let i = 0; i < to.length; i++) {
    const at = 2 * (positions === null ? i : positions[i]!)
    if (from[at + 1] !== from[at]! >> 31)
      throw new RangeError('A decimal of more digits than its type')
    to.words[i] = from[at]!
  }
}

function fillBigEndian(
  to: FixedWidthValues,
  values: BigInt64Array,
  positions: Int32Array | null,
): void {
  const { width, bytes } = to
  for (let i = 0; i < to.length; i++) {
    let rest = wideAt(values, positions === null ? i : positions[i]!)
    if (BigInt.asIntN(8 * width, rest) !== rest) {
      throw new RangeError('A decimal of more digits than its type')
    }
    for (let byte = (i + 1) * width - 1; byte >= i * width; byte--) {
      bytes[byte] = Number(rest & 255n)
      rest >>= 8n
    }
  }
}

const singleFloat = new Float32Array(1)
const singleFloatBits = new Uint32Array(singleFloat.buffer)

function fillHalves(to: FixedWidthValues, from: Float32Array, positions: Int32Array | null): void {
  const halves = new Uint16Array(to.bytes.buffer, 0, to.length)
  for (let i = 0; i < to.length; i++)
    halves[i] = halfOf(from[positions === null ? i : positions[i]!]!)
}

/** The nearest half, ties to even. */
function halfOf(value: number): number {
  singleFloat[0] = value
  const bits = singleFloatBits[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x47800000) return sign | 0x7c00
  // Below the least normal half the fraction counts in steps of 2^-24.
  if (magnitude < 0x38800000) return sign | roundToEven(Math.abs(value) * 2 ** 24)
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000
  return sign | Math.min(rounded >>> 13, 0x7c00)
}

function roundToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

function fillFixed(
  to: FixedWidthValues,
  column: Column & { layout: 'bytes' },
  positions: Int32Array | null,
  leaf: LeafNode,
): void {
  const { width } = to
  for (let i = 0; i < to.length; i++) {
    const at = positions === null ? i : positions[i]!
    const start = column.offsets[at]!
    const end = column.offsets[at + 1]!
    if (end - start !== width) {
      throw new RangeError(
        `A value of ${end - start} bytes in ${leaf.field.name}, which has ${width}`,
      )
    }
    to.bytes.set(column.bytes.subarray(start, end), i * width)
  }
}

function byteArrays(
  column: Column & { layout: 'bytes' },
  positions: Int32Array | null,
  length: number,
): ByteArrays {
  const { offsets, bytes } = column
  if (positions === null) {
    const start = offsets[0]!
    const end = offsets[length]!
    const values = new ByteArrays(length, 0)
    values.bytes = bytes.subarray(start, end)
    for (let i = 1; i <= length; i++) values.offsets[i] = offsets[i]! - start
    values.length = length
    return values
  }
  let total = 0
  for (const at of positions) total += offsets[at + 1]! - offsets[at]!
  const values = new ByteArrays(length, total)
  for (const at of positions) values.append(bytes, offsets[at]!, offsets[at + 1]!)
  return values
}
