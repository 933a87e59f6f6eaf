/**
 * What a leader demands of batches before they enter its log, as Kafka's LogValidator does.
 *
 * The header and the checksum are always checked, and everything that follows from them: size,
 * offsets and count that agree, the largest timestamp. The records of an uncompressed batch are
 * walked, as Kafka does: one that no consumer could read would stop them all. A compressed batch is
 * opened only where something needs its records: keys on a compacted topic, a lower bound for
 * timestamps, a largest timestamp that is out of bounds (to name the records) or below the first
 * one, another codec than the producer's. Otherwise it must begin as its codec says and be long enough
 * for the records it claims, which it is taken to hold; Kafka opens it.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import {
  type Compression,
  unpackedBytesMax,
  unpackedPerRequestBytesMax,
} from '../../protocol/records/compression/compression.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords, OversizedRecords } from '../../protocol/records/corrupt-records.ts'
import type { Allowance } from '../../protocol/records/message-set.ts'
import {
  encodeBatch,
  openBatch,
  type RecordBatch,
  readBatch,
} from '../../protocol/records/record.ts'
import type { RecordCursor } from '../../protocol/records/record-cursor.ts'
import type { Milliseconds } from '../environment/environment.ts'
import { isSound, lastOffsetOf, leaderEpochOf } from './links.ts'
import { isCompacted, type LogConfig } from './log-config.ts'

/** Who appends: a client, a coordinator of this broker, or the metadata quorum. */
export type AppendOrigin = 'client' | 'coordinator' | 'raft'

export interface RecordError {
  /** Position of the record in its batch. */
  readonly batchIndex: number
  readonly message: string
}

/** Some records of a batch are not acceptable, so none is appended. */
export class RecordsRejected extends KafkaError {
  readonly recordErrors: readonly RecordError[]
  constructor(error: ErrorRow, message: string, recordErrors: readonly RecordError[]) {
    super(error, message)
    this.recordErrors = recordErrors
  }
}

/** The records unpack to more than is allowed. */
export class OversizedBatch extends KafkaError {
  constructor(message: string, cause: OversizedRecords) {
    super(errors.MESSAGE_TOO_LARGE, message, { cause })
  }
}

export interface ValidationOptions {
  readonly config: LogConfig
  readonly origin: AppendOrigin
  readonly now: Milliseconds
  /** The partition, for messages. */
  readonly name: string
  /** What may be unpacked while everybody waits, here and for the rest of the request. */
  readonly allowance: Allowance | undefined
}

/** What a check that was made before the append came to: the bytes to append, or what is wrong with them. */
export type Checked = Buffer | KafkaError

export interface Checking {
  readonly allowance?: Allowance | undefined
  readonly checked?: Checked | undefined
}

/** Of a record, beside key and value: the least it takes. */
const recordOverheadBytes = 7

/** A timestamp bound at or above this is no bound. */
const boundMax = 2 ** 62

/**
 * Checks the batches in `records` and stamps them where the topic says so; offsets and leader epoch
 * are left to the log. Returns the bytes to append: those given, or others if they were
 * recompressed. Throws KafkaError: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE,
 * INVALID_RECORD, INVALID_TIMESTAMP, UNSUPPORTED_COMPRESSION_TYPE; RecordsRejected where single
 * records are at fault.
 */
export function validateRecords(records: Buffer, options: ValidationOptions): Buffer {
  const { config, origin, name } = options
  let at = 0
  let isChanged = false
  const batches: Buffer[] = []
  while (at < records.length) {
    const bytes = frameBytes(records, at, name)
    // Kafka ignores what follows the last whole batch.
    if (bytes === null) break
    checkFrame(records, at, bytes, options)
    const given = bytes === records.length ? records : records.subarray(at, at + bytes)
    const batch = validateBatch(given, options)
    isChanged ||= batch !== given
    batches.push(batch)
    at += bytes
    if (origin === 'client' && batches.length > 1) {
      throw new KafkaError(errors.INVALID_RECORD, `More than one batch for ${name}.`)
    }
  }
  if (batches.length === 0) throw new KafkaError(errors.INVALID_RECORD, `No batch for ${name}.`)
  const whole = at < records.length ? records.subarray(0, at) : records
  const result = isChanged ? Buffer.concat(batches) : whole
  if (result.length > config.segmentBytes) {
    throw new KafkaError(
      errors.RECORD_LIST_TOO_LARGE,
      `${result.length} bytes for ${name}, more than segment.bytes, ${config.segmentBytes}.`,
    )
  }
  return result
}

