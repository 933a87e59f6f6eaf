/** A map that is about to be another one: reads see the changes, the base stays as it is, untouched bases are shared. */
export class Draft<K, V> {
  readonly #base: ReadonlyMap<K, V>
  #next: Map<K, V> | undefined
  /** Keys that were set or deleted. */
  readonly changed = new Set<K>()

  constructor(base: ReadonlyMap<K, V>) {
    this.#base = base
  }

  get(key: K): V | undefined {
    return (this.#next ?? this.#base).get(key)
  }

  set(key: K, value: V): void {
    this.#write().set(key, value)
    this.changed.add(key)
  }

  delete(key: K): void {
    this.#write().delete(key)
    this.changed.add(key)
  }

  /** The map with all changes; no more may follow. */
  result(): ReadonlyMap<K, V> {
    return this.#next ?? this.#base
  }

  #write(): Map<K, V> {
    this.#next ??= new Map(this.#base)
    return this.#next
  }
}
