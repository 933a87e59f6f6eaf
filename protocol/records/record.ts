/**
 * The records inside a magic 2 batch, walked and written.
 *
 *   length varint | attributes int8 | timestampDelta varlong | offsetDelta varint
 *   | key length varint, key | value length varint, value | header count varint, headers
 *
 * A header is a key (length varint, never null) and a value; a length of -1 is null. Varints are
 * zigzag. Deltas count from the batch's base offset and base timestamp.
 */
import * as header from './batch.ts'
import { writeInt16, writeInt32, writeInt64 } from './big-endian.ts'
import {
  type Compression,
  compress,
  decompress,
  unpackedBytesMax,
} from './compression/compression.ts'
import { CorruptRecords } from './corrupt-records.ts'
import { RecordCursor } from './record-cursor.ts'
import { varintBytes, writeVarint } from './varint.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** One record as read; key and value are slices of the (unpacked) batch. */
export interface BatchRecord {
  readonly offset: number
  /** The producer's, or with log append time the broker's, in ms; -1 for none. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** A batch's header fields and its records. */
export interface RecordBatch extends header.BatchFlags {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  readonly records: BatchRecord[]
}

export interface NewRecord {
  /** Defaults to the offset after the record before. */
  readonly offset?: number
  /** In ms; -1 for none. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

export interface NewBatch {
  readonly records: readonly NewRecord[]
  readonly baseOffset?: number
  /** Beyond the last record's where records behind it were compacted away. */
  readonly lastOffset?: number
  readonly compression?: Compression
  readonly compressionLevel?: number | undefined
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly leaderEpoch?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  readonly timestampType?: header.TimestampType
  /** Defaults to the latest of the records'. */
  readonly maxTimestamp?: number
  /** Stored in place of the base timestamp (KIP-534), in ms. */
  readonly deleteHorizonMs?: number
}

/** The whole batch at `at`: header and records, unpacked if compressed. The CRC is not checked. */
export function readBatch(
  buffer: Buffer,
  at = 0,
  limits: { unpackedBytesMax?: number } = {},
): RecordBatch {
  const bits = header.attributes(buffer, at)
  const records: BatchRecord[] = []
  const cursor = openBatch(buffer, at, limits)
  while (cursor.next()) {
    const { offset, timestamp, key, value, headers } = cursor
    records.push({ offset, timestamp, key, value, headers })
  }
  return {
    baseOffset: header.baseOffset(buffer, at),
    lastOffset: header.lastOffset(buffer, at),
    leaderEpoch: header.partitionLeaderEpoch(buffer, at),
    compression: header.compressionOf(bits),
    timestampType: header.timestampType(buffer, at),
    isTransactional: header.isTransactional(buffer, at),
    isControl: header.isControl(buffer, at),
    hasDeleteHorizon: header.hasDeleteHorizon(buffer, at),
    baseTimestamp: header.baseTimestamp(buffer, at),
    maxTimestamp: header.maxTimestamp(buffer, at),
    producerId: header.producerId(buffer, at),
    producerEpoch: header.producerEpoch(buffer, at),
    baseSequence: header.baseSequence(buffer, at),
    recordCount: header.recordCount(buffer, at),
    records,
  }
}

/**
 * A cursor over the records of the batch at `at`, which is checked and unpacked first. Throws
 * CorruptRecords, here or from `next()`, and UnsupportedCompression.
 */
export function openBatch(
  buffer: Buffer,
  at = 0,
  limits: { unpackedBytesMax?: number } = {},
): RecordCursor {
  const bytes = header.entryBytes(buffer, at, buffer.length)
  if (bytes === null) throw new CorruptRecords('Not a whole record batch')
  header.checkBatch(buffer, at)
  const codec = header.compression(buffer, at)
  const start = at + header.headerBytes
  const end = at + bytes
  const cursorOf = (unpacked: Buffer, from: number, to: number) =>
    new RecordCursor(unpacked, from, to, {
      baseOffset: header.baseOffset(buffer, at),
      baseTimestamp: header.baseTimestamp(buffer, at),
      recordCount: header.recordCount(buffer, at),
      logAppendTimeMs:
        header.timestampType(buffer, at) === header.logAppendTime
          ? header.maxTimestamp(buffer, at)
          : null,
    })
  if (codec === 'none') return cursorOf(buffer, start, end)
  if (header.recordCount(buffer, at) === 0 && start === end) return cursorOf(buffer, start, end)
  const packed = buffer.subarray(start, end)
  const unpacked = decompress(codec, packed, limits.unpackedBytesMax ?? unpackedBytesMax)
  return cursorOf(unpacked, 0, unpacked.length)
}

/** A batch ready for the log or the wire, its CRC included. Throws UnsupportedCompression. */
export function encodeBatch(batch: NewBatch): Buffer {
  const { records, compression = 'none' } = batch
  const baseOffset = batch.baseOffset ?? records[0]?.offset ?? 0
  const baseTimestamp = batch.deleteHorizonMs ?? records[0]?.timestamp ?? header.noTimestamp
  const sized = new SizedRecords(records, baseOffset, baseTimestamp)
  let buffer: Buffer
  if (compression === 'none' || records.length === 0) {
    buffer = Buffer.allocUnsafe(header.headerBytes + sized.bytes)
    sized.write(buffer, header.headerBytes)
  } else {
    const plain = Buffer.allocUnsafe(sized.bytes)
    sized.write(plain, 0)
    const packed = compress(compression, plain, batch.compressionLevel)
    buffer = Buffer.allocUnsafe(header.headerBytes + packed.length)
    packed.copy(buffer, header.headerBytes)
  }
  const lastOffset = Math.max(batch.lastOffset ?? -1, sized.lastOffset)
  const flags = header.attributesOf({
    compression,
    timestampType: batch.timestampType ?? header.createTime,
    isTransactional: batch.isTransactional ?? false,
    isControl: batch.isControl ?? false,
    hasDeleteHorizon: batch.deleteHorizonMs !== undefined,
  })
  writeInt64(buffer, 0, baseOffset)
  writeInt32(buffer, 8, buffer.length - header.logOverheadBytes)
  writeInt32(buffer, 12, batch.leaderEpoch ?? header.noLeaderEpoch)
  buffer[16] = 2
  writeInt16(buffer, 21, flags)
  writeInt32(buffer, 23, Math.max(lastOffset - baseOffset, 0))
  writeInt64(buffer, 27, baseTimestamp)
  writeInt64(buffer, 35, batch.maxTimestamp ?? sized.maxTimestamp)
  writeInt64(buffer, 43, batch.producerId ?? header.noProducerId)
  writeInt16(buffer, 51, batch.producerEpoch ?? -1)
  writeInt32(buffer, 53, batch.baseSequence ?? header.noSequence)
  writeInt32(buffer, 57, records.length)
  header.setCrc(buffer, 0)
  return buffer
}

/** Records with the sizes of their bodies, so that they are written in one pass into one buffer. */
class SizedRecords {
  readonly #records: readonly NewRecord[]
  readonly #baseOffset: number
  readonly #baseTimestamp: number
  readonly #bodyBytes: number[] = []
  bytes = 0
  lastOffset: number
  maxTimestamp: number = header.noTimestamp

