/**
 * How fast work on logs may go for which nobody waits, compaction and moves between directories: in slices
 * of the event loop's turn, between which everybody else has theirs, and in so many bytes per second.
 */
import type { Environment, Milliseconds } from '../environment/environment.ts'

/** What a producer may have to wait for one slice. */
const sliceMsMax = 2

/** Shorter waits are put together. */
const waitMsMin = 10

export class Pace {
  readonly #environment: Environment
  readonly #bytesPerSecondMax: () => number
  #sliceStartMs: number
  /** What was read and written is paid for up to this moment. */
  #paidUntilMs: number
  #wake: (() => void) | null = null

  constructor(environment: Environment, bytesPerSecondMax: () => number) {
    this.#environment = environment
    this.#bytesPerSecondMax = bytesPerSecondMax
    this.#sliceStartMs = environment.clock.monotonic()
    this.#paidUntilMs = this.#sliceStartMs
  }

  /** The slice is over: it is time to `rest`. */
  get isOver(): boolean {
    return this.#environment.clock.monotonic() - this.#sliceStartMs >= sliceMsMax
  }

  /** Lets others have their turn. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => this.#environment.timers.nextTurn(resolve))
    this.begin()
  }

  /** A slice begins: others had their turn while something was waited for. */
  begin(): void {
    this.#sliceStartMs = this.#environment.clock.monotonic()
  }

  /** So many bytes were read or written; waits where that was too fast. */
  async pay(bytes: number): Promise<void> {
    const now = this.#environment.clock.monotonic()
    const tookMs: Milliseconds = (bytes / Math.max(1, this.#bytesPerSecondMax())) * 1000
    this.#paidUntilMs = Math.max(this.#paidUntilMs, now) + tookMs
    const waitMs = this.#paidUntilMs - now
    if (waitMs < waitMsMin) return
    await new Promise<void>((resolve) => {
      const timer = this.#environment.timers.after(Math.ceil(waitMs), resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#wake = null
    this.begin()
  }

  /** Ends a wait, and forgives what it was for: there is no more to come, or the rate is another one. */
  wake(): void {
    this.#paidUntilMs = this.#environment.clock.monotonic()
    this.#wake?.()
  }
}
