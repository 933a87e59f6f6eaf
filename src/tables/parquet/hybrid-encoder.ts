/** The runs that `hybrid-decoder.ts` reads: eight or more equal values make one, the others are packed. */
import type { ByteWriter } from './byte-writer.ts'
import type { SmallIntegers } from './hybrid-decoder.ts'

/** Values of a group: packed runs come in whole groups. */
const group = 8

/** Bits that hold values up to `most`. */
export function bitsFor(most: number): number {
  return 32 - Math.clz32(most)
}

export function encodeHybrid(
  writer: ByteWriter,
  values: SmallIntegers,
  length: number,
  width: number,
): void {
  let packedFrom = 0
  let at = 0
  while (at < length) {
    const value = values[at]!
    let end = at + 1
    while (end < length && values[end] === value) end++
    // A packed run before it must be whole groups: it takes what it lacks from this one.
    const borrowed = (group - ((at - packedFrom) % group)) % group
    if (end - at - borrowed >= group) {
      writePacked(writer, values, packedFrom, at + borrowed, width)
      writeRun(writer, value, end - at - borrowed, width)
      packedFrom = end
    }
    at = end
  }
  writePacked(writer, values, packedFrom, length, width)
}

function writeRun(writer: ByteWriter, value: number, length: number, width: number): void {
  writer.varint(length * 2)
  for (let shift = 0; shift < width; shift += 8) writer.byte((value >>> shift) & 255)
}

function writePacked(
  writer: ByteWriter,
  values: SmallIntegers,
  start: number,
  end: number,
  width: number,
): void {
  if (start === end) return
  const groups = Math.ceil((end - start) / group)
  writer.varint(groups * 2 + 1)
  const { bytes, at } = writer.room(groups * width)
  packBits(bytes, at, { values, start, end, count: groups * group }, width)
}

/** Packs `count` integers of up to 24 bits, lowest bit first; those from `end` on are 0. */
function packBits(
  bytes: Uint8Array,
  to: number,
  {
    values,
    start,
    end,
    count,
  }: { values: SmallIntegers; start: number; end: number; count: number },
  width: number,
): void {
  let at = to
  let held = 0
  let heldBits = 0
  for (let i = start; i < start + count; i++) {
    held |= (i < end ? values[i]! : 0) << heldBits
    heldBits += width
    while (heldBits >= 8) {
      bytes[at++] = held
      held >>>= 8
      heldBits -= 8
    }
  }
  if (heldBits > 0) bytes[at] = held
}