/**
 * As `validateRecords`, of a client's records that were checked before, as long ago as that took. Throws
 * what the check came to.
 */
export function takeChecked(checked: Checked, config: LogConfig, now: Milliseconds): Buffer {
  if (checked instanceof KafkaError) throw checked
  if (config.messageTimestampType === 'LogAppendTime') {
    header.setMaxTimestamp(checked, 0, header.logAppendTime, now)
  }
  return checked
}

/** Whether a client's whole batch is to be unpacked to be checked; those that are not packed are walked as they are. */
export function isUnpackedToCheck(batch: Buffer, config: LogConfig, now: Milliseconds): boolean {
  if (batch.length < header.headerBytes || header.magic(batch, 0) !== 2) return false
  const codec = header.compression(batch, 0)
  if (codec === 'none' || header.batchBytes(batch, 0) !== batch.length) return false
  const isStamped = config.messageTimestampType === 'LogAppendTime'
  if (needsRecords(batch, { config, now }, isStamped)) return true
  return targetCompression(batch, config) !== codec
}

/**
 * Stamps offsets, from `baseOffset` on, and leader epoch into the batches. Gives the last offset.
 */
export function assignOffsets(bytes: Buffer, baseOffset: number, leaderEpoch: number): number {
  let offset = baseOffset
  for (let at = 0; at < bytes.length; at += header.batchBytes(bytes, at)) {
    header.setBaseOffset(bytes, at, offset)
    header.setLeaderEpoch(bytes, at, leaderEpoch)
    offset += header.lastOffsetDelta(bytes, at) + 1
  }
  return offset - 1
}

/**
 * Batches from the leader, on a follower: sound, with rising offsets. Tells where those end that
 * are not of a later epoch than `leaderEpoch`. Throws KafkaError CORRUPT_MESSAGE.
 */
export function checkReplicated(
  records: Buffer,
  leaderEpoch: number,
  name: string,
): { end: number; lastOffset: number } {
  let end = 0
  let lastOffset = -1
  while (end < records.length) {
    const bytes = frameBytes(records, end, name)
    // A fetch may end within a batch.
    if (bytes === null) break
    if (!isSound(records, end)) throw corrupt(`A batch for ${name} does not match its CRC.`)
    if (leaderEpochOf(records, end) > leaderEpoch) break
    if (lastOffsetOf(records, end) <= lastOffset) throw corrupt(`Offsets for ${name} do not rise.`)
    lastOffset = lastOffsetOf(records, end)
    end += bytes
  }
  return { end, lastOffset }
}

const corrupt = (message: string): KafkaError => new KafkaError(errors.CORRUPT_MESSAGE, message)

/** What needs no look into the batch: sizes, format, checksum. */
function checkFrame(
  records: Buffer,
  at: number,
  bytes: number,
  { config, origin, name }: ValidationOptions,
): void {
  if (header.magic(records, at) !== 2) {
    throw new KafkaError(errors.INVALID_RECORD, `Only magic 2 is stored, on ${name}.`)
  }
  if (origin === 'client' && header.baseOffset(records, at) !== 0) {
    throw new KafkaError(
      errors.INVALID_RECORD,
      `The base offset of a batch for ${name} is ${header.baseOffset(records, at)}, not 0.`,
    )
  }
  checkSize(bytes, config, name)
  if (!header.isCrcValid(records, at)) {
    throw corrupt(`A batch for ${name} does not match its CRC.`)
  }
}

/** Bytes of the batch at `at`; null where it is not whole. */
function frameBytes(records: Buffer, at: number, name: string): number | null {
  try {
    return header.entryBytes(records, at, records.length)
  } catch (error) {
    if (!(error instanceof CorruptRecords)) throw error
    throw corrupt(`Bytes for ${name} are no batch: ${error.message}.`)
  }
}

function checkSize(bytes: number, config: LogConfig, name: string): void {
  if (bytes <= config.maxMessageBytes) return
  throw new KafkaError(
    errors.MESSAGE_TOO_LARGE,
    `A batch of ${bytes} bytes for ${name}, more than max.message.bytes, ${config.maxMessageBytes}.`,
  )
}

