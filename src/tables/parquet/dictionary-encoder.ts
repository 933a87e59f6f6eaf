/** The distinct values of a column chunk, each with its index: a hash table over typed arrays. */
import { ByteArrays, FixedWidthValues, type PhysicalValues } from './physical-values.ts'

export class DictionaryEncoder {
  readonly values: PhysicalValues
  /** Index + 1 by hash; 0: free. Never more than half full. */
  #slots = new Int32Array(1024)

  constructor(like: PhysicalValues) {
    this.values =
      like instanceof ByteArrays ? new ByteArrays(256) : new FixedWidthValues(like.width, 256)
  }

  get byteLength(): number {
    const { values } = this
    return values instanceof ByteArrays
      ? values.byteLength + 4 * values.length
      : values.length * values.width
  }

  /** Writes the index of each value to `indices` from `at` on. */
  encode(values: PhysicalValues, indices: Int32Array, at: number): void {
    if (values instanceof ByteArrays) this.#encodeByteArrays(values, indices, at)
    else if (values.width % 4 === 0 && values.width > 0) this.#encodeWords(values, indices, at)
    else this.#encodeBytes(values, indices, at)
  }

  #encodeWords(from: FixedWidthValues, indices: Int32Array, at: number): void {
    const known = this.values as FixedWidthValues
    const size = from.width / 4
    const { words } = from
    let last = -1
    for (let i = 0; i < from.length; i++) {
      const start = i * size
      // Runs of one value are common, and need no hash.
      if (last >= 0 && isEqualWords(words, start, words, start - size, size)) {
        indices[at + i] = last
        continue
      }
      let hash = 0
      for (let word = 0; word < size; word++) {
        hash = Math.imul(hash ^ words[start + word]!, 0x9e3779b1)
        hash ^= hash >>> 15
      }
      const mask = this.#slots.length - 1
      let slot = hash & mask
      let found = this.#slots[slot]!
      while (found !== 0 && !isEqualWords(known.words, (found - 1) * size, words, start, size)) {
        slot = (slot + 1) & mask
        found = this.#slots[slot]!
      }
      if (found === 0) {
        known.reserve(1)
        for (let word = 0; word < size; word++) {
          known.words[known.length * size + word] = words[start + word]!
        }
        found = this.#added(slot)
      }
      last = found - 1
      indices[at + i] = last
    }
  }

  #encodeBytes(from: FixedWidthValues, indices: Int32Array, at: number): void {
    const known = this.values as FixedWidthValues
    const { width, bytes } = from
    for (let i = 0; i < from.length; i++) {
      const start = i * width
      const end = start + width
      const mask = this.#slots.length - 1
      let slot = hashOf(bytes, start, end) & mask
      let found = this.#slots[slot]!
      while (found !== 0 && !isEqual(known.bytes, (found - 1) * width, bytes, start, width)) {
        slot = (slot + 1) & mask
        found = this.#slots[slot]!
      }
      if (found === 0) {
        known.reserve(1)
        known.bytes.set(bytes.subarray(start, end), known.length * width)
        found = this.#added(slot)
      }
      indices[at + i] = found - 1
    }
  }

  #encodeByteArrays(from: ByteArrays, indices: Int32Array, at: number): void {
    const known = this.values as ByteArrays
    const { bytes, offsets } = from
    for (let i = 0; i < from.length; i++) {
      const start = offsets[i]!
      const end = offsets[i + 1]!
      const length = end - start
      const mask = this.#slots.length - 1
      let slot = hashOf(bytes, start, end) & mask
      let found = this.#slots[slot]!
      while (
        found !== 0 &&
        !(
          known.offsets[found]! - known.offsets[found - 1]! === length &&
          isEqual(known.bytes, known.offsets[found - 1]!, bytes, start, length)
        )
      ) {
        slot = (slot + 1) & mask
        found = this.#slots[slot]!
      }
      if (found === 0) {
        known.reserve(1, length)
        known.append(bytes, start, end)
        known.length--
        found = this.#added(slot)
      }
      indices[at + i] = found - 1
    }
  }

  /** Takes the value behind the last into the table. */
  #added(slot: number): number {
    const { values } = this
    values.length++
    this.#slots[slot] = values.length
    if (2 * values.length > this.#slots.length) this.#grow()
    return values.length
  }

  #grow(): void {
    const { values } = this
    const slots = new Int32Array(2 * this.#slots.length)
    const mask = slots.length - 1
    for (let i = 0; i < values.length; i++) {
      let slot = this.#hash(i) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = i + 1
    }
    this.#slots = slots
  }

  #hash(index: number): number {
    const { values } = this
    if (values instanceof ByteArrays) {
      return hashOf(values.bytes, values.offsets[index]!, values.offsets[index + 1]!)
    }
    const { width, words, bytes } = values
    if (width % 4 !== 0 || width === 0) return hashOf(bytes, index * width, (index + 1) * width)
    let hash = 0
    for (let word = (index * width) / 4; word < ((index + 1) * width) / 4; word++) {
      hash = Math.imul(hash ^ words[word]!, 0x9e3779b1)
      hash ^= hash >>> 15
    }
    return hash
  }
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

function isEqual(
  a: Uint8Array,
  aStart: number,
  b: Uint8Array,
  bStart: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false
  return true
}

function isEqualWords(
  a: Int32Array,
  aStart: number,
  b: Int32Array,
  bStart: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false
  return true
}
