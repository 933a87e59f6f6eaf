/**
 * From the header of a stored batch to the state of its producer: the same for batches that a
 * leader has just accepted, that a follower has fetched, and that recovery reads back.
 */
import * as header from '../../protocol/records/batch.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import { openBatch } from '../../protocol/records/record.ts'
import type { RecordCursor } from '../../protocol/records/record-cursor.ts'
import type {
  CompletedTransaction,
  ProducerBatch,
  ProducerStates,
  TransactionMarker,
} from './producer-states.ts'

const abortType = 0
const commitType = 1

/** Whether the batch belongs to an idempotent or transactional producer. */
export const hasProducer = (buffer: Buffer, at: number): boolean =>
  header.magic(buffer, at) === 2 && header.producerId(buffer, at) >= 0

export const producerBatchOf = (buffer: Buffer, at: number): ProducerBatch => ({
  producerId: header.producerId(buffer, at),
  producerEpoch: header.producerEpoch(buffer, at),
  baseSequence: header.baseSequence(buffer, at),
  baseOffset: header.baseOffset(buffer, at),
  lastOffset: header.lastOffset(buffer, at),
  maxTimestamp: header.maxTimestamp(buffer, at),
  isTransactional: header.isTransactional(buffer, at),
})

/**
 * The end of a transaction that a control batch tells; null where compaction emptied it, or where
 * it is damaged.
 */
export function markerOf(buffer: Buffer, at: number): TransactionMarker | null {
  const cursor = firstRecord(buffer, at)
  if (cursor === null) return null
  const { key, value, timestamp } = cursor
  const type = key !== null && key.length >= 4 ? key.readInt16BE(2) : -1
  if ((type !== abortType && type !== commitType) || value === null || value.length < 6) return null
  return {
    producerId: header.producerId(buffer, at),
    producerEpoch: header.producerEpoch(buffer, at),
    coordinatorEpoch: value.readInt32BE(2),
    isCommit: type === commitType,
    offset: header.lastOffset(buffer, at),
    timestamp,
  }
}

function firstRecord(buffer: Buffer, at: number): RecordCursor | null {
  try {
    const cursor = openBatch(buffer, at)
    return cursor.next() ? cursor : null
  } catch (error) {
    if (error instanceof CorruptRecords || error instanceof UnsupportedCompression) return null
    throw error
  }
}

/** Takes note of a batch. The transaction that it ended, if it ended one. */
export function applyBatch(
  states: ProducerStates,
  buffer: Buffer,
  at: number,
): CompletedTransaction | null {
  if (!hasProducer(buffer, at)) return null
  if (header.isControl(buffer, at)) {
    const marker = markerOf(buffer, at)
    return marker === null ? null : states.applyMarker(marker)
  }
  states.apply(producerBatchOf(buffer, at))
  return null
}