function validateBatch(batch: Buffer, options: ValidationOptions): Buffer {
  const { config, origin, now, name } = options
  const isStamped = config.messageTimestampType === 'LogAppendTime' && !header.isControl(batch, 0)
  try {
    header.checkBatch(batch, 0)
    if (origin === 'client') {
      checkClientBatch(batch, name, isStamped)
      if (!isStamped && header.timestampType(batch, 0) === header.logAppendTime) {
        header.setMaxTimestamp(batch, 0, header.createTime, header.maxTimestamp(batch, 0))
      }
      if (needsRecords(batch, options, isStamped)) checkRecords(batch, options, isStamped)
      else checkContainer(batch, name)
    }
    const target = targetCompression(batch, config)
    if (target !== header.compression(batch, 0)) {
      const compressionLevel = levelOf(target, config)
      const records = readAll(batch, options)
      const recompressed = encodeBatch({ ...records, compression: target, compressionLevel })
      checkSize(recompressed.length, config, name)
      if (isStamped) header.setMaxTimestamp(recompressed, 0, header.logAppendTime, now)
      return recompressed
    }
  } catch (error) {
    if (error instanceof UnsupportedCompression) {
      throw new KafkaError(errors.UNSUPPORTED_COMPRESSION_TYPE, `${name}: ${error.message}`)
    }
    if (error instanceof OversizedRecords) {
      throw new OversizedBatch(`${name}: ${error.message}`, error)
    }
    if (error instanceof CorruptRecords) {
      throw new KafkaError(errors.INVALID_RECORD, `${name}: ${error.message}`)
    }
    throw error
  }
  if (isStamped) header.setMaxTimestamp(batch, 0, header.logAppendTime, now)
  return batch
}

/** What Kafka accepts from brokers only, and what a client's header must agree on. */
function checkClientBatch(batch: Buffer, name: string, isStamped: boolean): void {
  const count = header.recordCount(batch, 0)
  if (count <= 0 || header.lastOffsetDelta(batch, 0) !== count - 1) {
    throw new KafkaError(
      errors.INVALID_RECORD,
      `${count} records with ${header.lastOffsetDelta(batch, 0) + 1} offsets for ${name}.`,
    )
  }
  if (header.isControl(batch, 0)) {
    throw new KafkaError(errors.INVALID_RECORD, `A control batch from a client for ${name}.`)
  }
  if (header.producerId(batch, 0) >= 0 && header.baseSequence(batch, 0) < 0) {
    throw new KafkaError(errors.INVALID_RECORD, `A producer id without sequence for ${name}.`)
  }
  if (isStamped && header.timestampType(batch, 0) === header.logAppendTime) {
    throw new KafkaError(
      errors.INVALID_TIMESTAMP,
      `A batch for ${name} claims the LogAppendTime that the broker is about to set.`,
    )
  }
}

function needsRecords(
  batch: Buffer,
  { config, now }: Pick<ValidationOptions, 'config' | 'now'>,
  isStamped: boolean,
): boolean {
  if (header.compression(batch, 0) === 'none' || isCompacted(config)) return true
  if (isStamped) return false
  const maxTimestamp = header.maxTimestamp(batch, 0)
  if (maxTimestamp < header.baseTimestamp(batch, 0)) return true
  if (config.messageTimestampBeforeMaxMs < boundMax) return true
  return maxTimestamp - now > config.messageTimestampAfterMaxMs
}

const isLikeCodec: Record<Exclude<Compression, 'none'>, (packed: Buffer) => boolean> = {
  gzip: (packed) => packed[0] === 0x1f && packed[1] === 0x8b,
  snappy: (packed) => isXerial(packed) || isRawSnappy(packed),
  // A frame, or one to be skipped before it.
  lz4: (packed) => packed.length > 4 && isFrame(packed, 0x184d2204),
  zstd: (packed) => packed.length > 4 && isFrame(packed, 0xfd2fb528),
}

const isFrame = (packed: Buffer, magic: number): boolean => {
  const found = packed.readUInt32LE(0)
  return found === magic || (found & 0xfffffff0) >>> 0 === 0x184d2a50
}

const isXerial = (packed: Buffer): boolean =>
  packed.length >= 16 && packed.toString('latin1', 0, 8) === '\x82SNAPPY\0'

/** It begins with the unpacked length; three bytes make 64 at most. */
const isRawSnappy = (packed: Buffer): boolean => {
  let length = 0
  for (let at = 0; at < Math.min(5, packed.length); at++) {
    const byte = packed[at] as number
    length += (byte & 127) * 2 ** (7 * at)
    if (byte < 128) return length > 0 && length <= packed.length * 64
  }
  return false
}

/**
 * The most bytes that one byte of a stream can stand for: in gzip (deflate) two bits for 258, in snappy three
 * bytes for 64, in lz4 one for 255, in zstd four for a block of 128 KiB.
 */
