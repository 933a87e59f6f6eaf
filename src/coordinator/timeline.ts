/**
 * State that can be taken back: an undo journal, and the value and the map that write to it.
 *
 * A coordinator applies its records before the log has taken them. Each change notes here how to
 * undo itself; when the records are committed the notes are forgotten, when the log refuses them
 * the notes run backwards and the state is what it was. Positions only grow, also across `unwind`.
 */

export class Timeline {
  /** What is applied now was settled before, as while a log is replayed: nothing of it is noted. */
  isSettled = false
  #undos: (() => void)[] = []
  /** Position of the first note still kept. */
  #firstPosition = 0

  /** Where the next note goes; the state as it is now is the state at this position. */
  get position(): number {
    return this.#firstPosition + this.#undos.length
  }

  note(undo: () => void): void {
    if (!this.isSettled) this.#undos.push(undo)
  }

  /** Takes back everything since `position`, latest change first. */
  unwind(position: number): void {
    const keep = position - this.#firstPosition
    if (keep < 0) throw new RangeError(`position ${position} is already forgotten`)
    while (this.#undos.length > keep) this.#undos.pop()?.()
  }

  /** Everything before `position` is final. */
  forget(position: number): void {
    const count = Math.min(position - this.#firstPosition, this.#undos.length)
    if (count <= 0) return
    this.#undos = count === this.#undos.length ? [] : this.#undos.slice(count)
    this.#firstPosition += count
  }
}

/** One value whose changes are noted in a timeline. */
export class TimelineValue<V> {
  readonly #timeline: Timeline
  #value: V

  constructor(timeline: Timeline, value: V) {
    this.#timeline = timeline
    this.#value = value
  }

  get value(): V {
    return this.#value
  }

  set(value: V): void {
    const before = this.#value
    if (!this.#timeline.isSettled) {
      this.#timeline.note(() => {
        this.#value = before
      })
    }
    this.#value = value
  }
}

/** A `Map` whose changes are noted in a timeline. Undoing a `delete` puts the key last. */
export class TimelineMap<K, V> {
  readonly #timeline: Timeline
  readonly #entries = new Map<K, V>()

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  has(key: K): boolean {
    return this.#entries.has(key)
  }

  set(key: K, value: V): void {
    if (!this.#timeline.isSettled) this.#noteBefore(key)
    this.#entries.set(key, value)
  }

  /** True if the key was there. */
  delete(key: K): boolean {
    if (!this.#entries.has(key)) return false
    if (!this.#timeline.isSettled) this.#noteBefore(key)
    return this.#entries.delete(key)
  }

  #noteBefore(key: K): void {
    const entries = this.#entries
    if (entries.has(key)) {
      const before = entries.get(key) as V
      this.#timeline.note(() => entries.set(key, before))
    } else {
      this.#timeline.note(() => entries.delete(key))
    }
  }

  keys(): IterableIterator<K> {
    return this.#entries.keys()
  }

  values(): IterableIterator<V> {
    return this.#entries.values()
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.#entries[Symbol.iterator]()
  }
}
