/** Trying again: pauses that grow, shaken so that clients do not come back in step, until a deadline. */
import type { Environment, Milliseconds } from '../environment/environment.ts'
import { isRetriable, TimeoutError } from './failures.ts'

const retryBackoffMs = 50
const retryBackoffMaxMs = 1000

/** Resolves after about `ms`: at least four fifths of it, at most six fifths. */
export function pause({ timers, random }: Environment, ms: Milliseconds): Promise<void> {
  const shaken = Math.round(ms * (0.8 + 0.4 * random.float()))
  return new Promise((resolve) => timers.after(shaken, resolve))
}

/** The pause before the attempt after `failures` failures. */
export function backoffMs(failures: number): Milliseconds {
  return Math.min(retryBackoffMs * 2 ** Math.max(0, failures - 1), retryBackoffMaxMs)
}

/**
 * Repeats `attempt` while it fails with what may pass. Rejects with its last failure where that may not
 * pass, and with TimeoutError when no attempt fits before the deadline. `what` completes "could not …".
 */
export async function retrying<T>(
  environment: Environment,
  { what, timeoutMs }: { what: string; timeoutMs: Milliseconds },
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = environment.clock.monotonic() + timeoutMs
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isRetriable(error)) throw error
      const waitMs = backoffMs(failures)
      if (environment.clock.monotonic() + waitMs > deadline)
        throw new TimeoutError(`could not ${what} within ${timeoutMs} ms`, error)
      environment.log.debug(`cannot ${what} yet`, { reason: String(error) })
      await pause(environment, waitMs)
    }
  }
}
