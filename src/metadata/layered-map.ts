/**
 * An immutable map that is cheap to derive from: a large base, shared with the maps it came from, under a
 * small layer of changes. Deriving copies only the layer; once that has grown to a part of the base, both
 * become a new base. So a change costs little however many topics there are.
 */

/** In a layer: the key of the base is gone. */
const gone = Symbol('gone')
type Layer<K, V> = Map<K, V | typeof gone>

/** A layer up to this size is always worth keeping. */
const layerSizeMin = 64
/** A layer beyond this part of the base is merged into it. */
const layerPartMax = 1 / 16

export class LayeredMap<K, V> implements ReadonlyMap<K, V> {
  readonly #base: ReadonlyMap<K, V>
  readonly #layer: Layer<K, V>
  readonly size: number

  private constructor(base: ReadonlyMap<K, V>, layer: Layer<K, V>, size: number) {
    this.#base = base
    this.#layer = layer
    this.size = size
  }

  /** `before` with these keys set and deleted. */
  static derive<K, V>(
    before: ReadonlyMap<K, V>,
    set: ReadonlyMap<K, V>,
    deleted: Iterable<K>,
  ): ReadonlyMap<K, V> {
    const isLayered = before instanceof LayeredMap
    const base: ReadonlyMap<K, V> = isLayered ? before.#base : before
    const layer: Layer<K, V> = new Map(isLayered ? before.#layer : undefined)
    let { size } = before
    for (const key of deleted) {
      if (before.has(key)) size--
      if (base.has(key)) layer.set(key, gone)
      else layer.delete(key)
    }
    const derived = new LayeredMap(base, layer, size)
    for (const [key, value] of set) {
      if (!derived.has(key)) size++
      layer.set(key, value)
    }
    const result = new LayeredMap(base, layer, size)
    const isSmall = layer.size <= Math.max(layerSizeMin, base.size * layerPartMax)
    return isSmall ? result : new Map(result)
  }

  get(key: K): V | undefined {
    const changed = this.#layer.get(key)
    if (changed !== undefined) return changed === gone ? undefined : changed
    return this.#base.get(key)
  }

  has(key: K): boolean {
    const changed = this.#layer.get(key)
    return changed === undefined ? this.#base.has(key) : changed !== gone
  }

  *entries(): MapIterator<[K, V]> {
    for (const entry of this.#base) {
      if (!this.#layer.has(entry[0])) yield entry
    }
    for (const [key, value] of this.#layer) {
      if (value !== gone) yield [key, value]
    }
  }

  *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) callback(value, key, this)
  }
}
