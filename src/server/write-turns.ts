/**
 * What is written in a turn of the event loop, shared fairly. The system takes megabytes of one connection
 * at once, and copies them while everybody else waits. So large replies leave in pieces: so many bytes of
 * all connections together in a turn, one connection after the other where several have some. Small ones are
 * written in the turn in which they are ready, whatever waits.
 *
 *     nobody waits     as much as the turn has room for
 *     some wait        a piece each, in the order in which they came; whoever has more comes round again
 *
 * Where the system has to find memory for what it copies, the same bytes take ten times as long: a turn ends
 * after so many milliseconds as well, and pieces that take long are followed by smaller ones.
 */
import type { Milliseconds, Timers } from '../environment/environment.ts'

/** About half a millisecond, if all goes well. */
const bytesPerTurnMax = 1024 * 1024
const msPerTurnMax = 1

/** Of each of those who wait; who is alone has four at once. */
const largestPieceBytes = 256 * 1024
const smallestPieceBytes = 64 * 1024
const piecesAlone = 4

/** What a connection has at most that waits for nobody. */
const smallBytesMax = 64 * 1024

export class WriteTurns {
  readonly #line = new Set<() => void>()
  #leftBytes = bytesPerTurnMax
  #leftMs = msPerTurnMax
  #pieceBytes = largestPieceBytes
  #isTurnAwaited = false
  /** The first of the line is being served, and has not taken its piece yet. */
  #isServed = false

  /** Whether this is so much that `spend` has to follow what is written of it. */
  isShared(bytes: number): boolean {
    return bytes > smallBytesMax
  }

  /** How much of so many bytes a connection may write now; with 0 it lines up. */
  room(bytes: number): number {
    if (!this.isShared(bytes)) return bytes
    const isTurn = this.#isServed || this.#line.size === 0
    this.#isServed = false
    if (!isTurn || this.#leftMs <= 0) return 0
    const pieces = this.#line.size === 0 ? piecesAlone : 1
    return Math.min(bytes, this.#leftBytes, pieces * this.#pieceBytes)
  }

  /** So many bytes were written, and took so long. */
  spend(bytes: number, tookMs: Milliseconds, timers: Timers): void {
    this.#leftBytes = Math.max(0, this.#leftBytes - bytes)
    this.#leftMs -= tookMs
    const piece = this.#pieceBytes
    if (tookMs > msPerTurnMax) this.#pieceBytes = Math.max(smallestPieceBytes, piece / 2)
    else this.#pieceBytes = Math.min(largestPieceBytes, piece * 2)
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
      this.#leftMs = msPerTurnMax
      this.#serve()
      if (this.#line.size > 0) this.#awaitTurn(timers)
    })
  }

  #serve(): void {
    // Those who line up again come behind the last one, and round again in this turn if it has room.
    for (const write of this.#line) {
      if (this.#leftBytes <= 0 || this.#leftMs <= 0) return
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
