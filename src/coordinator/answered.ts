/** An answer that is there at once where it can be, and what is answered where there is none. */
import { KafkaError } from '../../protocol/errors.ts'

export type Pending<T> = T | Promise<T>

/** What `write` gives, or `fail` for the KafkaError that it fails with; anything else is a bug. */
export function answered<T>(fail: (failure: KafkaError) => T, write: () => Pending<T>): Pending<T> {
  const failed = (failure: unknown): T => {
    if (failure instanceof KafkaError) return fail(failure)
    throw failure
  }
  try {
    const reply = write()
    return reply instanceof Promise ? reply.catch(failed) : reply
  } catch (failure) {
    return failed(failure)
  }
}
