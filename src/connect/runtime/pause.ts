/** Waits, by the environment's clock. */
import type { Environment, Milliseconds } from '../../environment/environment.ts'

/** Resolves, with undefined, once the time is over; it keeps nobody alive. */
export function pausedFor({ timers }: Environment, ms: Milliseconds): Promise<undefined> {
  return new Promise((resolve) => timers.after(ms, () => resolve(undefined)))
}
