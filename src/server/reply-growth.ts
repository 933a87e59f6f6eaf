/**
 * How many bytes of records a reply may hold: little until its peer has shown that it reads. As much as a reply
 * may hold has to leave before the next ones may hold twice as much. So hundreds of peers that ask for all
 * there is and read nothing get hundreds of kilobytes each and not megabytes, which would be memory that nobody
 * has touched yet, and whoever reads has the full size after a handful of replies.
 */

const firstBytes = 256 * 1024

export class ReplyGrowth {
  #bytesMax = firstBytes
  #leftBytes = 0

  get bytesMax(): number {
    return this.#bytesMax
  }

  /** So many bytes of replies have left, and the peer, or the system for it, has taken them. */
  hasLeft(bytes: number): void {
    this.#leftBytes += bytes
    if (this.#leftBytes < this.#bytesMax) return
    this.#leftBytes = 0
    this.#bytesMax *= 2
  }
}
