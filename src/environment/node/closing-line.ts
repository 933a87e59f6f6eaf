/**
 * Sockets that are to be closed. To close one takes the system and Node some thirty microseconds, and they come
 * in crowds: a thousand peers leave in the same moment, or are cut off since they hold what others need. So
 * the first of a turn of the event loop are closed at once, and the rest stand in line, as many in each turn.
 * Of a long line more go at a time, since every one of them is an open file.
 */

/** Of a turn, at least: half a millisecond. */
const closesPerTurnMin = 16

/** The share of a long line that goes in a turn. */
const shareOfLine = 1 / 64

export interface Closing {
  close(): void
}

export class ClosingLine {
  readonly #line = new Set<Closing>()
  /** How many more may close in this turn. */
  #left = closesPerTurnMin
  #isTurnAwaited = false

  /** Closes it: at once where the turn has room for that, else in a later turn. */
  add(closing: Closing): void {
    this.#awaitTurn()
    if (this.#left === 0) {
      this.#line.add(closing)
      return
    }
    this.#left--
    closing.close()
  }

  #awaitTurn(): void {
    if (this.#isTurnAwaited) return
    this.#isTurnAwaited = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isTurnAwaited = false
    this.#left = Math.max(closesPerTurnMin, Math.ceil(this.#line.size * shareOfLine))
    for (const closing of this.#line) {
      if (this.#left === 0) break
      this.#left--
      this.#line.delete(closing)
      closing.close()
    }
    if (this.#line.size > 0 || this.#left < closesPerTurnMin) this.#awaitTurn()
  }
}
