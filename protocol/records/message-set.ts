/**
 * Message sets of magic 0 and 1, which clients before Kafka 0.11 speak: read, written, up-converted
 * to one magic 2 batch on produce and down-converted on fetch.
 *
 *    0 offset int64 | 8 size int32, of what follows | 12 crc uint32, of all from 16 on
 *   16 magic int8 | 17 attributes int8 | magic 1: 18 timestamp int64 | key, value (int32 length, bytes)
 *
 * Attributes: bits 0-2 compression, 3 (magic 1) log append time. A compressed message is a wrapper:
 * its value is a compressed set, its offset that of the set's last message, its timestamp the latest.
 * Inside magic 1 wrappers offsets are relative, 0 for the first; inside magic 0 they are absolute.
 */
import * as header from './batch.ts'
import { readInt32, readInt64, writeInt32, writeInt64 } from './big-endian.ts'
import {
  type Compression,
  canCompress,
  compress,
  decompress,
  unpackedBytesMax,
} from './compression/compression.ts'
import { compressLz4 } from './compression/lz4.ts'
import { UnsupportedCompression } from './compression/unsupported-compression.ts'
import { CorruptRecords, OversizedRecords } from './corrupt-records.ts'
import { crc32 } from './crc32.ts'
import { encodeBatch, openBatch } from './record.ts'

export type OldMagic = 0 | 1

