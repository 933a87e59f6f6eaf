/**
 * DELTA_BINARY_PACKED, as `delta-decoder.ts` describes it: blocks of 128 values in four miniblocks. Only for
 * integers that a double holds exactly, with their differences: others would not shrink anyway.
 */
import type { ByteWriter } from './byte-writer.ts'
import type { FixedWidthValues } from './physical-values.ts'

const blockValues = 128
const miniblocks = 4
const miniblockValues = blockValues / miniblocks
/** What differences may be, so that the distance between two of them is exact. */
const differenceMax = 2 ** 51 - 1
/** What values may be, so that a zigzag of them is exact; it doubles those from 0 on, and that is exact anyway. */
const valueMin = -(2 ** 51)

/** The values as doubles; `null` where they, or steps between them, are too large. */
export function asDoubles(values: FixedWidthValues): Float64Array | null {
  const { words, length, width } = values
  const doubles = new Float64Array(length)
  if (width === 4) {
    for (let i = 0; i < length; i++) doubles[i] = words[i]!
    return doubles
  }
  let last = 0
  for (let i = 0; i < length; i++) {
    const value = words[2 * i + 1]! * 2 ** 32 + (words[2 * i]! >>> 0)
    if (value > Number.MAX_SAFE_INTEGER || value < valueMin) return null
    if (i > 0 && Math.abs(value - last) > differenceMax) return null
    last = value
    doubles[i] = value
  }
  return doubles
}

/** `wraps`: INT32, where differences are taken modulo 2^32 so that none takes more than 32 bits. */
export function encodeDeltas(writer: ByteWriter, values: Float64Array, wraps: boolean): void {
  writer.varint(blockValues)
  writer.varint(miniblocks)
  writer.varint(values.length)
  writer.integer(values[0] ?? 0)
  const deltas = new Float64Array(blockValues)
  for (let at = 1; at < values.length; at += blockValues) {
    const count = Math.min(blockValues, values.length - at)
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < count; i++) {
      const delta = values[at + i]! - values[at + i - 1]!
      deltas[i] = wraps ? delta | 0 : delta
      least = Math.min(least, deltas[i]!)
    }
    for (let i = 0; i < count; i++) deltas[i] = deltas[i]! - least
    deltas.fill(0, count)
    writer.integer(least)
    writeMiniblocks(writer, deltas, count)
  }
}

function writeMiniblocks(writer: ByteWriter, deltas: Float64Array, count: number): void {
  const widths = new Uint8Array(miniblocks)
  for (let i = 0; i < count; i++) {
    const miniblock = Math.floor(i / miniblockValues)
    widths[miniblock] = Math.max(widths[miniblock]!, bitsOf(deltas[i]!))
  }
  writer.append(widths)
  // Miniblocks behind the last value are left out.
  for (let miniblock = 0; miniblock * miniblockValues < count; miniblock++) {
    const width = widths[miniblock]!
    const { bytes, at } = writer.room((width * miniblockValues) / 8)
    const from = miniblock * miniblockValues
    pack(bytes, at, deltas.subarray(from, from + miniblockValues), width)
  }
}

function bitsOf(value: number): number {
  return value >= 2 ** 32 ? 64 - Math.clz32(Math.floor(value / 2 ** 32)) : 32 - Math.clz32(value)
}

function pack(bytes: Uint8Array, to: number, values: Float64Array, width: number): void {
  let at = to
  let held = 0
  let heldBits = 0
  for (const value of values) {
    let rest = value
    for (let left = width; left > 0; left -= 16) {
      const bits = Math.min(left, 16)
      held |= (rest % 65536) << heldBits
      rest = Math.floor(rest / 65536)
      heldBits += bits
      while (heldBits >= 8) {
        bytes[at++] = held
        held >>>= 8
        heldBits -= 8
      }
    }
  }
}
