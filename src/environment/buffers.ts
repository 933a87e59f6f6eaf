/**
 * Memory for bytes on their way, used again and again. Memory for a buffer of some size lies outside the
 * JavaScript heap, and the engine answers a stream of such allocations by collecting its whole heap, 80
 * times per GB; so what carries records takes its memory here and gives it back.
 *
 * Giving back is never a duty: a buffer nobody gives back is collected like any other object. It is a
 * statement, that nobody will look at these bytes again, and it must be true.
 */
export interface Buffers {
  /** Smaller ones share memory that is not used again: there is no need to give them back. */
  readonly reusedBytesMin: number
  /** A buffer of exactly so many bytes, with anything in it. */
  take(bytes: number): Buffer
  /**
   * Gives back the memory of `buffer`, which is what `take` gave or a slice of it; all other slices of
   * it must be forgotten by now. A buffer that did not come from `take` is left alone. Throws where the
   * memory has been given back before.
   */
  release(buffer: Buffer): void
}