  constructor(records: readonly NewRecord[], baseOffset: number, baseTimestamp: number) {
    this.#records = records
    this.#baseOffset = baseOffset
    this.#baseTimestamp = baseTimestamp
    this.lastOffset = baseOffset - 1
    for (const record of records) {
      const offset = record.offset ?? this.lastOffset + 1
      const body = bodyBytes(record, offset - baseOffset, record.timestamp - baseTimestamp)
      this.#bodyBytes.push(body)
      this.bytes += varintBytes(body) + body
      this.lastOffset = offset
      this.maxTimestamp = Math.max(this.maxTimestamp, record.timestamp)
    }
  }

  write(buffer: Buffer, start: number): void {
    let at = start
    let offset = this.#baseOffset - 1
    for (const [index, record] of this.#records.entries()) {
      offset = record.offset ?? offset + 1
      at = writeVarint(buffer, at, this.#bodyBytes[index]!)
      buffer[at++] = 0
      at = writeVarint(buffer, at, record.timestamp - this.#baseTimestamp)
      at = writeVarint(buffer, at, offset - this.#baseOffset)
      at = writeNullable(buffer, at, record.key)
      at = writeNullable(buffer, at, record.value)
      at = writeVarint(buffer, at, record.headers?.length ?? 0)
      for (const { key, value } of record.headers ?? []) {
        at = writeVarint(buffer, at, Buffer.byteLength(key))
        at += buffer.write(key, at)
        at = writeNullable(buffer, at, value)
      }
    }
  }
}

function bodyBytes(record: NewRecord, offsetDelta: number, timestampDelta: number): number {
  const { headers = [] } = record
  let bytes = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta)
  bytes += nullableBytes(record.key) + nullableBytes(record.value) + varintBytes(headers.length)
  for (const { key, value } of headers) {
    const keyBytes = Buffer.byteLength(key)
    bytes += varintBytes(keyBytes) + keyBytes + nullableBytes(value)
  }
  return bytes
}

function nullableBytes(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : varintBytes(bytes.length) + bytes.length
}

function writeNullable(buffer: Buffer, at: number, bytes: Uint8Array | null): number {
  if (bytes === null) return writeVarint(buffer, at, -1)
  const start = writeVarint(buffer, at, bytes.length)
  buffer.set(bytes, start)
  return start + bytes.length
}
