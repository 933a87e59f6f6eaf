/** Waits, by the environment's clock, and for no longer than is allowed. */
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import { RetriableException } from '../failures.ts'

/** Resolves, with undefined, once the time is over; it keeps nobody alive. */
export function pausedFor({ timers }: Environment, ms: Milliseconds): Promise<undefined> {
  return new Promise((resolve) => timers.after(ms, () => resolve(undefined)))
}

/** What the work resolves with; rejects with a RetriableException once the time is over, and the work goes on unheard. */
export function limitedTo<T>(
  { timers }: Pick<Environment, 'timers'>,
  ms: Milliseconds,
  work: Promise<T>,
  message: string,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(ms, () => reject(new RetriableException(message)))
    work.then(resolve, reject).finally(() => timer.cancel())
  })
}
