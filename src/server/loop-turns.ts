/**
 * Turns of the event loop, shared fairly: a connection whose requests have taken long in this turn goes on
 * in a later one, after those that have only now something to ask. All that were put off share a part of
 * each turn, in the order in which they were put off; so a flood on some connections leaves the rest of
 * every turn to the others.
 *
 * A connection that was put off stays among them for a while: a flood comes in many pieces. Those whose single
 * requests are heavy again and again are among them too: between two such requests everybody else is heard.
 */
import type { Clock, Timers } from '../environment/environment.ts'

/** What the requests of one connection may take of a turn before the next one is put off. */
const sliceMs = 2

/** The same for those that were put off, and for all where many have a lot to ask. */
const crowdedSliceMs = 0.2

/** It is crowded where requests that were not put off take more than half of so many milliseconds. */
const windowMs = 20

/** What all that were put off may take of a turn. */
const putOffMsMax = 6

/** A request, or a slice of small ones, that takes more is heavy: some ten thousand partitions. */
const heavyMsMin = 20

/** One may be an accident of the garbage collector, or of other processes. */
const heavySlicesMin = 2

/** So many light ones, less one, and it is trusted again. */
const heavySlicesMax = 16

/** How long a connection that was put off counts as busy. */
const busyMs = 1000

/** How much the requests of a connection have asked for of late. */
export class Weight {
  #heavySlices = 0
  #busyUntilMs = Number.NEGATIVE_INFINITY

  /** Whether its next request is put off at once. */
  isPutOff(nowMs: number): boolean {
    return nowMs < this.#busyUntilMs || this.#heavySlices >= heavySlicesMin
  }

  add(tookMs: number): void {
    if (tookMs > heavyMsMin) this.#heavySlices = Math.min(this.#heavySlices + 1, heavySlicesMax)
    else this.#heavySlices = Math.max(0, this.#heavySlices - 1)
  }

  /** It has had its share of a turn, and wants more. */
  exceed(nowMs: number): void {
    this.#busyUntilMs = nowMs + busyMs
  }
}

export class LoopTurns {
  readonly #clock: Clock
  readonly #putOff = new Set<() => void>()
  #isScheduled = false
  #windowBeganMs = 0
  #directMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether so many milliseconds are the share of a connection, which was put off or was not. */
  isSpent(tookMs: number, wasPutOff: boolean): boolean {
    const isCrowded = this.#directMs > windowMs / 2
    return tookMs > (wasPutOff || isCrowded ? crowdedSliceMs : sliceMs)
  }

  /** A request that was not put off took so long. */
  spend(tookMs: number, nowMs: number): void {
    if (nowMs - this.#windowBeganMs > windowMs) {
      this.#windowBeganMs = nowMs
      this.#directMs = 0
    }
    this.#directMs += tookMs
  }

  /** Runs `callback` in a later turn. */
  putOff(callback: () => void, timers: Timers): void {
    this.#putOff.add(callback)
    this.#schedule(timers)
  }

  forget(callback: () => void): void {
    this.#putOff.delete(callback)
  }

  #schedule(timers: Timers): void {
    if (this.#isScheduled || this.#putOff.size === 0) return
    this.#isScheduled = true
    timers.nextTurn(() => {
      this.#isScheduled = false
      const beganMs = this.#clock.monotonic()
      // The list grows at its end while it runs: those that are put off again come round again.
      for (const callback of this.#putOff) {
        this.#putOff.delete(callback)
        callback()
        if (this.#clock.monotonic() - beganMs > putOffMsMax) break
      }
      this.#schedule(timers)
    })
  }
}
