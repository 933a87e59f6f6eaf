/**
 * What is written in a turn of the event loop, shared fairly. The system takes megabytes of one connection
 * at once, and copies them while everybody else waits. So large replies leave in pieces: so many bytes of
 * all connections together in a turn, one connection after the other where several have some. Small ones are
 * written in the turn in which they are ready, whatever waits.
 *
 *     nobody waits     as much as the turn has room for
 *     some wait        a piece each, in the order in which they came; whoever has more comes round again
 */
import type { Timers } from '../environment/environment.ts'

/** About half a millisecond. */
const bytesPerTurnMax = 1024 * 1024

/** Of each of those who wait. */
const pieceBytesMax = 256 * 1024

/** What a connection has at most that waits for nobody. */
const smallBytesMax = 64 * 1024

export class WriteTurns {
  readonly #line = new Set<() => void>()
  #leftBytes = bytesPerTurnMax
  #isTurnAwaited = false
  /** The first of the line is being served, and has not taken its piece yet. */
  #isServed = false

  /** How much of so many bytes a connection may write now; with 0 it lines up. */
  room(bytes: number): number {
    if (bytes <= smallBytesMax) return bytes
    const isTurn = this.#isServed || this.#line.size === 0
    this.#isServed = false
    if (!isTurn) return 0
    return Math.min(bytes, this.#leftBytes, this.#line.size === 0 ? bytes : pieceBytesMax)
  }

  /** Of a connection that had `bytes` to write, so many were written. */
  spend(bytes: number, ofBytes: number, timers: Timers): void {
    if (ofBytes <= smallBytesMax) return
    this.#leftBytes = Math.max(0, this.#leftBytes - bytes)
    this.#awaitTurn(timers)
  }

  /** Runs `write` in a later turn, where there is room for it. */
  lineUp(write: () => void, timers: Timers): void {
    this.#line.add(write)
    this.#awaitTurn(timers)
  }

  forget(write: () => void): void {
    this.#line.delete(write)
  }

  #awaitTurn(timers: Timers): void {
    if (this.#isTurnAwaited) return
    this.#isTurnAwaited = true
    timers.nextTurn(() => {
      this.#isTurnAwaited = false
      this.#leftBytes = bytesPerTurnMax
      this.#serve()
      if (this.#line.size > 0) this.#awaitTurn(timers)
    })
  }

  #serve(): void {
    // Those who line up again come behind the last one, and round again in this turn if it has room.
    for (const write of this.#line) {
      if (this.#leftBytes <= 0) return
      this.#line.delete(write)
      this.#isServed = true
      try {
        write()
      } finally {
        this.#isServed = false
      }
    }
  }
}
