/**
 * Requests that decode to so much that they are read in turns. What one of them takes is counted when it is
 * read, so that only a few are read at a time, in the order in which they came; and none while the memory
 * for requests is used up, unless no other of them is at work: then it is one that others wait for. So what
 * is not counted, and what exceeds the limit, is a few requests' and not that of all connections.
 */
import type { ByteBudget } from './byte-budget.ts'

const readAtOnceMax = 4

export class LargeReads {
  readonly #requestBytes: ByteBudget
  readonly #waiting = new Set<() => void>()
  #reading = 0
  /** Of those that are being read, or were, the ones that are neither answered nor set aside. */
  #atWork = 0

  constructor(requestBytes: ByteBudget) {
    this.#requestBytes = requestBytes
  }

  /** Runs `begin` once the request may be read; `hasRead` and `end` have to follow. */
  await(begin: () => void): void {
    this.#waiting.add(begin)
    this.#beginNext()
  }

  /** It will not be read: nobody waits for its answer. */
  forget(begin: () => void): void {
    this.#waiting.delete(begin)
  }

  /** What it takes is counted, or given up. */
  hasRead(): void {
    this.#reading--
    this.#beginNext()
  }

  /** What it takes no longer keeps others from being taken. */
  end(): void {
    this.#atWork--
    this.#beginNext()
  }

  readonly #beginNext = (): void => {
    for (const begin of this.#waiting) {
      if (this.#reading >= readAtOnceMax) return
      if (this.#atWork > 0 && this.#requestBytes.isExhausted) {
        this.#requestBytes.wait(this.#beginNext)
        return
      }
      this.#waiting.delete(begin)
      this.#reading++
      this.#atWork++
      begin()
    }
  }
}
