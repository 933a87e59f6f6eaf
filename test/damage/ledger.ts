/**
 * What a broker has acknowledged: for every partition the records by offset, as fingerprints, with the
 * batches they were sent in; for every group its offsets; and each producer's last batch, so that it can
 * be sent once more.
 */
import { createHash } from 'node:crypto'

/** An idempotent producer of one partition, with what it sent last. */
export interface LedgerProducer {
  readonly producerId: number
  readonly producerEpoch: number
  nextSequence: number
  last: { readonly baseSequence: number; readonly baseOffset: number; readonly values: string[] }
}

export interface LedgerPartition {
  readonly topic: string
  readonly partition: number
  /** Records before it were deleted. */
  logStartOffset: number
  /** By offset. */
  readonly fingerprints: string[]
  /** The first offset of every batch, in order. */
  readonly batchOffsets: number[]
  readonly producers: LedgerProducer[]
}

export interface Ledger {
  /** By `topic-partition`. */
  readonly partitions: Map<string, LedgerPartition>
  /** By group, then by `topic-partition`. */
  readonly groups: Map<string, Map<string, number>>
}

export const fingerprint = (value: Buffer | string | null): string =>
  createHash('sha1')
    .update(value ?? '')
    .digest('base64')
    .slice(0, 12)
