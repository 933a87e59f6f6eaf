/** What deciding gives: records, if anything is to change, and the reply for when they have committed. */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type { MetadataRecord } from '../record.ts'

export interface Decision<Reply> {
  readonly records: readonly MetadataRecord[]
  readonly reply: Reply
}

/** Records that one request may lead to, and records of one batch. */
export const recordsPerRequestMax = 10_000

/** Of one record; a batch takes several of them. */
export const recordBytesMax = 1024 * 1024
/** Of one batch: below the smallest `metadata.log.segment.bytes`. */
const batchBytesMax = 4 * 1024 * 1024
/** What a record takes beside its value, at most. */
const recordOverheadBytes = 32

/** Encoded records in as few batches as their number and their bytes allow. */
export function inBatches(values: readonly Buffer[]): Buffer[][] {
  const batches: Buffer[][] = []
  let last: Buffer[] = []
  let bytes = 0
  for (const value of values) {
    const size = value.length + recordOverheadBytes
    const isFull = last.length === recordsPerRequestMax || bytes + size > batchBytesMax
    if (batches.length === 0 || isFull) {
      last = []
      bytes = 0
      batches.push(last)
    }
    last.push(value)
    bytes += size
  }
  return batches
}

/**
 * Counts partitions that a client has made or deleted, just before it is decided (KIP-599). Throws KafkaError
 * THROTTLING_QUOTA_EXCEEDED where it has used up its quota.
 */
export type CountMutations = (partitions: number) => void

export const unlimitedMutations: CountMutations = () => {}

/** The outcome for one topic or resource of a request. */
export interface Outcome {
  readonly error: ErrorRow
  /** null: nothing beyond the error itself. */
  readonly message: string | null
}

export const succeeded: Outcome = { error: errors.NONE, message: null }

export function failed(error: ErrorRow, message: string = error.message): Outcome {
  return { error, message }
}

export function outcomeOf(error: KafkaError): Outcome {
  return failed(error.error, error.message)
}

/** A request that would lead to more records, or a larger one, than can be written. */
export function tooLarge(): KafkaError {
  const message = 'Unable to perform excessively large batch operation.'
  return new KafkaError(errors.POLICY_VIOLATION, message)
}

/** Thrown where there would be too many records only because of what else the request asks for. */
export class NoRoom extends KafkaError {
  constructor() {
    const { error, message } = tooLarge()
    super(error, message)
  }
}
