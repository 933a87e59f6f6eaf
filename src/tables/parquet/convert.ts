/** A leaf's values as its file has them, turned into the column of its type: mostly the same memory. */
import { type Column, type DataType, layoutOf } from '../columns/column.ts'
import type { Presence } from './assemble.ts'
import type { LeafRows } from './chunk-reader.ts'
import { corrupt } from './parquet-error.ts'
import { ByteArrays, FixedWidthValues, type PhysicalValues } from './physical-values.ts'
import type { LeafNode } from './schema.ts'

const julianDayOf1970 = 2440588n
const microsPerDay = 86_400_000_000n

export function leafColumn({ leaf, values }: LeafRows, { length, validity }: Presence): Column {
  const present = validity === null ? length : countPresent(validity)
  if (values.length !== present) throw corrupt('levels and values that contradict each other')
  const spread = validity === null ? values : spreadOut(values, validity)
  return { ...columnOf(leaf, spread), length, validity } as Column
}

function countPresent(validity: Uint8Array): number {
  let present = 0
  for (const one of validity) present += one
  return present
}

/** Makes room where there is no value. */
function spreadOut(values: PhysicalValues, validity: Uint8Array): PhysicalValues {
  const length = validity.length
  if (values instanceof ByteArrays) {
    const spread = new ByteArrays(0, 0)
    spread.length = length
    spread.bytes = values.bytes
    spread.offsets = new Int32Array(length + 1)
    for (let i = 0, from = 0; i < length; i++) {
      from += validity[i]!
      spread.offsets[i + 1] = values.offsets[from]!
    }
    return spread
  }
  const { width } = values
  const spread = new FixedWidthValues(width, length)
  spread.length = length
  if (width === 4) {
    for (let i = 0, from = 0; i < length; i++) {
      if (validity[i] === 1) spread.words[i] = values.words[from++]!
    }
  } else if (width === 8) {
    for (let i = 0, from = 0; i < length; i++) {
      if (validity[i] !== 1) continue
      spread.words[2 * i] = values.words[from++]!
      spread.words[2 * i + 1] = values.words[from++]!
    }
  } else {
    for (let i = 0, from = 0; i < length; i++) {
      if (validity[i] !== 1) continue
      for (let byte = i * width; byte < (i + 1) * width; byte++) {
        spread.bytes[byte] = values.bytes[from++]!
      }
    }
  }
  return spread
}

type Values = Pick<Column, 'layout'>

function columnOf(leaf: LeafNode, values: PhysicalValues): Values {
  const { type } = leaf.field
  const layout = layoutOf(type)
  if (type.kind === 'decimal') return decimals(type, values, leaf)
  if (values instanceof ByteArrays) {
    const offsets = values.offsets.subarray(0, values.length + 1)
    return { layout, offsets, bytes: values.bytes.subarray(0, values.byteLength) } as Values
  }
  const { length, bytes, width } = values
  const buffer = bytes.buffer as ArrayBuffer
  switch (layout) {
    case 'boolean':
      return { layout, values: bytes.subarray(0, length) } as Values
    case 'int32':
      return { layout, values: new Int32Array(buffer, 0, length) } as Values
    case 'int64':
      return leaf.physical === 'INT96'
        ? ({ layout, values: microsOfInt96(values) } as Values)
        : ({ layout, values: new BigInt64Array(buffer, 0, length) } as Values)
    case 'float':
      return type.kind === 'float16'
        ? ({ layout, values: floatsOfHalves(values) } as Values)
        : ({ layout, values: new Float32Array(buffer, 0, length) } as Values)
    case 'double':
      return { layout, values: new Float64Array(buffer, 0, length) } as Values
    case 'bytes': {
      const offsets = new Int32Array(length + 1)
      for (let i = 1; i <= length; i++) offsets[i] = i * width
      return { layout, offsets, bytes: bytes.subarray(0, length * width) } as Values
    }
    default:
      return { layout: 'null' }
  }
}

/** Nanoseconds of the day, then the Julian day; out of range it wraps, as Spark's own does. */
function microsOfInt96(values: FixedWidthValues): BigInt64Array {
  const view = new DataView(values.bytes.buffer)
  const micros = new BigInt64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const nanosOfDay = view.getBigInt64(12 * i, true)
    const day = BigInt(view.getUint32(12 * i + 8, true)) - julianDayOf1970
    micros[i] = day * microsPerDay + floorDivide(nanosOfDay, 1000n)
  }
  return micros
}

function floorDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor
  return dividend % divisor < 0n ? quotient - 1n : quotient
}

function floatsOfHalves(values: FixedWidthValues): Float32Array {
  const halves = new Uint16Array(values.bytes.buffer, 0, values.length)
  return Float32Array.from(halves, floatOfHalf)
}

/** Sign, five bits of exponent, ten of fraction. */
function floatOfHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 31
  const fraction = half & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Decimals as int32, int64 or big-endian two's complement, as wide as the digits of the type need. */
function decimals(
  type: DataType & { kind: 'decimal' },
  values: PhysicalValues,
  leaf: LeafNode,
): Values {
  const layout = layoutOf(type)
  const { length } = values
  const words = layout === 'int64' ? 1 : 2
  if (leaf.physical === 'INT64' && words === 1) {
    return {
      layout,
      values: new BigInt64Array(values.bytes.buffer as ArrayBuffer, 0, length),
    } as Values
  }
  const target = new BigInt64Array(words * length)
  const put = (row: number, value: bigint): void => {
    target[words * row] = value
    if (words === 2) target[2 * row + 1] = value >> 64n
  }
  if (leaf.physical === 'INT32') {
    const { words: from } = values as FixedWidthValues
    for (let i = 0; i < length; i++) put(i, BigInt(from[i]!))
  } else if (leaf.physical === 'INT64') {
    const from = new BigInt64Array(values.bytes.buffer as ArrayBuffer, 0, length)
    for (let i = 0; i < length; i++) put(i, from[i]!)
  } else {
    const view = new DataView(values.bytes.buffer as ArrayBuffer, values.bytes.byteOffset)
    for (let i = 0; i < length; i++) {
      const isFixed = values instanceof FixedWidthValues
      const start = isFixed ? i * values.width : values.offsets[i]!
      const end = isFixed ? start + values.width : values.offsets[i + 1]!
      put(i, bigEndian(view, start, end, 64 * words))
    }
  }
  return { layout, values: target } as Values
}

/** Two's complement, highest byte first. Throws where it takes more bits than there are. */
function bigEndian(view: DataView, start: number, end: number, bits: number): bigint {
  if (start === end) return 0n
  let value = BigInt(view.getInt8(start))
  let at = start + 1
  for (; at + 4 <= end; at += 4) {
    value = (value << 32n) | BigInt(view.getUint32(at))
    if (BigInt.asIntN(bits, value) !== value)
      throw corrupt('a decimal of more digits than its type')
  }
  for (; at < end; at++) value = (value << 8n) | BigInt(view.getUint8(at))
  if (BigInt.asIntN(bits, value) !== value) throw corrupt('a decimal of more digits than its type')
  return value
}
