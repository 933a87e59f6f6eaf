/** Whether a reader sees open and aborted transactions, as requests say it (KIP-98). */
import { errors, KafkaError } from '../../protocol/errors.ts'

const readUncommitted = 0
export const readCommitted = 1

/** Throws KafkaError INVALID_REQUEST: another level is not answered as if it were one of the two. */
export function checkIsolationLevel(level: number): void {
  if (level === readUncommitted || level === readCommitted) return
  throw new KafkaError(errors.INVALID_REQUEST, `There is no isolation level ${level}`)
}
