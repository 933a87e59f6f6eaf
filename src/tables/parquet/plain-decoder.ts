/** PLAIN: values one behind another; byte arrays each behind its length, booleans eight in a byte. */
import { copyBytes } from '../columns/copy-bytes.ts'
import { HybridDecoder } from './hybrid-decoder.ts'
import { corrupt } from './parquet-error.ts'
import type { ByteArrays, FixedWidthValues, ValueDecoder } from './physical-values.ts'

function tooFew(): Error {
  return corrupt('a page holds fewer values than it says')
}

export class PlainFixedWidthDecoder implements ValueDecoder {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  read(target: FixedWidthValues, count: number): void {
    const length = count * target.width
    if (length > this.#bytes.length - this.#at) throw tooFew()
    target.reserve(count)
    target.bytes.set(
      this.#bytes.subarray(this.#at, this.#at + length),
      target.length * target.width,
    )
    target.length += count
    this.#at += length
  }
}

export class PlainBooleanDecoder implements ValueDecoder {
  readonly #bytes: Uint8Array
  #bit = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  read(target: FixedWidthValues, count: number): void {
    if (this.#bit + count > this.#bytes.length * 8) throw tooFew()
    target.reserve(count)
    const { bytes } = target
    for (let i = 0, to = target.length, bit = this.#bit; i < count; i++, to++, bit++) {
      bytes[to] = (this.#bytes[bit >>> 3]! >>> (bit & 7)) & 1
    }
    this.#bit += count
    target.length += count
  }
}

/** Booleans as RLE: runs, behind their length in bytes. */
export class RleBooleanDecoder implements ValueDecoder {
  readonly #runs: HybridDecoder

  constructor(bytes: Uint8Array) {
    if (bytes.length < 4) throw tooFew()
    const length = readUint32(bytes, 0)
    if (length > bytes.length - 4) throw corrupt('runs beyond the end of their page')
    this.#runs = new HybridDecoder(bytes.subarray(4, 4 + length), 1)
  }

  read(target: FixedWidthValues, count: number): void {
    target.reserve(count)
    this.#runs.read(target.bytes, target.length, count)
    target.length += count
  }
}

export class PlainByteArrayDecoder implements ValueDecoder {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  read(target: ByteArrays, count: number): void {
    const source = this.#bytes
    const start = this.#at
    let at = start
    for (let i = 0; i < count; i++) {
      if (source.length - at < 4) throw tooFew()
      const length = readUint32(source, at)
      if (length > source.length - at - 4) throw tooFew()
      at += 4 + length
    }
    this.#at = at
    target.reserve(count, at - start - 4 * count)
    const { offsets, bytes } = target
    let to = target.byteLength
    let value = target.length
    for (let from = start; from < at; ) {
      const length = readUint32(source, from)
      copyBytes(source, from + 4, from + 4 + length, bytes, to)
      from += 4 + length
      to += length
      offsets[++value] = to
    }
    target.length = value
  }
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}
