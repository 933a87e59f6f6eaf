/**
 * Turns of the event loop, shared fairly. Whoever asks for little is heard in the turn in which it asks,
 * whatever the others do; they share a bounded part of each turn:
 *
 *     trusted      has asked for little, for a while    at once
 *     all others   new, or asks for much                at once while nobody waits and the turn has time left;
 *                                                       else put off, and in a later turn a slice at a time
 *
 * Those put off wait in two lines, heard by turns: newcomers, and those who have had more than their credit.
 * So a flood on thousands of connections costs the rest the share of a turn, keeps no newcomer waiting for
 * long, and is itself served as fast as that allows. Where nobody trusted asks, the share is larger: large
 * turns are cheaper.
 */
import type { Clock, Milliseconds, Timers } from '../environment/environment.ts'

/**
 * Of each millisecond, what a connection may use and stay in credit. What is measured is the clock's time:
 * on a busy machine four times that of the processor.
 */
const earnedShare = 1 / 5

/** The credit of a newcomer, and of those who have used up theirs. */
const firstCreditMs = 0.2

/** What a read that was dealt with in credit adds to how much credit there may be. */
const addedCreditMs = 0.1

/** From here on it is trusted. */
const trustedCreditMs = 2

/** As much as a full collection of garbage in the wrong moment. */
const creditMsMax = 20

/** What one of those put off may take before the next one. */
const sliceMs = 0.2

/** What all but the trusted may take of a turn, where trusted ones ask and where not. */
const sharedMsMax = 1
const unsharedMsMax = 6

/** Trusted ones ask while they have asked so long ago. */
const recentMs = 100

/** Reading takes about so long for each byte, which nobody can measure: it was read when we are called. */
const msPerByte = 0.4e-6

/** And so long however little there is: 400 who have sent a little each cost 20 ms before any of it is looked at. */
const msPerRead = 0.03

/** What a connection may ask for, and stay ahead of the flood. */
export class Credit {
  isTrusted = false
  #leftMs = firstCreditMs
  #maxMs = firstCreditMs
  #atMs = Number.NEGATIVE_INFINITY

  get isUsedUp(): boolean {
    return this.#leftMs <= 0
  }

  /** Everything that has come was dealt with at once. */
  earn(): void {
    if (this.#leftMs <= 0 || this.#maxMs >= creditMsMax) return
    this.#maxMs += addedCreditMs
    this.isTrusted = this.#maxMs >= trustedCreditMs
  }

  spend(tookMs: number, nowMs: Milliseconds): void {
    const earnedMs = (nowMs - this.#atMs) * earnedShare
    this.#atMs = nowMs
    this.#leftMs = Math.min(this.#maxMs, this.#leftMs + earnedMs) - tookMs
    if (this.#leftMs > 0) return
    this.#leftMs = Math.max(-firstCreditMs, this.#leftMs)
    this.#maxMs = firstCreditMs
    this.isTrusted = false
  }
}

export class LoopTurns {
  readonly #clock: Clock
  readonly #newcomers = new Set<() => void>()
  readonly #others = new Set<() => void>()
  #isNewcomersTurn = true
  #isScheduled = false
  /** What all but the trusted have taken of this turn. */
  #spentMs = 0
  #isEndAwaited = false
  #trustedAskedMs = Number.NEGATIVE_INFINITY
  /** Since when the one that was put off and is heard now is; undefined: none is. */
  #sliceBeganMs: Milliseconds | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a connection of this credit may go on at once. */
  mayGoOn({ isTrusted }: Credit, nowMs: Milliseconds): boolean {
    if (isTrusted) return true
    const isAlone = this.#newcomers.size === 0 && this.#others.size === 0
    if (this.#sliceBeganMs === undefined || isAlone) {
      return isAlone && this.#spentMs < this.#msMax(nowMs)
    }
    return nowMs - this.#sliceBeganMs < sliceMs
  }

  /** A request of a connection of this credit took so long. */
  spend(credit: Credit, tookMs: number, nowMs: Milliseconds, timers: Timers): void {
    credit.spend(tookMs, nowMs)
    if (credit.isTrusted) {
      this.#trustedAskedMs = nowMs
      return
    }
    this.#spentMs += tookMs
    if (this.#isEndAwaited) return
    this.#isEndAwaited = true
    timers.endOfTurn(this.#turnEnded)
  }

  /** So many bytes were read for it. */
  spendRead(credit: Credit, bytes: number, nowMs: Milliseconds, timers: Timers): void {
    this.spend(credit, bytes * msPerByte, nowMs, timers)
  }

  /** One of those put off may be read again: so many bytes, as soon as this turn ends. */
  expectRead(bytes: number): void {
    if (this.#sliceBeganMs !== undefined) this.#spentMs += msPerRead + bytes * msPerByte
  }

  /** Runs `callback` in a later turn. */
  putOff(callback: () => void, credit: Credit, timers: Timers): void {
    const line = credit.isUsedUp ? this.#others : this.#newcomers
    line.add(callback)
    this.#schedule(timers)
  }

  forget(callback: () => void): void {
    this.#newcomers.delete(callback)
    this.#others.delete(callback)
  }

  readonly #turnEnded = (): void => {
    this.#isEndAwaited = false
    this.#spentMs = 0
  }

  #msMax(nowMs: Milliseconds): number {
    return nowMs - this.#trustedAskedMs < recentMs ? sharedMsMax : unsharedMsMax
  }

  #schedule(timers: Timers): void {
    if (this.#isScheduled || this.#newcomers.size + this.#others.size === 0) return
    this.#isScheduled = true
    timers.nextTurn(() => {
      this.#isScheduled = false
      this.#hear()
      this.#schedule(timers)
    })
  }

  /** Those who are put off again come round again: the lines grow at their ends. */
  #hear(): void {
    const beganMs = this.#clock.monotonic()
    const msMax = this.#msMax(beganMs)
    this.#spentMs = 0
    for (let nowMs = beganMs; nowMs - beganMs < msMax && this.#spentMs < msMax; ) {
      const next = this.#next()
      if (next === undefined) break
      this.#sliceBeganMs = nowMs
      try {
        next()
      } finally {
        this.#sliceBeganMs = undefined
      }
      nowMs = this.#clock.monotonic()
    }
  }

  #next(): (() => void) | undefined {
    this.#isNewcomersTurn = !this.#isNewcomersTurn
    const first = this.#isNewcomersTurn ? this.#newcomers : this.#others
    const line = first.size > 0 ? first : this.#isNewcomersTurn ? this.#others : this.#newcomers
    const [next] = line
    if (next !== undefined) line.delete(next)
    return next
  }
}
