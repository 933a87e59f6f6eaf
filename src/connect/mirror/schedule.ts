/**
 * What a connector or task does again and again, beside what it is asked for: one job at a time, each so long after its
 * last end. What fails is said in the log, and comes again; what cannot pass is told to whoever has to know.
 */
import type { Environment, Logger, Milliseconds, Timer } from '../../environment/environment.ts'
import { mayPass } from './mirror-clusters.ts'

interface ScheduleOptions {
  readonly environment: Environment
  readonly log: Logger
  /** A job failed with what will not pass. */
  readonly onFailure: (error: Error) => void
}

export class Schedule {
  readonly #options: ScheduleOptions
  readonly #timers = new Set<Timer>()
  #last: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: ScheduleOptions) {
    this.#options = options
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** `what` completes "could not …". Null: the job is never done. */
  repeat(what: string, everyMs: Milliseconds | null, job: () => Promise<void>): void {
    if (everyMs === null || this.#isStopped) return
    const timer = this.#options.environment.timers.after(everyMs, () => {
      this.#timers.delete(timer)
      void this.run(what, job).then(() => this.repeat(what, everyMs, job))
    })
    this.#timers.add(timer)
  }

  /** Once, when those before are done. Never rejects; false: it failed. */
  run(what: string, job: () => Promise<void>): Promise<boolean> {
    const done = this.#last.then(async () => {
      if (this.#isStopped) return false
      try {
        await job()
        return true
      } catch (error) {
        this.#failed(what, error as Error)
        return false
      }
    })
    this.#last = done.then(() => undefined)
    return done
  }

  /** No job begins any more. */
  stop(): void {
    this.#isStopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  #failed(what: string, error: Error): void {
    if (this.#isStopped) return
    this.#options.log.warn(`A mirror could not ${what}`, { reason: String(error) })
    if (!mayPass(error)) this.#options.onFailure(error)
  }
}

/** Null where it is switched off. */
export function intervalMs(isEnabled: boolean, seconds: number): Milliseconds | null {
  return isEnabled && seconds >= 0 ? seconds * 1000 : null
}
