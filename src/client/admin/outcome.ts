/** What became of one of the things that a request named: answers come per topic, group or resource. */
import { errorByCode, errors, KafkaError } from '../../../protocol/errors.ts'

export interface Outcome {
  /** The topic, group or resource. */
  readonly name: string
  /** Null: it was done. */
  readonly error: KafkaError | null
}

/** The outcome of an error code and the broker's own words on it, where it has some. */
export function outcome(name: string, errorCode: number, message?: string | null): Outcome {
  return { name, error: failure(errorCode, message) }
}

/** Null for no error. */
export function failure(errorCode: number, message?: string | null): KafkaError | null {
  if (errorCode === errors.NONE.code) return null
  return new KafkaError(errorByCode(errorCode), message || undefined)
}

/** Throws where a whole answer failed. */
export function check(errorCode: number, message?: string | null): void {
  const error = failure(errorCode, message)
  if (error !== null) throw error
}

/** Throws where an item's failure says that the whole request has to be sent again, elsewhere or later. */
export function throwMoved(outcomes: readonly Outcome[]): void {
  const moved = outcomes.find(({ error }) => error !== null && movedNames.has(error.error.name))
  if (moved !== undefined) throw moved.error
}

const movedNames = new Set([
  'NOT_CONTROLLER',
  'NOT_COORDINATOR',
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
])
