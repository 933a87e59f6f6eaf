/**
 * Timers of the real world: one heap of deadlines behind one `setTimeout`, and the edge of the turn
 * behind `setImmediate`.
 *
 * The end of a turn has two passes, between which promises settle: the first runs what was given during
 * the turn, and what these callbacks add while it runs; the second runs what the promises settled by the
 * first gave in turn. So a log writes in the first pass and resolves its appends, handlers go on, and
 * the sockets' writes of their replies leave in the second, all before the next look at the network.
 * What is given during the second pass's promises belongs to the next turn.
 */
import type { Clock, Timer, Timers } from '../environment.ts'
import { DeadlineHeap } from './deadline-heap.ts'

/** The longest delay `setTimeout` takes; it is simply armed again after that. */
const armedMsMax = 2 ** 31 - 1

/** Deadlines that pass together, as the sessions of a large group do, run in turns of about so long. */
const firingMsMax = 1

export class NodeTimers implements Timers {
  readonly #clock: Clock
  readonly #deadlines = new DeadlineHeap()
  #timeout: NodeJS.Timeout | undefined
  #armedFor = Number.POSITIVE_INFINITY
  #ending: (() => void)[] = []
  #isEndScheduled = false
  /** In the order in which they came. */
  readonly #line: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  after(delayMs: number, callback: () => void): Timer {
    const now = this.#clock.monotonic()
    const timer = this.#deadlines.add(now + Math.max(0, delayMs), callback)
    if (this.#deadlines.earliest < this.#armedFor) this.#arm(now)
    return timer
  }

  endOfTurn(callback: () => void): void {
    this.#ending.push(callback)
    if (this.#isEndScheduled) return
    this.#isEndScheduled = true
    // Two at once: immediates asked for inside an immediate run only after the next poll.
    setImmediate(this.#firstPass)
    setImmediate(this.#secondPass)
  }

  nextTurn(callback: () => void): void {
    setImmediate(callback)
  }

  lineUp(callback: () => void): void {
    if (this.#line.push(callback) === 1) setImmediate(this.#callNext)
  }

  readonly #callNext = (): void => {
    const next = this.#line.shift()
    if (this.#line.length > 0) setImmediate(this.#callNext)
    next?.()
  }

  readonly #firstPass = (): void => {
    this.#drain()
  }

  readonly #secondPass = (): void => {
    this.#drain()
    this.#isEndScheduled = false
  }

  #drain(): void {
    const callbacks = this.#ending
    // The list grows while it runs.
    for (let i = 0; i < callbacks.length; i++) (callbacks[i] as () => void)()
    // A new one: V8 takes longer to empty an array.
    this.#ending = []
  }

  readonly #fire = (): void => {
    this.#timeout = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = this.#clock.monotonic()
    try {
      for (let nowMs = now; nowMs - now < firingMsMax; nowMs = this.#clock.monotonic()) {
        const callback = this.#deadlines.takeDue(now)
        if (callback === undefined) break
        callback()
      }
    } finally {
      const { earliest } = this.#deadlines
      if (earliest <= now) this.#goOnFiring()
      else if (earliest < this.#armedFor) this.#arm(this.#clock.monotonic())
    }
  }

  #goOnFiring(): void {
    if (this.#timeout !== undefined) clearTimeout(this.#timeout)
    this.#timeout = undefined
    this.#armedFor = Number.NEGATIVE_INFINITY
    setImmediate(this.#fire)
  }

  #arm(now: number): void {
    if (this.#timeout !== undefined) clearTimeout(this.#timeout)
    this.#armedFor = this.#deadlines.earliest
    const delayMs = Math.min(armedMsMax, Math.max(1, Math.ceil(this.#armedFor - now)))
    this.#timeout = setTimeout(this.#fire, delayMs).unref()
  }
}
