/** What a heartbeat is refused for by itself, whatever its group is like. */
import { errors, KafkaError } from '../../../../protocol/errors.ts'

export function invalid(message: string): KafkaError {
  return new KafkaError(errors.INVALID_REQUEST, message)
}

/** Null is nothing, and fine. Throws KafkaError INVALID_REQUEST. */
export function checkFilled(text: string | null, what: string): void {
  if (text !== null && text.trim() === '') throw invalid(`${what} can't be empty.`)
}
