/** What deciding gives: records, if anything is to change, and the reply for when they have committed. */
import { type ErrorRow, errors, type KafkaError } from '../../../protocol/errors.ts'
import type { MetadataRecord } from '../record.ts'

export interface Decision<Reply> {
  readonly records: readonly MetadataRecord[]
  readonly reply: Reply
}

/** Records that one request may lead to; they are one batch, appended whole or not at all. */
export const recordsPerRequestMax = 10_000

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