const unpackedPerByteMax: Record<Exclude<Compression, 'none'>, number> = {
  gzip: 1032,
  snappy: 64 / 3,
  lz4: 255,
  zstd: 32 * 1024,
}

/** A compressed batch that is not opened must begin as its codec's streams do, and have room for its records. */
function checkContainer(batch: Buffer, name: string): void {
  const codec = header.compression(batch, 0)
  if (codec === 'none') return
  if (!isLikeCodec[codec](batch.subarray(header.headerBytes))) {
    throw corrupt(`A batch for ${name} says ${codec}, and holds something else.`)
  }
  const count = header.recordCount(batch, 0)
  // Each record takes an offset, and whoever may claim what he has not sent uses them up.
  const unpackedMax = Math.min(mayUnpackTo(batch, codec), unpackedBytesMax)
  if (count * recordOverheadBytes <= unpackedMax) return
  const bytes = batch.length - header.headerBytes
  throw new CorruptRecords(`${count} records cannot be in ${bytes} bytes of ${codec}`)
}

/** The most bytes that the records of a batch can unpack to, whatever they are. */
export const mayUnpackTo = (batch: Buffer, codec: Exclude<Compression, 'none'>): number =>
  (batch.length - header.headerBytes) * unpackedPerByteMax[codec]

function targetCompression(batch: Buffer, config: LogConfig): Compression {
  const source = header.compression(batch, 0)
  // Control batches stay as they were written.
  if (config.compressionType === 'producer' || header.isControl(batch, 0)) return source
  return config.compressionType === 'uncompressed'
    ? 'none'
    : (config.compressionType as Compression)
}

/** KIP-390; snappy has no level, and lz4's package offers one. */
function levelOf(codec: Compression, config: LogConfig): number | undefined {
  if (codec === 'gzip') return config.compressionGzipLevel
  return codec === 'zstd' ? config.compressionZstdLevel : undefined
}

/** Throws OversizedRecords where the batch unpacks to more than is left of the request's allowance. */
function open(batch: Buffer, { allowance }: ValidationOptions): RecordCursor {
  const unpackedBytesMax = allowance?.bytesLeft ?? unpackedPerRequestBytesMax
  const cursor = openBatch(batch, 0, { unpackedBytesMax })
  const isPacked = header.compression(batch, 0) !== 'none'
  if (allowance !== undefined && isPacked) allowance.bytesLeft -= cursor.bytes.length
  return cursor
}

/** As `open`, for all records at once. */
function readAll(batch: Buffer, { allowance }: ValidationOptions): RecordBatch {
  const unpackedBytesMax = allowance?.bytesLeft ?? unpackedPerRequestBytesMax
  const read = readBatch(batch, 0, { unpackedBytesMax })
  if (allowance === undefined || read.compression === 'none') return read
  for (const { key, value } of read.records) {
    allowance.bytesLeft -= recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0)
  }
  return read
}

/** Walks the records; sets the largest timestamp in the header to what they say. */
function checkRecords(batch: Buffer, options: ValidationOptions, isStamped: boolean): void {
  const { config, now, name } = options
  const needsKey = isCompacted(config)
  const earliest = now - config.messageTimestampBeforeMaxMs
  const latest = now + config.messageTimestampAfterMaxMs
  const rejected: RecordError[] = []
  let row = errors.INVALID_RECORD
  let largest = -1
  const cursor = open(batch, options)
  for (let batchIndex = 0; cursor.next(); batchIndex++) {
    const { timestamp } = cursor
    largest = Math.max(largest, timestamp)
    if (cursor.offset !== batchIndex) {
      throw new CorruptRecords(`Record ${batchIndex} has the offset delta ${cursor.offset}`)
    }
    if (needsKey && cursor.keyLength < 0) {
      const message = `A record without key for ${name}, which is compacted.`
      rejected.push({ batchIndex, message })
    } else if (!isStamped && timestamp !== header.noTimestamp) {
      if (timestamp >= earliest && timestamp <= latest) continue
      if (rejected.length === 0) row = errors.INVALID_TIMESTAMP
      const message = `Timestamp ${timestamp} for ${name} is not within [${earliest}, ${latest}].`
      rejected.push({ batchIndex, message })
    }
  }
  if (rejected.length > 0) {
    const noun = rejected.length === 1 ? 'record is' : 'records are'
    const message = `${rejected.length} ${noun} not acceptable; the first: ${rejected[0]?.message}`
    throw new RecordsRejected(row, message, rejected)
  }
  header.setMaxTimestamp(batch, 0, header.timestampType(batch, 0), largest)
}
