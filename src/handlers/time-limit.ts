/** How long a change of metadata may take, as requests say it. */
import { errors, KafkaError } from '../../protocol/errors.ts'

/** Throws KafkaError REQUEST_TIMED_OUT: as with Kafka, what has no time is not begun. */
export function requireTime({ timeoutMs }: { readonly timeoutMs: number }): void {
  if (timeoutMs <= 0) throw new KafkaError(errors.REQUEST_TIMED_OUT)
}
