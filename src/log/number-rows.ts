/**
 * A queue of rows of numbers, all of them in one typed array: however many there are, the collector of
 * garbage has nothing to walk and nothing to move.
 *
 *     [ ... row 2 ][ free ][ free ][ row 0 ][ row 1 ]     the first row is anywhere; rows go round the end
 */

const capacityStart = 8
const none = new Float64Array(0)

export class NumberRows {
  readonly #width: number
  #numbers = none
  /** Of rows: 0 or a power of two. */
  #capacity = 0
  #first = 0
  #length = 0

  /** `width`: numbers of a row. */
  constructor(width: number) {
    this.#width = width
  }

  get length(): number {
    return this.#length
  }

  at(row: number, column: number): number {
    return this.#numbers[this.#indexOf(row) + column] as number
  }

  /** Adds a row, whose numbers are not set yet. */
  push(): void {
    if (this.#length === this.#capacity) this.#resize(Math.max(capacityStart, 2 * this.#capacity))
    this.#length++
  }

  set(row: number, column: number, value: number): void {
    this.#numbers[this.#indexOf(row) + column] = value
  }

  /** Takes the first row out. */
  shift(): void {
    this.#first = (this.#first + 1) & (this.#capacity - 1)
    this.#length--
    const isSparse = this.#length * 8 < this.#capacity
    if (isSparse && this.#capacity > capacityStart) this.#resize(this.#capacity / 4)
  }

  clear(): void {
    this.#numbers = none
    this.#capacity = 0
    this.#first = 0
    this.#length = 0
  }

  #indexOf(row: number): number {
    return ((this.#first + row) & (this.#capacity - 1)) * this.#width
  }

  #resize(capacity: number): void {
    const numbers = new Float64Array(capacity * this.#width)
    const start = this.#first * this.#width
    const count = this.#length * this.#width
    const upToEnd = this.#numbers.subarray(start, start + count)
    numbers.set(upToEnd)
    numbers.set(this.#numbers.subarray(0, count - upToEnd.length), upToEnd.length)
    this.#numbers = numbers
    this.#capacity = capacity
    this.#first = 0
  }
}
