/**
 * A number of bytes that many share: taken and given back; whoever finds none left waits. As with
 * Kafka's memory pool the last taker may go beyond the limit, so that a request larger than what is
 * left is not starved by small ones.
 */
export class ByteBudget {
  readonly #max: () => number
  readonly #waiting = new Set<() => void>()
  #taken = 0
  #isWaking = false

  constructor(max: () => number) {
    this.#max = max
  }

  get taken(): number {
    return this.#taken
  }

  get isExhausted(): boolean {
    return this.#taken >= this.#max()
  }

  /** More than twice the limit is taken. */
  get isOverdrawn(): boolean {
    return this.#taken >= 2 * this.#max()
  }

  /** What may still be taken; not below 0. */
  get left(): number {
    return Math.max(0, this.#max() - this.#taken)
  }

  take(bytes: number): void {
    this.#taken += bytes
  }

  giveBack(bytes: number): void {
    this.#taken -= bytes
    this.#wakeOne()
  }

  /** One at a time and from a microtask: each takes its bytes before the next is asked, on a flat stack. */
  #wakeOne(): void {
    if (this.#isWaking || this.#waiting.size === 0 || this.isExhausted) return
    this.#isWaking = true
    queueMicrotask(() => {
      this.#isWaking = false
      const [first] = this.#waiting
      if (first === undefined || this.isExhausted) return
      this.#waiting.delete(first)
      first()
      this.#wakeOne()
    })
  }

  /** Runs `callback` once there are bytes again. */
  wait(callback: () => void): void {
    this.#waiting.add(callback)
  }

  forget(callback: () => void): void {
    this.#waiting.delete(callback)
  }
}
