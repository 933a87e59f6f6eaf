/**
 * A set that mostly has one element, which comes and goes, or none: who waits for a partition, or on a
 * connection. The first one is kept beside the others, as V8 makes the table of a `Set` anew each time its
 * last element goes. They are told in the order in which they came.
 */
export class SmallSet<T extends object> {
  #first: T | null = null
  /** All came later than the first. */
  #others: Set<T> | null = null

  get size(): number {
    return (this.#first === null ? 0 : 1) + (this.#others?.size ?? 0)
  }

  add(element: T): void {
    if (this.#first === element) return
    if (this.size === 0) {
      this.#first = element
      return
    }
    this.#others ??= new Set()
    this.#others.add(element)
  }

  delete(element: T): void {
    if (this.#first === element) this.#first = null
    else this.#others?.delete(element)
  }

  /** Elements that `call` deletes are left out from then on, as of a `Set`. */
  each(call: (element: T) => void): void {
    if (this.#first !== null) call(this.#first)
    if (this.#others !== null) for (const other of this.#others) call(other)
  }
}
