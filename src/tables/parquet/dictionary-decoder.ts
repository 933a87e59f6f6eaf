/** Values named by their index in the chunk's dictionary: one byte of bit width, then runs of indices. */
import { HybridDecoder } from './hybrid-decoder.ts'
import { columnBatchBytesMax } from './limits.ts'
import { beyondLimit, corrupt } from './parquet-error.ts'
import {
  ByteArrays,
  type FixedWidthValues,
  type PhysicalValues,
  type ValueDecoder,
} from './physical-values.ts'

export class DictionaryDecoder implements ValueDecoder {
  readonly #dictionary: PhysicalValues
  readonly #runs: HybridDecoder
  #indices = new Int32Array(0)

  constructor(dictionary: PhysicalValues, bytes: Uint8Array) {
    const width = bytes[0]
    // A page of nothing but nulls may hold not even the width.
    this.#runs = new HybridDecoder(bytes.subarray(1), width ?? 0)
    this.#dictionary = dictionary
  }

  read(target: PhysicalValues, count: number): void {
    if (count === 0) return
    if (this.#indices.length < count) this.#indices = new Int32Array(count)
    const indices = this.#indices
    this.#runs.read(indices, 0, count)
    const size = this.#dictionary.length
    for (let i = 0; i < count; i++) {
      if (indices[i]! >>> 0 >= size) {
        throw corrupt(`index ${indices[i]! >>> 0} in a dictionary of ${size}`)
      }
    }
    if (this.#dictionary instanceof ByteArrays) {
      this.#gatherByteArrays(this.#dictionary, target as ByteArrays, count)
    } else this.#gather(this.#dictionary, target as FixedWidthValues, count)
  }

  #gather(dictionary: FixedWidthValues, target: FixedWidthValues, count: number): void {
    target.reserve(count)
    const indices = this.#indices
    const { width } = target
    if (width === 4 || width === 8) {
      const from = dictionary.words
      const to = target.words
      const at = (target.length * width) / 4
      if (width === 4) for (let i = 0; i < count; i++) to[at + i] = from[indices[i]!]!
      else {
        for (let i = 0; i < count; i++) {
          const index = 2 * indices[i]!
          to[at + 2 * i] = from[index]!
          to[at + 2 * i + 1] = from[index + 1]!
        }
      }
    } else {
      let at = target.length * width
      for (let i = 0; i < count; i++) {
        const start = indices[i]! * width
        for (let byte = 0; byte < width; byte++)
          target.bytes[at++] = dictionary.bytes[start + byte]!
      }
    }
    target.length += count
  }

  #gatherByteArrays(dictionary: ByteArrays, target: ByteArrays, count: number): void {
    const indices = this.#indices
    const { offsets } = dictionary
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += offsets[indices[i]! + 1]! - offsets[indices[i]!]!
    if (bytes > columnBatchBytesMax) {
      throw beyondLimit(`more than ${columnBatchBytesMax} bytes of one column at once`)
    }
    target.reserve(count, bytes)
    for (let i = 0; i < count; i++) {
      const index = indices[i]!
      target.append(dictionary.bytes, offsets[index]!, offsets[index + 1]!)
    }
  }
}
