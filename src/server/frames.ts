/**
 * Cuts frames (a length in 4 bytes, then as many bytes) out of the chunks of a stream.
 *
 * A frame that lies whole in a chunk is a slice of it. One that spans chunks is gathered in a buffer that
 * grows with what really arrives, up to its exact size: a length is a claim, and a claim gets no memory.
 */

/** First size of the buffer for a frame that spans chunks; it then grows eightfold. */
const firstStepBytes = 128 * 1024

/** The stream can no longer be cut: the length of a frame is out of bounds. */
export class FrameError extends Error {
  override name = 'FrameError'
}

export class FrameCutter {
  readonly #lengthMin: number
  readonly #lengthMax: number
  /** Chunks not looked at yet, the first from `#at` on. */
  readonly #chunks: Buffer[] = []
  #at = 0
  /** The length being read, and how many of its 4 bytes there are, where it spans chunks. */
  #length = 0
  #lengthBytes = 0
  #frame: Buffer | undefined
  #filled = 0

  /** Lengths outside [lengthMin, lengthMax] are refused; `lengthMin` is at least 1. */
  constructor(lengthMin: number, lengthMax: number) {
    this.#lengthMin = lengthMin
    this.#lengthMax = lengthMax
  }

  push(chunk: Buffer): void {
    if (chunk.length > 0) this.#chunks.push(chunk)
  }

  /** True while bytes wait that `next` has not looked at: there may be whole frames among them. */
  get hasUnread(): boolean {
    return this.#chunks.length > 0
  }

  /** Bytes held for a frame that has not arrived whole. */
  get gatheredBytes(): number {
    return this.#filled
  }

  /** The next whole frame without its length; undefined if more bytes are needed. Throws `FrameError`. */
  next(): Buffer | undefined {
    for (;;) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) return undefined
      const left = chunk.length - this.#at
      if (this.#frame !== undefined) {
        const frame = this.#gather(chunk, left)
        if (frame !== undefined) return frame
      } else if (this.#lengthBytes < 4) {
        this.#readLength(chunk, left)
      } else if (left >= this.#length) {
        const frame = chunk.subarray(this.#at, this.#at + this.#length)
        this.#lengthBytes = 0
        this.#advance(chunk, this.#length)
        return frame
      } else {
        this.#frame = Buffer.allocUnsafe(Math.min(this.#length, Math.max(firstStepBytes, left)))
      }
    }
  }

  #readLength(chunk: Buffer, left: number): void {
    if (this.#lengthBytes === 0 && left >= 4) {
      const at = this.#at
      this.#length =
        ((chunk[at] as number) << 24) |
        ((chunk[at + 1] as number) << 16) |
        ((chunk[at + 2] as number) << 8) |
        (chunk[at + 3] as number)
      this.#lengthBytes = 4
      this.#at = at + 4
    } else {
      this.#length = (this.#length << 8) | (chunk[this.#at++] as number)
      this.#lengthBytes++
    }
    if (this.#lengthBytes === 4) this.#checkLength()
    this.#advance(chunk, 0)
  }

  #checkLength(): void {
    const length = this.#length
    if (length > this.#lengthMax) {
      throw new FrameError(
        `a frame of ${length} bytes where at most ${this.#lengthMax} are allowed`,
      )
    }
    if (length < this.#lengthMin) {
      throw new FrameError(`a frame of ${length} bytes, which is no request`)
    }
  }

  #gather(chunk: Buffer, left: number): Buffer | undefined {
    let frame = this.#frame as Buffer
    const bytes = Math.min(left, this.#length - this.#filled)
    if (this.#filled + bytes > frame.length) {
      const step = Math.max(frame.length * 8, this.#filled + bytes)
      // Not one more step, and one more copy, for a small rest.
      const grown = Buffer.allocUnsafe(this.#length <= step * 2 ? this.#length : step)
      frame.copy(grown, 0, 0, this.#filled)
      this.#frame = frame = grown
    }
    chunk.copy(frame, this.#filled, this.#at, this.#at + bytes)
    this.#filled += bytes
    this.#advance(chunk, bytes)
    if (this.#filled < this.#length) return undefined
    this.#frame = undefined
    this.#filled = 0
    this.#lengthBytes = 0
    return frame
  }

  #advance(chunk: Buffer, bytes: number): void {
    this.#at += bytes
    if (this.#at < chunk.length) return
    this.#chunks.shift()
    this.#at = 0
  }
}
