/**
 * Zigzag varints, as numbers: seven bits a byte, lowest first, the highest bit set on all but the
 * last. 0, -1, 1, -2 are written as 0, 1, 2, 3. Beyond 2^53 values round to the nearest double.
 */

/** Bytes `writeVarint` takes for `value`. */
export function varintBytes(value: number): number {
  if (value >= -64 && value < 64) return 1
  if (value >= -8192 && value < 8192) return 2
  let rest = value < 0 ? -value - 1 : value
  let bytes = 1
  for (rest = Math.floor(rest / 64); rest > 0; rest = Math.floor(rest / 128)) bytes++
  return Math.min(bytes, 10)
}

/** Writes `value`, an integer within an int64, and returns the position after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let position = at
  if (value >= -0x40000000 && value < 0x40000000) {
    let zigzag = (value << 1) ^ (value >> 31)
    while (zigzag & ~127) {
      bytes[position++] = (zigzag & 127) | 128
      zigzag >>>= 7
    }
    bytes[position++] = zigzag
    return position
  }
  // Six bits and the sign first: doubling a large double in one piece would not round the same way.
  const isNegative = value < 0
  const magnitude = Math.min(isNegative ? -value - 1 : value, 2 ** 63 - 1024)
  let rest = Math.floor(magnitude / 64)
  bytes[position++] = ((magnitude % 64) << 1) | (isNegative ? 1 : 0) | (rest > 0 ? 128 : 0)
  while (rest > 0) {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes[position++] = low | (rest > 0 ? 128 : 0)
  }
  return position
}
