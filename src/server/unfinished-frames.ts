/**
 * Bytes of frames that have not arrived whole, of all connections. Nobody has to finish what they have
 * begun, so these bytes have a budget of their own: whoever fills it stops no request that is whole.
 *
 * Where the budget is used up, the connections that have begun large frames pause, all but one, the
 * finisher. It may go beyond the limit until its frame is whole, then another one may; so all get ahead,
 * and the bytes exceed the limit by one frame. Frames of the usual size pause only beyond twice the limit.
 * Those who send slowly are closed meanwhile, the finisher too: see `memory-pressure.ts`.
 */

/** A connection, as far as its unfinished frame is concerned. */
export interface Gatherer {
  /** Whether its frame is larger than most producers make theirs. */
  readonly hasLargeFrame: boolean
  /** It may read again. */
  resumeGathering(): void
}

export class UnfinishedFrames {
  readonly #max: () => number
  readonly #waiting = new Set<Gatherer>()
  #finisher: Gatherer | undefined
  #bytes = 0

  constructor(max: () => number) {
    this.#max = max
  }

  get bytes(): number {
    return this.#bytes
  }

  get isExhausted(): boolean {
    return this.#bytes > this.#max()
  }

  /** Counts bytes that have arrived. False: it has to pause until `resumeGathering`. */
  add(gatherer: Gatherer, bytes: number): boolean {
    this.#bytes += bytes
    if (!this.isExhausted || this.#finisher === gatherer) return true
    if (!gatherer.hasLargeFrame && this.#bytes <= 2 * this.#max()) return true
    if (this.#finisher === undefined) {
      this.#finisher = gatherer
      return true
    }
    this.#waiting.add(gatherer)
    return false
  }

  /** Its frame is whole, or the connection gone. */
  remove(gatherer: Gatherer, bytes: number): void {
    this.#bytes -= bytes
    this.#waiting.delete(gatherer)
    if (this.#finisher === gatherer) this.#finisher = undefined
    if (!this.isExhausted) {
      this.#finisher = undefined
      const waiting = [...this.#waiting]
      this.#waiting.clear()
      for (const each of waiting) each.resumeGathering()
    } else if (this.#finisher === undefined) {
      this.#promote()
    }
  }

  #promote(): void {
    const [first] = this.#waiting
    if (first === undefined) return
    this.#waiting.delete(first)
    this.#finisher = first
    first.resumeGathering()
  }
}
