/**
 * Deadlines that move. Every heartbeat of every member moves one, nearly always back, so that only
 * changes a number: the timer behind it runs on, finds that it is early and waits for the rest.
 * Only moving a deadline forward takes a new timer.
 */
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'

type Time = Pick<Environment, 'clock' | 'timers'>

export class Deadlines {
  readonly #time: Time
  #isClosed = false

  constructor(time: Time) {
    this.#time = time
  }

  /** A deadline that is not set yet. `onReached` runs each time it passes while it is set. */
  create(onReached: () => void): Deadline {
    return new Deadline(this.#time, () => {
      if (!this.#isClosed) onReached()
    })
  }

  /** No deadline made here runs any more. */
  close(): void {
    this.#isClosed = true
  }
}

export class Deadline {
  readonly #time: Time
  readonly #onReached: () => void
  /** Monotonic, infinite while the deadline is not set; the timer runs no later. */
  #atMs = Number.POSITIVE_INFINITY
  #timer: Timer | null = null
  #timerAtMs = Number.POSITIVE_INFINITY

  constructor(time: Time, onReached: () => void) {
    this.#time = time
    this.#onReached = onReached
  }

  /** (Re)starts it: it passes `delayMs` from now. */
  set(delayMs: Milliseconds): void {
    this.#atMs = this.#time.clock.monotonic() + delayMs
    if (this.#atMs < this.#timerAtMs) this.#wait(delayMs)
  }

  clear(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#timerAtMs = Number.POSITIVE_INFINITY
    this.#atMs = Number.POSITIVE_INFINITY
  }

  #wait(delayMs: Milliseconds): void {
    this.#timer?.cancel()
    this.#timerAtMs = this.#atMs
    this.#timer = this.#time.timers.after(delayMs, () => this.#onTimer())
  }

  #onTimer(): void {
    this.#timer = null
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const remainingMs = this.#atMs - this.#time.clock.monotonic()
    if (remainingMs > 0) {
      this.#wait(Math.ceil(remainingMs))
      return
    }
    this.#atMs = Number.POSITIVE_INFINITY
    this.#onReached()
  }
}
