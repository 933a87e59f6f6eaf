/**
 * What a Produce request may carry for a partition. From version 3 on that is one batch of magic 2,
 * which stays the bytes it is; older requests carry message sets, which become batches here.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { compression, entryBytes, isTransactional, magic } from '../../protocol/records/batch.ts'
import type { ConversionAllowance, Conversions } from '../log/conversion/conversions.ts'
import { mayUnpackTo } from '../log/validation.ts'
import { refusal } from './record-refusal.ts'

const firstVersionWithBatches = 3
const firstVersionWithZstd = 7
/** Bytes up to the magic, and up to the attributes of a batch. */
const magicEnd = 17
const attributesEnd = 23
const nothing = Buffer.alloc(0)

/** Versions that may carry message sets, which have to be converted before anything is appended. */
export function isConverted(version: number): boolean {
  return version < firstVersionWithBatches
}

/** The batch to append. Throws KafkaError: INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE, CORRUPT_MESSAGE. */
export function producedRecords(records: readonly Buffer[] | null, version: number): Buffer {
  const bytes = joined(records)
  try {
    checkSingleBatch(bytes, version)
    return bytes
  } catch (error) {
    throw refusal(error)
  }
}

/**
 * As `producedRecords`, of a version that is converted: the batch, empty where the request brings no records, or
 * why there is none, MESSAGE_TOO_LARGE too.
 */
export async function convertedRecords(
  records: readonly Buffer[] | null,
  conversions: Conversions,
  allowance: ConversionAllowance,
): Promise<Buffer | KafkaError> {
  const bytes = joined(records)
  // Some clients send new batches in old requests, and Kafka lets them.
  if (bytes.length >= magicEnd && magic(bytes, 0) === 2) return bytes
  try {
    return (await conversions.up([bytes], allowance)) ?? nothing
  } catch (error) {
    return refusal(error)
  }
}

function checkSingleBatch(bytes: Buffer, version: number): void {
  const length = entryBytes(bytes, 0, bytes.length)
  if (length === null) {
    throw invalid(version, 'must have at least one record batch per partition')
  }
  if (magic(bytes, 0) !== 2) {
    throw invalid(version, 'may only contain record batches of magic 2')
  }
  if (version < firstVersionWithZstd && compression(bytes, 0) === 'zstd') {
    const message = `Produce of version ${version} may not use zstd`
    throw new KafkaError(errors.UNSUPPORTED_COMPRESSION_TYPE, message)
  }
  // What is left of a batch that is not whole is left out, as Kafka does.
  if (entryBytes(bytes, length, bytes.length) !== null) {
    throw invalid(version, 'may contain only one record batch per partition')
  }
}

/** The most bytes to which the records of one batch in one piece can unpack; 0 where they are not packed, or nobody knows how. */
export function unpackedMaxOf(records: readonly Buffer[] | null): number {
  const bytes = records?.length === 1 ? (records[0] as Buffer) : nothing
  if (bytes.length < header.headerBytes || magic(bytes, 0) !== 2) return 0
  const codec = header.knownCompression(bytes, 0) ?? 'none'
  return codec === 'none' ? 0 : mayUnpackTo(bytes, codec)
}

/** Whether the first batch belongs to a transaction; what is no batch does not. */
export function isTransactionalBatch(records: readonly Buffer[] | null): boolean {
  const bytes = joined(records)
  if (bytes.length < attributesEnd || magic(bytes, 0) !== 2) return false
  return isTransactional(bytes, 0)
}

/** What the first batch says of its producer; null where it belongs to no transaction. */
export function transactionalProducer(records: readonly Buffer[] | null) {
  if (!isTransactionalBatch(records)) return null
  const bytes = joined(records)
  if (bytes.length < header.headerBytes) return null
  const producerId = header.producerId(bytes, 0)
  const producerEpoch = header.producerEpoch(bytes, 0)
  return producerId < 0
    ? null
    : { producerId, producerEpoch, baseSequence: header.baseSequence(bytes, 0) }
}

function joined(records: readonly Buffer[] | null): Buffer {
  if (records === null || records.length === 0) return nothing
  return records.length === 1 ? (records[0] as Buffer) : Buffer.concat(records)
}

function invalid(version: number, rule: string): KafkaError {
  return new KafkaError(errors.INVALID_RECORD, `Produce of version ${version} ${rule}`)
}
