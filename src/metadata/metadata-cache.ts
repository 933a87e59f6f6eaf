/**
 * The newest committed image, and who wants to know of the next one. Readers take `image` once and keep
 * to it; publishers are called in the order of subscription, inside the turn in which the records were
 * committed and before any reply that depends on them.
 */
import type { MetadataDelta } from './delta.ts'
import type { MetadataImage } from './image.ts'

/** Must not throw; what takes long it starts and does not await. */
export type MetadataListener = (image: MetadataImage, delta: MetadataDelta) => void

export class MetadataCache {
  #image: MetadataImage
  readonly #listeners = new Set<MetadataListener>()

  constructor(image: MetadataImage) {
    this.#image = image
  }

  /** The newest committed state. */
  get image(): MetadataImage {
    return this.#image
  }

  /** Returns the function that ends the subscription. The current image is not announced. */
  subscribe(listener: MetadataListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  publish(image: MetadataImage, delta: MetadataDelta): void {
    this.#image = image
    for (const listener of this.#listeners) listener(image, delta)
  }
}
