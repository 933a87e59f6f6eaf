/**
 * Walks the records of one unpacked batch. `next()` moves to a record and checks every length in it
 * against the bytes left; the fields then say where its parts lie. Nothing is allocated per record
 * unless key, value or headers are asked for.
 */
import { CorruptRecords } from './corrupt-records.ts'
import type { RecordHeader } from './record.ts'

export interface CursorStart {
  readonly baseOffset: number
  readonly baseTimestamp: number
  readonly recordCount: number
  /** Stands for every record's timestamp, unless null. */
  readonly logAppendTimeMs: number | null
}

export class RecordCursor {
  readonly #bytes: Buffer
  readonly #end: number
  readonly #start: CursorStart
  #position: number
  #read = 0
  #headersAt = 0

  /** Where the record begins in `bytes`, with its length, and where it ends. */
  recordAt = 0
  recordEnd = 0
  /** What does not depend on the batch's timestamps begins here: the offset delta and all behind it. */
  bodyAt = 0
  offset = -1
  timestamp = -1
  attributes = 0
  /** Positions of key and value in `bytes`; the length is -1 for null. */
  keyAt = 0
  keyLength = -1
  valueAt = 0
  valueLength = -1
  headerCount = 0

  constructor(bytes: Buffer, start: number, end: number, batch: CursorStart) {
    this.#bytes = bytes
    this.#position = start
    this.#end = end
    this.#start = batch
  }

  /** The unpacked records that positions refer to. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** A slice, no copy. */
  get key(): Buffer | null {
    return this.#slice(this.keyAt, this.keyLength)
  }

  get value(): Buffer | null {
    return this.#slice(this.valueAt, this.valueLength)
  }

  get headers(): RecordHeader[] {
    const headers: RecordHeader[] = []
    const after = this.#position
    this.#position = this.#headersAt
    for (let index = 0; index < this.headerCount; index++) {
      const keyLength = this.#varint32()
      const key = this.#bytes.toString('utf8', this.#position, this.#position + keyLength)
      this.#position += keyLength
      const valueLength = this.#varint32()
      headers.push({ key, value: this.#slice(this.#position, valueLength) })
      if (valueLength > 0) this.#position += valueLength
    }
    this.#position = after
    return headers
  }

  /**
   * Moves to the next record; false after the last. Throws CorruptRecords, also where bytes are left
   * over after as many records as the batch's header counts.
   */
  next(): boolean {
    if (this.#read === this.#start.recordCount) {
      if (this.#position === this.#end) return false
      throw new CorruptRecords(`${this.#end - this.#position} bytes after the last record`)
    }
    this.recordAt = this.#position
    const length = this.#varint32()
    const end = this.#position + length
    this.recordEnd = end
    if (length < 0 || end > this.#end) throw new CorruptRecords(`Record length ${length}`)
    this.attributes = this.#bytes[this.#position++] ?? 0
    const timestampDelta = this.#varint64()
    this.bodyAt = this.#position
    const offsetDelta = this.#varint32()
    this.offset = this.#start.baseOffset + offsetDelta
    // Not by `??`: of a number or null the compiler makes an object for each record.
    const { logAppendTimeMs, baseTimestamp } = this.#start
    if (logAppendTimeMs === null) this.timestamp = baseTimestamp + timestampDelta
    else this.timestamp = logAppendTimeMs
    this.keyLength = this.#lengthWithin(end)
    this.keyAt = this.#skip(this.keyLength)
    this.valueLength = this.#lengthWithin(end)
    this.valueAt = this.#skip(this.valueLength)
    this.headerCount = this.#varint32()
    this.#headersAt = this.#position
    // A header takes two bytes at least.
    if (this.headerCount < 0 || this.headerCount * 2 > end - this.#position) {
      throw new CorruptRecords(`Record with ${this.headerCount} headers`)
    }
    for (let index = 0; index < this.headerCount; index++) {
      const keyLength = this.#lengthWithin(end)
      if (keyLength < 0) throw new CorruptRecords('Record header with a null key')
      this.#skip(keyLength)
      this.#skip(this.#lengthWithin(end))
    }
    if (this.#position !== end) {
      throw new CorruptRecords(`Record of ${length} bytes ends at ${this.#position}, not ${end}`)
    }
    this.#read++
    return true
  }

  #slice(at: number, length: number): Buffer | null {
    return length < 0 ? null : this.#bytes.subarray(at, at + length)
  }

  #skip(length: number): number {
    const at = this.#position
    if (length > 0) this.#position += length
    return at
  }

  #lengthWithin(end: number): number {
    const length = this.#varint32()
    if (length < -1 || length > end - this.#position) {
      throw new CorruptRecords(`Length ${length} with ${end - this.#position} bytes left`)
    }
    return length
  }

  /** Most have one byte, and a function as short as this is compiled into its callers. */
  #varint32(): number {
    const byte = this.#nextByte()
    return byte < 128 ? (byte >>> 1) ^ -(byte & 1) : this.#longVarint32(byte)
  }

  #longVarint32(first: number): number {
    let zigzag = first & 127
    for (let shift = 7; shift <= 28; shift += 7) {
      const byte = this.#nextByte()
      zigzag |= (byte & 127) << shift
      if (byte < 128) return (zigzag >>> 1) ^ -(zigzag & 1)
    }
    throw new CorruptRecords('Varint of more than 5 bytes')
  }

  /** Most deltas fit in the 28 bits that plain integer arithmetic takes care of. */
  #varint64(): number {
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#nextByte()
      low |= (byte & 127) << shift
      if (byte < 128) return (low >>> 1) ^ -(low & 1)
    }
    let high = 0
    for (let scale = 1, count = 0; count < 6; scale *= 128, count++) {
      const byte = this.#nextByte()
      high += (byte & 127) * scale
      if (byte < 128) {
        const magnitude = (high % 2 ** 36) * 2 ** 27 + (low >>> 1)
        return low & 1 ? -magnitude - 1 : magnitude
      }
    }
    throw new CorruptRecords('Varint of more than 10 bytes')
  }

  #nextByte(): number {
    if (this.#position >= this.#end) throw new CorruptRecords('Records end within a varint')
    return this.#bytes[this.#position++]!
  }
}
