/**
 * The delta encodings. DELTA_BINARY_PACKED: integers as differences, in blocks:
 *
 *   values per block | miniblocks per block | values in all | first value     (varints; the last zigzag)
 *   per block: least difference (zigzag) | a bit width per miniblock | the miniblocks, packed
 *
 * each difference is less the least one of its block, and all arithmetic wraps at 64 bits (at 32 for INT32,
 * which is the lower half of the same). DELTA_LENGTH_BYTE_ARRAY: such lengths, then all bytes. DELTA_BYTE_ARRAY:
 * such lengths of what each value shares with the one before, then the rests as DELTA_LENGTH_BYTE_ARRAY.
 */
import { corrupt } from './parquet-error.ts'
import {
  ByteArrays,
  FixedWidthValues,
  type PhysicalValues,
  type ValueDecoder,
} from './physical-values.ts'

const miniblockValuesMax = 1024 * 1024

function truncated(): Error {
  return corrupt('a page ends within its deltas')
}

/** A stream of deltas. A 64-bit value is two halves, since BigInt costs ten times as much. */
class DeltaStream {
  readonly #bytes: Uint8Array
  /** Behind what has been read. */
  at = 0
  readonly total: number
  readonly #miniblocksPerBlock: number
  readonly #valuesPerMiniblock: number
  #left: number
  #isFirst = true
  #low = 0
  #high = 0
  #leastLow = 0
  #leastHigh = 0
  #widthsAt = 0
  #miniblock: number
  /** Values left of the miniblock, and where the next begins. */
  #miniblockLeft = 0
  #bit = 0
  #packedAt = 0
  #width = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    const blockValues = this.#varint()
    this.#miniblocksPerBlock = this.#varint()
    this.total = this.#varint()
    this.#valuesPerMiniblock = blockValues / this.#miniblocksPerBlock
    if (
      this.#valuesPerMiniblock % 8 !== 0 ||
      !(this.#valuesPerMiniblock > 0 && this.#valuesPerMiniblock <= miniblockValuesMax) ||
      this.#miniblocksPerBlock > 65536
    ) {
      throw corrupt(
        `delta blocks of ${blockValues} values in ${this.#miniblocksPerBlock} miniblocks`,
      )
    }
    this.#left = this.total
    this.#zigzag()
    this.#low = this.#readLow
    this.#high = this.#readHigh
    this.#miniblock = this.#miniblocksPerBlock
  }

  #readLow = 0
  #readHigh = 0

