/** Memory of one kind that clients make a coordinator hold, over all its shards; there is only so much. */
export class HeldMemory {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** So many bytes more are held, or fewer. */
  hold(bytes: number): void {
    this.#bytes += bytes
  }

  /** Whether so many bytes more may be held; to hold fewer is always welcome. */
  hasRoomFor(bytes: number): boolean {
    return bytes <= 0 || this.#bytes + bytes <= this.#bytesMax
  }
}
