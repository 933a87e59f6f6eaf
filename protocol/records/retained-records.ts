/**
 * A batch with only some of its records, as compaction leaves it. Offsets, leader epoch, producer and
 * sequences stay those of the batch that was appended, also where its first or last records are gone:
 * so positions in the log and the producer's next sequence follow as before. The records themselves
 * are copied as they are.
 *
 * Where a batch gets a delete horizon (KIP-534), that takes the place of its base timestamp, and the
 * records' timestamps are written anew as distances from it.
 */
import * as header from './batch.ts'
import { writeInt16, writeInt32, writeInt64 } from './big-endian.ts'
import { compress } from './compression/compression.ts'
import type { RecordCursor } from './record-cursor.ts'
import { varintBytes, writeVarint } from './varint.ts'

const compressionBits = 0x07
const deleteHorizonBit = 0x40

/** Numbers kept of a record: where it begins, where its body begins, its end, its timestamp. */
const fields = 4

/** The records of one batch that are to stay; used again for the next batch. */
export class RetainedRecords {
  #records = new Float64Array(fields * 64)
  #bytes: Buffer | null = null
  count = 0
  #maxTimestamp = header.noTimestamp
  hasTombstone = false

  clear(): void {
    this.count = 0
    this.#bytes = null
    this.#maxTimestamp = header.noTimestamp
    this.hasTombstone = false
  }

  /** The record at which the cursor stands stays. */
  keep(cursor: RecordCursor): void {
    const at = this.count * fields
    if (at === this.#records.length) {
      const grown = new Float64Array(at * 2)
      grown.set(this.#records)
      this.#records = grown
    }
    this.#bytes = cursor.bytes
    this.#records[at] = cursor.recordAt
    this.#records[at + 1] = cursor.bodyAt
    this.#records[at + 2] = cursor.recordEnd
    this.#records[at + 3] = cursor.timestamp
    this.#maxTimestamp = Math.max(this.#maxTimestamp, cursor.timestamp)
    this.hasTombstone ||= cursor.valueLength < 0
    this.count++
  }

  /**
   * The batch at `at` with these records only, one at least; `deleteHorizonMs` null leaves its base
   * timestamp, and the horizon it may have, as they are. Throws UnsupportedCompression.
   */
  encode(batch: Buffer, at: number, deleteHorizonMs: number | null): Buffer {
    const codec = header.compression(batch, at)
    const plain = this.#write(deleteHorizonMs, codec === 'none' ? header.headerBytes : 0)
    const packed = codec === 'none' ? plain : compress(codec, plain)
    const bytes = codec === 'none' ? plain : Buffer.allocUnsafe(header.headerBytes + packed.length)
    if (packed !== bytes) packed.copy(bytes, header.headerBytes)
    batch.copy(bytes, 0, at, at + header.headerBytes)
    if (deleteHorizonMs !== null) {
      writeInt16(bytes, 21, header.attributes(batch, at) | deleteHorizonBit)
      writeInt64(bytes, 27, deleteHorizonMs)
    }
    writeInt64(bytes, 35, this.#maxTimestamp)
    writeInt32(bytes, 57, this.count)
    return sealed(bytes)
  }

  #write(deleteHorizonMs: number | null, start: number): Buffer {
    const source = this.#bytes as Buffer
    const records = this.#records
    const end = this.count * fields
    let bytes = start
    for (let i = 0; i < end; i += fields) {
      bytes +=
        deleteHorizonMs === null ? records[i + 2]! - records[i]! : this.#bytesOf(i, deleteHorizonMs)
    }
    const target = Buffer.allocUnsafe(bytes)
    let to = start
    for (let i = 0; i < end; i += fields) {
      if (deleteHorizonMs === null) {
        to += source.copy(target, to, records[i], records[i + 2])
        continue
      }
      const delta = records[i + 3]! - deleteHorizonMs
      const body = records[i + 2]! - records[i + 1]!
      to = writeVarint(target, to, 1 + varintBytes(delta) + body)
      // The attributes of a record, of which there are none.
      target[to++] = 0
      to = writeVarint(target, to, delta)
      to += source.copy(target, to, records[i + 1], records[i + 2])
    }
    return target
  }

  #bytesOf(i: number, deleteHorizonMs: number): number {
    const body = this.#records[i + 2]! - this.#records[i + 1]!
    const length = 1 + varintBytes(this.#records[i + 3]! - deleteHorizonMs) + body
    return varintBytes(length) + length
  }
}

/** The batch at `at` without records: what is left tells of its offsets and its producer. */
export function emptied(batch: Buffer, at: number): Buffer {
  const bytes = Buffer.from(batch.subarray(at, at + header.headerBytes))
  const attributes = header.attributes(batch, at) & ~(compressionBits | deleteHorizonBit)
  writeInt16(bytes, 21, attributes)
  writeInt64(bytes, 27, header.noTimestamp)
  writeInt32(bytes, 57, 0)
  return sealed(bytes)
}

function sealed(bytes: Buffer): Buffer {
  writeInt32(bytes, 8, bytes.length - header.logOverheadBytes)
  header.setCrc(bytes, 0)
  return bytes
}
