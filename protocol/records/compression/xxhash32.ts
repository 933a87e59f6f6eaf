/** xxHash with 32 bits and seed 0: the checksum of LZ4 frames. */

const prime1 = 0x9e3779b1
const prime2 = 0x85ebca77
const prime3 = 0xc2b2ae3d
const prime4 = 0x27d4eb2f
const prime5 = 0x165667b1

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function readLittle(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

function round(lane: number, word: number): number {
  return Math.imul(rotate((lane + Math.imul(word, prime2)) | 0, 13), prime1)
}

/** The hash of `bytes[start, end)` as an unsigned number. */
export function xxhash32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let at = start
  let hash = prime5 | 0
  if (end - start >= 16) {
    let [a, b, c, d] = [(prime1 + prime2) | 0, prime2 | 0, 0, -prime1 | 0]
    for (; at + 16 <= end; at += 16) {
      a = round(a, readLittle(bytes, at))
      b = round(b, readLittle(bytes, at + 4))
      c = round(c, readLittle(bytes, at + 8))
      d = round(d, readLittle(bytes, at + 12))
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
  }
  hash = (hash + (end - start)) | 0
  for (; at + 4 <= end; at += 4) {
    hash = (hash + Math.imul(readLittle(bytes, at), prime3)) | 0
    hash = Math.imul(rotate(hash, 17), prime4)
  }
  for (; at < end; at++) {
    hash = (hash + Math.imul(bytes[at]!, prime5)) | 0
    hash = Math.imul(rotate(hash, 11), prime1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2)
  hash = Math.imul(hash ^ (hash >>> 13), prime3)
  return (hash ^ (hash >>> 16)) >>> 0
}