  #varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.at++]
      if (byte === undefined) throw truncated()
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw corrupt('a delta header beyond 2^53')
  }

  /** A 64-bit zigzag varint, into `#readLow` and `#readHigh`. */
  #zigzag(): void {
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.at++]
      if (byte === undefined) throw truncated()
      if (shift > 63) throw corrupt('an integer of more than 10 bytes')
      const bits = byte & 127
      if (shift < 32) low |= bits << shift
      if (shift > 25) high |= shift < 32 ? bits >>> (32 - shift) : bits << (shift - 32)
      if (byte < 128) break
    }
    const sign = -(low & 1)
    this.#readLow = ((low >>> 1) | (high << 31)) ^ sign
    this.#readHigh = (high >>> 1) ^ sign
  }

  #openMiniblock(): void {
    if (this.#miniblock === this.#miniblocksPerBlock) {
      this.#zigzag()
      this.#leastLow = this.#readLow
      this.#leastHigh = this.#readHigh
      this.#widthsAt = this.at
      this.at += this.#miniblocksPerBlock
      if (this.at > this.#bytes.length) throw truncated()
      this.#miniblock = 0
    }
    this.#width = this.#bytes[this.#widthsAt + this.#miniblock++]!
    if (this.#width > 64) throw corrupt(`deltas of ${this.#width} bits`)
    this.#miniblockLeft = this.#valuesPerMiniblock
    this.#packedAt = this.at
    this.#bit = 0
    this.at += (this.#width * this.#valuesPerMiniblock) / 8
    // The last miniblock is not always filled up.
    const needed = Math.ceil((this.#width * Math.min(this.#left, this.#valuesPerMiniblock)) / 8)
    if (this.#packedAt + needed > this.#bytes.length) throw truncated()
  }

  /** To behind the last value, without reading any; of a stream that is begun. */
  passAll(): void {
    // The first is in the header.
    this.#left = Math.max(this.#left - 1, 0)
    while (this.#left > 0) {
      this.#openMiniblock()
      this.#left -= Math.min(this.#left, this.#valuesPerMiniblock)
    }
  }

  /** The next `count` values, into words: two of them for each value, or only the lower ones. */
  read(words: Int32Array, at: number, count: number, wordsPerValue: 1 | 2): void {
    if (count > this.#left) throw corrupt('a page holds fewer values than it says')
    let to = at
    let left = count
    if (left > 0 && this.#isFirst) {
      words[to] = this.#low
      if (wordsPerValue === 2) words[to + 1] = this.#high
      to += wordsPerValue
      this.#isFirst = false
      this.#left--
      left--
    }
    while (left > 0) {
      if (this.#miniblockLeft === 0) this.#openMiniblock()
      const length = Math.min(left, this.#miniblockLeft)
      if (wordsPerValue === 1) this.#readWords(words, to, length)
      else this.#readPairs(words, to, length)
      to += length * wordsPerValue
      this.#miniblockLeft -= length
      this.#left -= length
      left -= length
    }
  }

  #readWords(words: Int32Array, at: number, count: number): void {
    let low = this.#low
    for (let i = at; i < at + count; i++) {
      low = (low + this.#leastLow + this.#bits(Math.min(this.#width, 32))) | 0
      // What lies above the lower half does not matter here.
      if (this.#width > 32) this.#bit += this.#width - 32
      words[i] = low
    }
    this.#low = low
  }

  #readPairs(words: Int32Array, at: number, count: number): void {
    const width = this.#width
    const leastLow = this.#leastLow >>> 0
    let low = this.#low >>> 0
    let high = this.#high
    for (let i = at; i < at + 2 * count; i += 2) {
      const sum = low + leastLow + this.#bits(Math.min(width, 32))
      high = high + this.#leastHigh + (width > 32 ? this.#bits(width - 32) : 0)
      high = (high + Math.floor(sum / 2 ** 32)) | 0
      low = sum % 2 ** 32
      words[i] = low
      words[i + 1] = high
    }
    this.#low = low | 0
    this.#high = high
  }

  /** The next so many bits of the miniblock, 32 at most, as an unsigned number. */
  #bits(width: number): number {
    if (width === 0) return 0
    const bytes = this.#bytes
    let byte = this.#packedAt + (this.#bit >>> 3)
    const shift = this.#bit & 7
    this.#bit += width
    let value = bytes[byte]! >>> shift
    let have = 8 - shift
    while (have < width) {
      byte++
      if (have < 24) value |= bytes[byte]! << have
      else value = (value >>> 0) + (bytes[byte] ?? 0) * 2 ** have
      have += 8
    }
    return width === 32 ? (value % 2 ** 32) >>> 0 : (value % 2 ** width) >>> 0
  }
}

export class DeltaIntegerDecoder implements ValueDecoder {
  readonly #bytes: Uint8Array
  #stream: DeltaStream | null = null

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  read(target: FixedWidthValues, count: number): void {
    if (count === 0) return
    this.#stream ??= new DeltaStream(this.#bytes)
    target.reserve(count)
    const wordsPerValue = target.width === 8 ? 2 : 1
    this.#stream.read(target.words, target.length * wordsPerValue, count, wordsPerValue)
    target.length += count
  }
}

/** A stream of lengths, read as they are asked for: a few bytes may stand for very many. */
class Lengths {
  readonly #stream: DeltaStream
  /** Behind all of them. */
  readonly end: number

  constructor(bytes: Uint8Array) {
    const passed = new DeltaStream(bytes)
    passed.passAll()
    this.end = passed.at
    this.#stream = new DeltaStream(bytes)
  }

  take(count: number): Int32Array {
    const lengths = new Int32Array(count)
    this.#stream.read(lengths, 0, count, 1)
    for (const length of lengths) if (length < 0) throw corrupt(`a value of ${length} bytes`)
    return lengths
  }
}

export class DeltaLengthDecoder implements ValueDecoder {
  readonly #bytes: Uint8Array
  #lengths: Lengths | null = null
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Where each of the next values lies, without copying it. */
  take(count: number): { lengths: Int32Array; start: number; end: number; source: Uint8Array } {
    if (this.#lengths === null) {
      this.#lengths = new Lengths(this.#bytes)
      this.#at = this.#lengths.end
    }
    const lengths = this.#lengths.take(count)
    const start = this.#at
    let end = start
    for (const length of lengths) end += length
    if (end > this.#bytes.length) throw corrupt('a page holds fewer bytes than its values')
    this.#at = end
    return { lengths, start, end, source: this.#bytes }
  }

  read(target: ByteArrays, count: number): void {
    if (count === 0) return
    const { lengths, start, end, source } = this.take(count)
    target.reserve(count, end - start)
    let at = target.byteLength
    target.bytes.set(source.subarray(start, end), at)
    for (const length of lengths) {
      at += length
      target.offsets[++target.length] = at
    }
  }
}

export class DeltaByteArrayDecoder implements ValueDecoder {
  readonly #bytes: Uint8Array
  #prefixes: Lengths | null = null
  #suffixes: DeltaLengthDecoder | null = null
  #last: Uint8Array = new Uint8Array(0)

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  read(target: PhysicalValues, count: number): void {
    if (count === 0) return
    if (this.#prefixes === null) {
      this.#prefixes = new Lengths(this.#bytes)
      this.#suffixes = new DeltaLengthDecoder(this.#bytes.subarray(this.#prefixes.end))
    }
    const prefixes = this.#prefixes.take(count)
    const { lengths, start, source } = this.#suffixes!.take(count)
    let from = start
    // Values are put together in one place first: the one before may lie in another batch.
    const values = target instanceof ByteArrays ? target : new ByteArrays(count)
    let last = this.#last
    let lastAt = 0
    let lastLength = last.length
    for (let i = 0; i < count; i++) {
      const prefix = prefixes[i]!
      const suffix = lengths[i]!
      if (prefix > lastLength) throw corrupt('a value shares more than the one before has')
      const length = prefix + suffix
      values.reserve(1, length)
      const at = values.byteLength
      if (last !== this.#last) last = values.bytes
      values.bytes.set(last.subarray(lastAt, lastAt + prefix), at)
      values.bytes.set(source.subarray(from, from + suffix), at + prefix)
      values.offsets[++values.length] = at + length
      from += suffix
      last = values.bytes
      lastAt = at
      lastLength = length
    }
    this.#last = last.slice(lastAt, lastAt + lastLength)
    if (target instanceof FixedWidthValues) appendFixed(target, values)
  }
}

function appendFixed(target: FixedWidthValues, values: ByteArrays): void {
  target.reserve(values.length)
  for (let i = 1; i <= values.length; i++) {
    if (values.offsets[i] !== i * target.width)
      throw corrupt('a value of another length than its type has')
  }
  target.bytes.set(values.bytes.subarray(0, values.byteLength), target.length * target.width)
  target.length += values.length
}
