/**
 * The header of a magic 2 record batch, read and patched where it lies: a batch is a buffer and a
 * position, and stays bytes on its way from the producer to the disk and the consumer.
 *
 *    0 baseOffset int64            21 attributes int16        43 producerId int64
 *    8 batchLength int32           23 lastOffsetDelta int32   51 producerEpoch int16
 *   12 partitionLeaderEpoch int32  27 baseTimestamp int64     53 baseSequence int32
 *   16 magic int8                  35 maxTimestamp int64      57 recordCount int32
 *   17 crc uint32, of all from 21 to the end                  61 records, perhaps compressed
 *
 * `batchLength` counts the bytes after itself. Attributes: bits 0-2 compression, 3 timestamp type,
 * 4 transactional, 5 control, 6 base timestamp is the delete horizon (KIP-534).
 *
 * This folder knows the bytes of record batches and of the older message sets, and nothing of logs,
 * topics or requests: `record.ts` opens and writes batches, `control.ts` reads and writes control
 * records, `message-set.ts` converts magic 0 and 1, `compression/` holds the codecs. What a partition
 * accepts, and where, is decided by `src/log` and `src/handlers`.
 */
import {
  readInt16,
  readInt32,
  readInt64,
  writeInt16,
  writeInt32,
  writeInt64,
} from './big-endian.ts'
import { type Compression, compressions } from './compression/compression.ts'
import { CorruptRecords } from './corrupt-records.ts'
import { crc32c } from './crc32c.ts'

/** Bytes before the records. */
export const headerBytes = 61

/** Bytes before what `batchLength` counts; the same in message sets of magic 0 and 1. */
export const logOverheadBytes = 12

/** What `attributes` says of the timestamps: the producer's, or the broker's (all are `maxTimestamp`). */
export const createTime = 0
export const logAppendTime = 1
export type TimestampType = typeof createTime | typeof logAppendTime

export const noTimestamp = -1
export const noProducerId = -1
export const noSequence = -1
export const noLeaderEpoch = -1

const compressionBits = 0x07
const timestampTypeBit = 0x08
const transactionalBit = 0x10
const controlBit = 0x20
const deleteHorizonBit = 0x40

const magicAt = 16
const crcAt = 17
const attributesAt = 21

export function baseOffset(buffer: Uint8Array, at: number): number {
  return readInt64(buffer, at)
}

/** The bytes after this field; see `batchBytes` for all of the batch. */
export function batchLength(buffer: Uint8Array, at: number): number {
  return readInt32(buffer, at + 8)
}

/** All bytes of the batch, the header's first to the records' last. */
export function batchBytes(buffer: Uint8Array, at: number): number {
  return logOverheadBytes + batchLength(buffer, at)
}

export function partitionLeaderEpoch(buffer: Uint8Array, at: number): number {
  return readInt32(buffer, at + 12)
}

/** 2 for a batch; the entries of old message sets have theirs (0 or 1) at the same place. */
export function magic(buffer: Uint8Array, at: number): number {
  return (buffer[at + magicAt]! << 24) >> 24
}

export function crc(buffer: Uint8Array, at: number): number {
  return readInt32(buffer, at + crcAt) >>> 0
}

export function attributes(buffer: Uint8Array, at: number): number {
  return readInt16(buffer, at + attributesAt)
}

export function lastOffsetDelta(buffer: Uint8Array, at: number): number {
  return readInt32(buffer, at + 23)
}

export function lastOffset(buffer: Uint8Array, at: number): number {
  return baseOffset(buffer, at) + lastOffsetDelta(buffer, at)
}

/** The first record's timestamp, or the delete horizon if `hasDeleteHorizon`, in ms. */
export function baseTimestamp(buffer: Uint8Array, at: number): number {
  return readInt64(buffer, at + 27)
}

/** In ms; -1 where no record has a timestamp. */
export function maxTimestamp(buffer: Uint8Array, at: number): number {
  return readInt64(buffer, at + 35)
}

export function producerId(buffer: Uint8Array, at: number): number {
  return readInt64(buffer, at + 43)
}

export function producerEpoch(buffer: Uint8Array, at: number): number {
  return readInt16(buffer, at + 51)
}

export function baseSequence(buffer: Uint8Array, at: number): number {
  return readInt32(buffer, at + 53)
}

/** Sequence numbers wrap at 2^31 to 0. */
export function lastSequence(buffer: Uint8Array, at: number): number {
  const first = baseSequence(buffer, at)
  return first === noSequence ? noSequence : (first + lastOffsetDelta(buffer, at)) & 0x7fffffff
}

export function recordCount(buffer: Uint8Array, at: number): number {
  return readInt32(buffer, at + 57)
}

/** Throws CorruptRecords for the ids nobody has assigned. */
export function compression(buffer: Uint8Array, at: number): Compression {
  return compressionOf(attributes(buffer, at))
}

/** Undefined for the ids nobody has assigned. */
export function knownCompression(buffer: Uint8Array, at: number): Compression | undefined {
  return compressions[attributes(buffer, at) & compressionBits]
}

export function compressionOf(attributeBits: number): Compression {
  const id = attributeBits & compressionBits
  const found = compressions[id]
  if (!found) throw new CorruptRecords(`Unknown compression type id ${id}`)
  return found
}

export function timestampType(buffer: Uint8Array, at: number): TimestampType {
  return attributes(buffer, at) & timestampTypeBit ? logAppendTime : createTime
}

