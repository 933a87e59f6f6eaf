/** Things in the order of their weights, least first; of equal ones whoever was put in first. */
interface Entry<T> {
  readonly thing: T
  readonly weight: number
  readonly sequence: number
}

export class LeastFirst<T> {
  readonly #weigh: (thing: T) => number
  /** A binary heap. */
  readonly #entries: Entry<T>[] = []
  #sequence = 0

  constructor(weigh: (thing: T) => number, things: Iterable<T>) {
    this.#weigh = weigh
    for (const thing of things) this.put(thing)
  }

  /** As heavy as it is now. */
  put(thing: T): void {
    const entries = this.#entries
    const entry = { thing, weight: this.#weigh(thing), sequence: this.#sequence++ }
    let place = entries.length
    while (place > 0) {
      const parentPlace = (place - 1) >> 1
      const parent = entries[parentPlace] as Entry<T>
      if (isBefore(parent, entry)) break
      entries[place] = parent
      place = parentPlace
    }
    entries[place] = entry
  }

  /** Takes out the lightest; undefined: nothing is left. */
  take(): T | undefined {
    const entries = this.#entries
    const first = entries[0]
    const last = entries.pop()
    if (first === undefined || last === undefined || entries.length === 0) return first?.thing
    let place = 0
    for (;;) {
      const [left, right] = [2 * place + 1, 2 * place + 2]
      const [a, b] = [entries[left], entries[right]]
      if (a === undefined) break
      const [child, childPlace] = b === undefined || isBefore(a, b) ? [a, left] : [b, right]
      if (isBefore(last, child)) break
      entries[place] = child
      place = childPlace
    }
    entries[place] = last
    return first.thing
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.weight < b.weight || (a.weight === b.weight && a.sequence < b.sequence)
}
