/**
 * Callbacks by deadline: a binary heap in which each entry knows its place, so that cancelling removes
 * it at once. Equal deadlines run in the order in which they were added.
 */
import type { Timer } from '../environment.ts'

export class DeadlineHeap {
  readonly #entries: Deadline[] = []
  #sequence = 0

  get size(): number {
    return this.#entries.length
  }

  /** The earliest deadline; Infinity if there is none. */
  get earliest(): number {
    return this.#entries[0]?.at ?? Number.POSITIVE_INFINITY
  }

  add(at: number, callback: () => void): Timer {
    const entry = new Deadline(this, at, this.#sequence++, callback)
    entry.place = this.#entries.length
    this.#entries.push(entry)
    this.#rise(entry)
    return entry
  }

  /** Takes the earliest callback out if its deadline is not after `now`. */
  takeDue(now: number): (() => void) | undefined {
    const first = this.#entries[0]
    if (first === undefined || first.at > now) return undefined
    this.remove(first)
    return first.callback
  }

  remove(entry: Deadline): void {
    const place = entry.place
    if (place < 0) return
    entry.place = -1
    const last = this.#entries.pop() as Deadline
    if (last === entry) return
    last.place = place
    this.#entries[place] = last
    this.#rise(last)
    this.#sink(last)
  }

  #rise(entry: Deadline): void {
    const entries = this.#entries
    let place = entry.place
    while (place > 0) {
      const parent = entries[(place - 1) >> 1] as Deadline
      if (!entry.isBefore(parent)) break
      entries[place] = parent
      const above = parent.place
      parent.place = place
      place = above
    }
    entries[place] = entry
    entry.place = place
  }

  #sink(entry: Deadline): void {
    const entries = this.#entries
    let place = entry.place
    for (;;) {
      const left = 2 * place + 1
      let child = entries[left]
      if (child === undefined) break
      const right = entries[left + 1]
      if (right?.isBefore(child)) child = right
      if (!child.isBefore(entry)) break
      const below = child.place
      entries[place] = child
      child.place = place
      place = below
    }
    entries[place] = entry
    entry.place = place
  }
}

class Deadline implements Timer {
  readonly at: number
  readonly callback: () => void
  /** Index in the heap; -1 once it ran or was cancelled. */
  place = -1
  readonly #heap: DeadlineHeap
  readonly #sequence: number

  constructor(heap: DeadlineHeap, at: number, sequence: number, callback: () => void) {
    this.#heap = heap
    this.at = at
    this.#sequence = sequence
    this.callback = callback
  }

  cancel(): void {
    this.#heap.remove(this)
  }

  isBefore(other: Deadline): boolean {
    return this.at < other.at || (this.at === other.at && this.#sequence < other.#sequence)
  }
}