export function isTransactional(buffer: Uint8Array, at: number): boolean {
  return (attributes(buffer, at) & transactionalBit) !== 0
}

export function isControl(buffer: Uint8Array, at: number): boolean {
  return (attributes(buffer, at) & controlBit) !== 0
}

export function hasDeleteHorizon(buffer: Uint8Array, at: number): boolean {
  return (attributes(buffer, at) & deleteHorizonBit) !== 0
}

export interface BatchFlags {
  readonly compression: Compression
  readonly timestampType: TimestampType
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly hasDeleteHorizon: boolean
}

export function attributesOf(flags: BatchFlags): number {
  return (
    compressions.indexOf(flags.compression) |
    (flags.timestampType === logAppendTime ? timestampTypeBit : 0) |
    (flags.isTransactional ? transactionalBit : 0) |
    (flags.isControl ? controlBit : 0) |
    (flags.hasDeleteHorizon ? deleteHorizonBit : 0)
  )
}

/** Outside the CRC, as the leader epoch is: both are assigned when a batch is appended. */
export function setBaseOffset(buffer: Uint8Array, at: number, value: number): void {
  writeInt64(buffer, at, value)
}

export function setLeaderEpoch(buffer: Uint8Array, at: number, value: number): void {
  writeInt32(buffer, at + 12, value)
}

/**
 * Sets the timestamp type and the maximal timestamp, and sums the batch anew. With `logAppendTime`
 * readers take `timestampMs` for every record.
 */
export function setMaxTimestamp(
  buffer: Uint8Array,
  at: number,
  type: TimestampType,
  timestampMs: number,
): void {
  const others = attributes(buffer, at) & ~timestampTypeBit
  const bit = type === logAppendTime ? timestampTypeBit : 0
  if (timestampType(buffer, at) === type && maxTimestamp(buffer, at) === timestampMs) return
  writeInt16(buffer, at + attributesAt, others | bit)
  writeInt64(buffer, at + 35, timestampMs)
  setCrc(buffer, at)
}

export function setCrc(buffer: Uint8Array, at: number): void {
  writeInt32(buffer, at + crcAt, computeCrc(buffer, at))
}

function computeCrc(buffer: Uint8Array, at: number): number {
  return crc32c(buffer, at + attributesAt, at + batchBytes(buffer, at))
}

export function isCrcValid(buffer: Uint8Array, at: number): boolean {
  return computeCrc(buffer, at) === crc(buffer, at)
}

/** Throws CorruptRecords unless the stored CRC is that of the bytes. */
export function checkCrc(buffer: Uint8Array, at: number): void {
  const computed = computeCrc(buffer, at)
  if (computed === crc(buffer, at)) return
  throw new CorruptRecords(
    `Record batch at offset ${baseOffset(buffer, at)} is corrupt ` +
      `(stored crc = ${crc(buffer, at)}, computed crc = ${computed})`,
  )
}

/**
 * Bytes of the batch or old message at `at`, or null where `end` comes first: a torn tail, or the
 * partial last batch of a fetch. Throws CorruptRecords for a length or magic that cannot be.
 */
export function entryBytes(buffer: Uint8Array, at: number, end: number): number | null {
  if (end - at < magicAt + 1) return null
  const length = batchLength(buffer, at)
  const version = magic(buffer, at)
  const least = version === 2 ? headerBytes : version === 1 ? 34 : 26
  if (version < 0 || version > 2) throw new CorruptRecords(`Unknown magic ${version}`)
  if (length < least - logOverheadBytes) {
    throw new CorruptRecords(`Length ${length} is too small for an entry of magic ${version}`)
  }
  return length > end - at - logOverheadBytes ? null : logOverheadBytes + length
}

/**
 * Checks the header of the magic 2 batch at `at`, of which `entryBytes` has found all bytes present:
 * its fields must agree with each other. The CRC is not checked.
 */
export function checkBatch(buffer: Uint8Array, at: number): void {
  if (magic(buffer, at) !== 2) {
    throw new CorruptRecords(`Expected a batch of magic 2, found magic ${magic(buffer, at)}`)
  }
  const count = recordCount(buffer, at)
  const delta = lastOffsetDelta(buffer, at)
  compression(buffer, at)
  if (delta < 0) throw new CorruptRecords(`Negative last offset delta ${delta}`)
  if (count < 0 || count > delta + 1) {
    throw new CorruptRecords(`${count} records cannot have ${delta + 1} offsets`)
  }
  const smallest = compression(buffer, at) === 'none' ? count * leastRecordBytes : 0
  if (smallest > batchBytes(buffer, at) - headerBytes) {
    throw new CorruptRecords(`${count} records in a batch of ${batchBytes(buffer, at)} bytes`)
  }
}

/** Length, attributes, two deltas, two lengths, header count: a byte each. */
export const leastRecordBytes = 7

/**
 * The positions of the magic 2 batches in `buffer[start, end)`, each with its header checked, not its
 * CRC. A partial batch at the end throws CorruptRecords, unless `partialTail` says to stop there.
 */
export function* batches(
  buffer: Uint8Array,
  start = 0,
  end = buffer.length,
  { partialTail = false }: { partialTail?: boolean } = {},
): Generator<number, void, void> {
  let at = start
  while (at < end) {
    const bytes = entryBytes(buffer, at, end)
    if (bytes === null) {
      if (partialTail) return
      throw new CorruptRecords(`The last ${end - at} bytes are not a whole record batch`)
    }
    checkBatch(buffer, at)
    yield at
    at += bytes
  }
}
