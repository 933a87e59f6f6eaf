/**
 * One LZ4 block unpacked behind what is already there. Used for linked blocks, whose copies may
 * reach up to 64 KiB into the blocks before, which the `lz4` package's block function cannot do, and
 * for every block where that package is missing.
 *
 * A block is sequences: a token (literal count in the high half, match length - 4 in the low one; 15
 * goes on in bytes that are added up to the first below 255), the literals, and the distance of the
 * match (little-endian uint16). The last sequence ends after its literals.
 */
import { CorruptRecords } from '../corrupt-records.ts'

const matchBytesMin = 4
const windowBytes = 65536

/**
 * Unpacks `block` into `output` at `at`, at most to `end`; matches may reach back to `windowStart`.
 * Returns the position after the last byte. Throws CorruptRecords.
 */
export function unpackLz4Block(
  block: Uint8Array,
  output: Uint8Array,
  range: { windowStart: number; at: number; end: number },
): number {
  let from = 0
  let at = range.at
  let byte = 0
  while (true) {
    if (from >= block.length) throw truncated()
    const token = block[from++]!
    let literals = token >>> 4
    if (literals === 15) {
      do {
        if (from >= block.length) throw truncated()
        byte = block[from++]!
        literals += byte
      } while (byte === 255)
    }
    if (literals > block.length - from) throw truncated()
    if (literals > range.end - at) throw tooLong()
    for (let i = 0; i < literals; i++) output[at++] = block[from++]!
    if (from === block.length) return at

    if (block.length - from < 2) throw truncated()
    const distance = block[from]! | (block[from + 1]! << 8)
    from += 2
    let length = token & 15
    if (length === 15) {
      do {
        if (from >= block.length) throw truncated()
        byte = block[from++]!
        length += byte
      } while (byte === 255)
    }
    length += matchBytesMin
    const windowStart = Math.max(range.windowStart, at - windowBytes)
    if (distance === 0 || at - distance < windowStart) {
      throw new CorruptRecords('Bad lz4 block: match from before the start')
    }
    if (length > range.end - at) throw tooLong()
    for (let i = 0; i < length; i++, at++) output[at] = output[at - distance]!
  }
}

function truncated(): CorruptRecords {
  return new CorruptRecords('Bad lz4 block: truncated')
}

function tooLong(): CorruptRecords {
  return new CorruptRecords('Bad lz4 block: longer than the frame or the limit allows')
}
