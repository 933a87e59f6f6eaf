/** What a source task does while it has nothing: it waits a little, unless it is stopped meanwhile. */
import type { Milliseconds, Timer, Timers } from '../environment/environment.ts'

export class Idle {
  #waiting: { readonly timer: Timer; readonly end: () => void } | null = null
  #isStopped = false

  get isStopped(): boolean {
    return this.#isStopped
  }

  wait(timers: Pick<Timers, 'after'>, waitMs: Milliseconds): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = timers.after(waitMs, () => {
        this.#waiting = null
        resolve()
      })
      this.#waiting = { timer, end: resolve }
    })
  }

  /** Ends the wait under way, and all that come. */
  stop(): void {
    this.#isStopped = true
    this.#waiting?.timer.cancel()
    this.#waiting?.end()
    this.#waiting = null
  }
}
