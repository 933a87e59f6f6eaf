/**
 * How much a client uses per second, over the last few windows of time, and how long it has to wait where
 * that is more than it may.
 *
 *     windows   |  oldest  |  …  |  newest, not over yet  |        quota.window.num of them,
 *     each      sum, when it began, when it was last added to      quota.window.size.seconds long
 *
 * A window begins with the first use after the last one was over, so that a client that rests leaves gaps;
 * all but one window count as whole ones even where there were fewer, so that the first use of all is no
 * excess. This is Kafka's arithmetic, so that both throttle the same client for the same time.
 */
import type { Milliseconds } from '../../environment/environment.ts'

export interface Windows {
  /** `quota.window.num`: whole ones, and the one that is not over yet. */
  readonly count: number
  /** `quota.window.size.seconds`. */
  readonly ms: Milliseconds
}

export const defaultWindows: Windows = { count: 11, ms: 1000 }

/** Of each window: the sum, when it began, when it was last added to. */
const cellsPerWindow = 3
const began = 1
const added = 2

export class Rate {
  readonly #windows: Windows
  /** Grows to one window more than are counted: the oldest may have begun before the time that counts. */
  #cells = new Float64Array(cellsPerWindow)
  #used = 0
  #newest = 0
  #addedMs = Number.NEGATIVE_INFINITY

  constructor(windows: Windows) {
    this.#windows = windows
  }

  /** Nothing that was added counts any more: a new one says the same. */
  isIdle(nowMs: number): boolean {
    return nowMs - this.#addedMs >= this.#windows.count * this.#windows.ms
  }

  add(amount: number, nowMs: number): void {
    if (this.#used === 0) {
      this.#used = 1
      this.#clear(0, nowMs)
    } else if (nowMs - this.#cell(this.#newest, began) >= this.#windows.ms) {
      this.#begin(nowMs)
    }
    const at = this.#newest * cellsPerWindow
    this.#cells[at] = this.#cell(this.#newest, 0) + amount
    this.#cells[at + added] = nowMs
    this.#addedMs = nowMs
  }

  /** What was added, per second. */
  perSecond(nowMs: number): number {
    this.#forget(nowMs)
    let sum = 0
    for (let window = 0; window < this.#used; window++) sum += this.#cell(window, 0)
    return (sum * 1000) / this.#measuredMs(nowMs)
  }

  /** How long to add nothing until no more than `limit` per second is left; 0: it is so already. */
  excessMs(limit: number, nowMs: number): Milliseconds {
    const rate = this.perSecond(nowMs)
    if (rate <= limit) return 0
    return Math.round(((rate - limit) / limit) * this.#measuredMs(nowMs))
  }

  /** The time over which the rate is taken. */
  #measuredMs(nowMs: number): Milliseconds {
    const { count, ms } = this.#windows
    let oldestMs = nowMs
    for (let window = 0; window < this.#used; window++) {
      oldestMs = Math.min(oldestMs, this.#cell(window, began))
    }
    const elapsedMs = nowMs - oldestMs
    const missing = Math.max(0, count - 1 - Math.floor(elapsedMs / ms))
    return Math.max(1, elapsedMs + missing * ms)
  }

  #begin(nowMs: number): void {
    this.#newest = (this.#newest + 1) % (this.#windows.count + 1)
    if (this.#newest >= this.#used) {
      this.#used = this.#newest + 1
      if (this.#used * cellsPerWindow > this.#cells.length) {
        const cells = new Float64Array(this.#cells.length * 2)
        cells.set(this.#cells)
        this.#cells = cells
      }
    }
    this.#clear(this.#newest, nowMs)
  }

  /** Windows that nothing was added to in all the time that counts begin anew. */
  #forget(nowMs: number): void {
    const keptMs = this.#windows.count * this.#windows.ms
    for (let window = 0; window < this.#used; window++) {
      if (nowMs - this.#cell(window, added) >= keptMs) this.#clear(window, nowMs)
    }
  }

  #clear(window: number, nowMs: number): void {
    const at = window * cellsPerWindow
    this.#cells[at] = 0
    this.#cells[at + began] = nowMs
    this.#cells[at + added] = nowMs
  }

  #cell(window: number, which: number): number {
    return this.#cells[window * cellsPerWindow + which] as number
  }
}

/** A rate with a limit. */
export class LimitedRate {
  limit: number
  readonly #rate: Rate

  constructor(windows: Windows, limit: number) {
    this.#rate = new Rate(windows)
    this.limit = limit
  }

  isIdle(nowMs: number): boolean {
    return this.#rate.isIdle(nowMs)
  }

  /** For how long to add nothing; 0: there is no need to wait. */
  excessMs(nowMs: number): Milliseconds {
    return this.#rate.excessMs(this.limit, nowMs)
  }

  /** Adds, and says for how long whoever did has to wait. */
  add(amount: number, nowMs: number): Milliseconds {
    this.#rate.add(amount, nowMs)
    return this.#rate.excessMs(this.limit, nowMs)
  }

  /** Adds and asks no questions; takes back where `amount` is negative. */
  count(amount: number, nowMs: number): void {
    this.#rate.add(amount, nowMs)
  }
}
