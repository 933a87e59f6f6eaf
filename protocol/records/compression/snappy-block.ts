/**
 * One raw snappy block packed, as the format's own compressor does it: fragments of 64 KiB, each with a table of where
 * four bytes were last, by their hash. A block is its unpacked length as varint, then literals and copies; the two low bits
 * of a tag say which. `snappyjs` reads four bytes one by one, which made it the dearest part of writing Parquet.
 */
const fragmentBytesMax = 1 << 16
const tableBitsMax = 14
const table = new Uint16Array(1 << tableBitsMax)
const matchBytesMin = 4
/** So many bytes at the end of a fragment begin no copy: words are read without looking for the end. */
const marginBytes = 15
/** Where nothing has matched for so many places, every second one is looked at, and so on: what does not shrink is soon done. */
const patience = 5
/** Below it a loop is faster than a call. */
const shortLiteral = 24

/** As long as the longest block so far asked for, and used again by the next. */
let packed = Buffer.alloc(0)

export function packSnappyBlock(bytes: Buffer): Buffer {
  const most = 32 + bytes.length + Math.floor(bytes.length / 6)
  if (packed.length < most) packed = Buffer.allocUnsafeSlow(most)
  const output = packed
  let at = 0
  let rest = bytes.length
  for (; rest >= 128; rest >>>= 7) output[at++] = (rest & 127) | 128
  output[at++] = rest
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let start = 0; start < bytes.length; start += fragmentBytesMax) {
    const end = Math.min(start + fragmentBytesMax, bytes.length)
    at = packFragment({ bytes, view, start, end }, output, at)
  }
  return Buffer.from(output.subarray(0, at))
}

interface Fragment {
  readonly bytes: Buffer
  readonly view: DataView
  readonly start: number
  readonly end: number
}

/** Answers where the output ends. */
function packFragment({ bytes, view, start, end }: Fragment, output: Buffer, from: number): number {
  const bits = Math.min(Math.max(32 - Math.clz32(end - start - 1), 8), tableBitsMax)
  const shift = 32 - bits
  table.fill(0, 0, 1 << bits)
  const last = end - marginBytes
  let to = from
  let literal = start
  let at = start + 1
  let misses = 1 << patience
  while (at <= last) {
    const word = view.getInt32(at, true)
    const hash = Math.imul(word, 0x1e35a7bd) >>> shift
    const match = start + table[hash]!
    table[hash] = at - start
    if (view.getInt32(match, true) !== word) {
      at += misses++ >>> patience
      continue
    }
    if (at > literal) to = putLiteral(bytes, literal, at, output, to)
    literal = matchEnd(view, match + matchBytesMin, at + matchBytesMin, end)
    to = putCopy(at - match, literal - at, output, to)
    at = literal
    misses = 1 << patience
    if (at > last) break
    const before = Math.imul(view.getInt32(at - 1, true), 0x1e35a7bd) >>> shift
    table[before] = at - 1 - start
  }
  return literal < end ? putLiteral(bytes, literal, end, output, to) : to
}

/** How far the bytes from `at` on are those from `match` on. */
function matchEnd(view: DataView, match: number, at: number, end: number): number {
  let from = match
  let to = at
  for (; to + 4 <= end; from += 4, to += 4) {
    const difference = view.getInt32(from, true) ^ view.getInt32(to, true)
    // The lowest byte that differs comes first.
    if (difference !== 0) return to + ((31 - Math.clz32(difference & -difference)) >>> 3)
  }
  while (to < end && view.getUint8(from) === view.getUint8(to)) {
    from++
    to++
  }
  return to
}

function putLiteral(
  bytes: Buffer,
  start: number,
  end: number,
  output: Buffer,
  from: number,
): number {
  const length = end - start
  let to = from
  if (length <= 60) output[to++] = (length - 1) << 2
  else if (length <= 256) {
    output[to++] = 60 << 2
    output[to++] = length - 1
  } else {
    output[to++] = 61 << 2
    output[to++] = length - 1
    output[to++] = (length - 1) >>> 8
  }
  if (length > shortLiteral) bytes.copy(output, to, start, end)
  else for (let i = 0; i < length; i++) output[to + i] = bytes[start + i]!
  return to + length
}

function putCopy(distance: number, length: number, output: Buffer, from: number): number {
  let to = from
  let left = length
  // What is left then is never shorter than a copy may be.
  for (; left > 64; left -= left >= 68 ? 64 : 60) {
    output[to++] = 2 | (((left >= 68 ? 64 : 60) - 1) << 2)
    output[to++] = distance
    output[to++] = distance >>> 8
  }
  if (left < 12 && distance < 2048) {
    output[to++] = 1 | ((left - 4) << 2) | ((distance >>> 8) << 5)
    output[to++] = distance
  } else {
    output[to++] = 2 | ((left - 1) << 2)
    output[to++] = distance
    output[to++] = distance >>> 8
  }
  return to
}
