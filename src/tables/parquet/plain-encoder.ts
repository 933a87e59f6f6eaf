/** PLAIN, the way back of `plain-decoder.ts`. */

import { copyBytes } from '../columns/copy-bytes.ts'
import { ByteWriter } from './byte-writer.ts'
import { ByteArrays, type PhysicalValues } from './physical-values.ts'

export function encodePlain(values: PhysicalValues, isBoolean: boolean): Uint8Array {
  if (values instanceof ByteArrays) return encodeByteArrays(values)
  const { bytes, length, width } = values
  if (!isBoolean) return bytes.subarray(0, length * width)
  const packed = new Uint8Array(Math.ceil(length / 8))
  for (let i = 0; i < length; i++) packed[i >>> 3]! |= bytes[i]! << (i & 7)
  return packed
}

/** Bytes that `encodePlain` makes. */
export function plainBytes(values: PhysicalValues): number {
  return values instanceof ByteArrays
    ? values.byteLength + 4 * values.length
    : values.length * values.width
}

function encodeByteArrays({ length, offsets, bytes, byteLength }: ByteArrays): Uint8Array {
  const writer = new ByteWriter(byteLength + 4 * length)
  const { bytes: target } = writer.room(byteLength + 4 * length)
  let to = 0
  for (let i = 0; i < length; i++) {
    const start = offsets[i]!
    const end = offsets[i + 1]!
    const size = end - start
    target[to++] = size
    target[to++] = size >>> 8
    target[to++] = size >>> 16
    target[to++] = size >>> 24
    copyBytes(bytes, start, end, target, to)
    to += size
  }
  return writer.written()
}