export interface Message {
  readonly offset: number
  /** In ms; -1 in magic 0. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** One message as stored: a single one, or a wrapper whose value is a compressed set. */
interface Entry extends Message {
  readonly magic: OldMagic
  readonly compression: Compression
  readonly timestampType: header.TimestampType
}

export interface MessageSet {
  readonly messages: Message[]
  readonly compression: Compression
  /** Log append time if any entry says so: a producer must not. */
  readonly timestampType: header.TimestampType
}

export interface ReadLimits {
  /** Bytes all wrappers together may unpack to. */
  readonly unpackedBytesMax?: number
}

/** What may still be unpacked, for all sets of a request together. */
export interface Allowance {
  bytesLeft: number
}

const timestampTypeBit = 0x08

/** What a message costs beside its key and value. */
const messageOverheadBytes = 64

/**
 * All messages of a set, wrappers opened, CRCs checked. Throws CorruptRecords also for what Kafka
 * refuses: compression within compression, mixed magics in a wrapper, an empty wrapper.
 */
export function readMessageSet(
  buffer: Buffer,
  start = 0,
  end = buffer.length,
  limits: ReadLimits = {},
): MessageSet {
  const messages: Message[] = []
  let compression: Compression = 'none'
  let timestampType: header.TimestampType = header.createTime
  let unpackedLeft = limits.unpackedBytesMax ?? unpackedBytesMax
  for (const at of entries(buffer, start, end)) {
    const entry = readEntry(buffer, at)
    if (entry.compression !== 'none') {
      compression = entry.compression
      unpackedLeft -= openWrapper(entry, unpackedLeft, messages)
    } else {
      messages.push(entry)
    }
    if (entry.timestampType === header.logAppendTime) timestampType = header.logAppendTime
  }
  return { messages, compression, timestampType }
}

function* entries(buffer: Buffer, start: number, end: number): Generator<number, void, void> {
  let at = start
  while (at < end) {
    const bytes = header.entryBytes(buffer, at, end)
    if (bytes === null) {
      throw new CorruptRecords(`The last ${end - at} bytes are not a whole message`)
    }
    if (header.magic(buffer, at) === 2) throw new CorruptRecords('Batch within a message set')
    yield at
    at += bytes
  }
}

function readEntry(buffer: Buffer, at: number): Entry {
  const end = at + header.batchBytes(buffer, at)
  const magic = header.magic(buffer, at) as OldMagic
  const stored = readInt32(buffer, at + 12) >>> 0
  const computed = crc32(buffer, at + 16, end)
  if (stored !== computed) {
    throw new CorruptRecords(
      `Message is corrupt (stored crc = ${stored}, computed crc = ${computed})`,
    )
  }
  const bits = buffer[at + 17]!
  const compression = header.compressionOf(bits)
  if (compression === 'zstd') throw new CorruptRecords(`zstd in a message of magic ${magic}`)
  const isAppendTime = magic === 1 && (bits & timestampTypeBit) !== 0
  const keyAt = at + (magic === 1 ? 26 : 18)
  const key = readNullable(buffer, keyAt, end)
  const valueAt = keyAt + 4 + (key?.length ?? 0)
  const value = readNullable(buffer, valueAt, end)
  if (valueAt + 4 + (value?.length ?? 0) !== end) {
    throw new CorruptRecords(`Message with ${end - valueAt - 4} bytes for its value`)
  }
  return {
    offset: header.baseOffset(buffer, at),
    timestamp: magic === 1 ? readInt64(buffer, at + 18) : header.noTimestamp,
    key,
    value,
    magic,
    compression,
    timestampType: isAppendTime ? header.logAppendTime : header.createTime,
  }
}

function readNullable(buffer: Buffer, at: number, end: number): Buffer | null {
  if (end - at < 4) throw new CorruptRecords('Message ends within a length')
  const length = readInt32(buffer, at)
  if (length < 0) return null
  if (length > end - at - 4) throw new CorruptRecords(`Length ${length} in a shorter message`)
  return buffer.subarray(at + 4, at + 4 + length)
}

/** Adds the messages of a wrapper; returns how many bytes they unpacked to. */
function openWrapper(wrapper: Entry, bytesMax: number, into: Message[]): number {
  if (wrapper.value === null) throw new CorruptRecords('Compressed message without a value')
  const set = decompress(wrapper.compression, wrapper.value, bytesMax)
  const inner: Entry[] = []
  for (const at of entries(set, 0, set.length)) {
    const entry = readEntry(set, at)
    if (entry.compression !== 'none') throw new CorruptRecords('Compression within compression')
    if (entry.magic !== wrapper.magic) {
      throw new CorruptRecords(`Magic ${entry.magic} in a wrapper of magic ${wrapper.magic}`)
    }
    inner.push(entry)
  }
  const last = inner.at(-1)
  if (!last) throw new CorruptRecords('Compressed message with no messages inside')
  // Some releases of librdkafka leave the wrapper's offset 0 on produce.
  const isRelative = wrapper.magic === 1 && wrapper.offset !== 0
  if (isRelative && wrapper.offset < last.offset) {
    throw new CorruptRecords(`Wrapper of offset ${wrapper.offset} ends at ${last.offset}`)
  }
  const base = isRelative ? wrapper.offset - last.offset : 0
  const isAppendTime = wrapper.timestampType === header.logAppendTime
  for (const { offset, timestamp, key, value } of inner) {
    const stamped = isAppendTime ? wrapper.timestamp : timestamp
    into.push({ offset: base + offset, timestamp: stamped, key, value })
  }
  return set.length
}

export interface NewMessageSet {
  readonly magic: OldMagic
  readonly messages: readonly Message[]
  readonly compression?: Compression
  readonly timestampType?: header.TimestampType
}

/**
 * A set with offsets as given; compressed, one wrapper holds it all. Throws UnsupportedCompression,
 * for zstd always: the old formats never had it.
 */
export function encodeMessageSet(set: NewMessageSet): Buffer {
  const { magic, messages, compression = 'none' } = set
  const bits = magic === 1 && set.timestampType === header.logAppendTime ? timestampTypeBit : 0
  const last = messages.at(-1)
  if (compression === 'none' || !last) {
    return Buffer.concat(messages.map((message) => encodeMessage(magic, bits, message)))
  }
  const base = magic === 1 ? messages[0]!.offset : 0
  const inner = Buffer.concat(
    messages.map((message) =>
      encodeMessage(magic, bits, { ...message, offset: message.offset - base }),
    ),
  )
  const timestamp = messages.reduce((latest, one) => Math.max(latest, one.timestamp), -1)
  const value = packInner(magic, compression, inner)
  const codecBits = header.attributesOf({
    compression,
    timestampType: header.createTime,
    isTransactional: false,
    isControl: false,
    hasDeleteHorizon: false,
  })
  const wrapper = { offset: last.offset, timestamp, key: null, value }
  return encodeMessage(magic, bits | codecBits, wrapper)
}

function packInner(magic: OldMagic, compression: Compression, inner: Buffer): Buffer {
  if (compression === 'zstd') throw noOldZstd()
  if (compression === 'lz4' && magic === 0) return compressLz4(inner, 'magic 0')
  return compress(compression, inner)
}

function noOldZstd(): UnsupportedCompression {
  return new UnsupportedCompression(
    'zstd',
    'zstd batches cannot be converted to message formats 0 and 1: use a newer client',
  )
}

function encodeMessage(magic: OldMagic, bits: number, message: Message): Buffer {
  const { offset, timestamp, key, value } = message
  const keyAt = magic === 1 ? 26 : 18
  const valueAt = keyAt + 4 + (key?.length ?? 0)
  const buffer = Buffer.allocUnsafe(valueAt + 4 + (value?.length ?? 0))
  writeInt64(buffer, 0, offset)
  writeInt32(buffer, 8, buffer.length - header.logOverheadBytes)
  buffer[16] = magic
  buffer[17] = bits
  if (magic === 1) writeInt64(buffer, 18, timestamp)
  writeInt32(buffer, keyAt, key?.length ?? -1)
  key?.copy(buffer, keyAt + 4)
  writeInt32(buffer, valueAt, value?.length ?? -1)
  value?.copy(buffer, valueAt + 4)
  writeInt32(buffer, 12, crc32(buffer, 16))
  return buffer
}

/**
 * One magic 2 batch of all messages in a produced set, with offsets from 0 on, the producer's
 * timestamps (-1 from magic 0) and its compression unless `compression` says otherwise or this process
 * cannot write it. Null for an empty set. Throws CorruptRecords, also where the producer claims log append time or puts a
 * compressed message beside others, and UnsupportedCompression.
 */
export function upConvert(
  buffer: Buffer,
  options: { readonly allowance?: Allowance; readonly compression?: Compression } = {},
): Buffer | null {
  const { allowance = { bytesLeft: unpackedBytesMax } } = options
  const unpackedBytes = { unpackedBytesMax: allowance.bytesLeft }
  const set = readMessageSet(buffer, 0, buffer.length, unpackedBytes)
  for (const { value } of set.messages) {
    allowance.bytesLeft -= messageOverheadBytes + (value?.length ?? 0)
  }
  if (set.messages.length === 0) return null
  if (set.timestampType === header.logAppendTime) {
    throw new CorruptRecords('Producers must not claim log append time')
  }
  if (set.compression !== 'none' && header.batchBytes(buffer, 0) !== buffer.length) {
    throw new CorruptRecords('A compressed message must be alone in its set')
  }
  const records = set.messages.map(({ timestamp, key, value }) => ({ timestamp, key, value }))
  return encodeBatch({
    records,
    baseOffset: 0,
    compression: options.compression ?? (canCompress(set.compression) ? set.compression : 'none'),
  })
}

/**
 * Stored batches as a client of magic `toMagic` can read them: offsets, timestamps and compression
 * kept, headers and producer fields lost, control batches left out. Uncompressed records before
 * `firstOffset` are left out too, since such clients expect the first they get to be at or behind it.
 * Entries old enough are copied; a partial batch at the end is dropped, unless there is no whole one:
 * then the bytes are returned as they are, whose size field, at the same place in all formats, tells
 * the client that its fetch size is too small. Where lz4 cannot be written, sets go uncompressed.
 * Ends before a batch in zstd; throws UnsupportedCompression where that is the first to be converted.
 * Ends before what is more than `allowance` has left, too; throws OversizedRecords where that is the first.
 */
export function downConvert(
  buffer: Buffer,
  toMagic: OldMagic,
  firstOffset: number,
  allowance: Allowance = { bytesLeft: unpackedBytesMax },
): Buffer {
  const sets: Buffer[] = []
  let at = 0
  while (at < buffer.length) {
    const bytes = header.entryBytes(buffer, at, buffer.length)
    if (bytes === null) {
      if (at === 0) return buffer
      break
    }
    const entry = buffer.subarray(at, at + bytes)
    at += bytes
    if (header.magic(entry, 0) <= toMagic) {
      sets.push(entry)
      continue
    }
    if (sets.length > 0 && isZstdBatch(entry)) break
    try {
      const converted = downConvertEntry(entry, toMagic, firstOffset, allowance)
      if (converted.length > 0) sets.push(converted)
    } catch (error) {
      if (error instanceof OversizedRecords && sets.length > 0) break
      throw error
    }
  }
  return sets.length === 1 ? sets[0]! : Buffer.concat(sets)
}

function isZstdBatch(entry: Buffer): boolean {
  return header.magic(entry, 0) === 2 && header.compression(entry, 0) === 'zstd'
}

function downConvertEntry(
  entry: Buffer,
  magic: OldMagic,
  firstOffset: number,
  allowance: Allowance,
): Buffer {
  const limits = { unpackedBytesMax: allowance.bytesLeft }
  const isBatch = header.magic(entry, 0) === 2
  if (isBatch && header.isControl(entry, 0)) return Buffer.alloc(0)
  const set = isBatch
    ? readAsMessages(entry, limits)
    : readMessageSet(entry, 0, entry.length, limits)
  for (const { key, value } of set.messages) {
    allowance.bytesLeft -= messageOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0)
  }
  const isPacked = set.compression !== 'none'
  const messages = isPacked ? set.messages : set.messages.filter((m) => m.offset >= firstOffset)
  return encodeMessageSet({
    magic,
    messages,
    compression: canCompress(set.compression) ? set.compression : 'none',
    timestampType: set.timestampType,
  })
}

function readAsMessages(batch: Buffer, limits: ReadLimits): MessageSet {
  const compression = header.compression(batch, 0)
  if (compression === 'zstd') throw noOldZstd()
  const messages: Message[] = []
  const bytesMax = limits.unpackedBytesMax ?? unpackedBytesMax
  if (header.recordCount(batch, 0) * messageOverheadBytes > bytesMax) {
    throw new OversizedRecords(`${header.recordCount(batch, 0)} records are too many to convert`)
  }
  const cursor = openBatch(batch, 0, limits)
  while (cursor.next()) {
    const { offset, timestamp, key, value } = cursor
    messages.push({ offset, timestamp, key, value })
  }
  return { messages, compression, timestampType: header.timestampType(batch, 0) }
}
