/**
 * Cuts frames (a length in 4 bytes, then as many bytes) out of the chunks of a stream.
 *
 * A chunk is valid only while it is handed over, so every frame is copied into memory of its own, taken
 * from `Buffers`. That of a frame that spans chunks grows with what really arrives, up to its exact size:
 * a length is a claim, and a claim gets no memory. What has arrived moves on into the larger buffer, which
 * takes 20 ms for 8 MiB where its memory has never been used: `next` moves a part of it and may be called again.
 */
import type { Buffers } from '../environment/buffers.ts'

/** First size of the buffer for a frame that spans chunks; it then grows eightfold. */
const firstStepBytes = 16 * 1024

/** Of a large frame that moves on into a larger buffer, in one call. */
const movedAtOnceBytes = 256 * 1024

/** The stream can no longer be cut: the length of a frame is out of bounds. */
export class FrameError extends Error {
  override name = 'FrameError'
}

/** What the first bytes of those say who speak something else; null: nothing. */
function otherProtocol(bytes: number): string | null {
  // A record of TLS: a handshake, of version 3.x.
  if (bytes >>> 16 === 0x1603)
    return 'the handshake of TLS, but this listener is PLAINTEXT: the client needs security.protocol=PLAINTEXT'
  const isHttp = ['GET ', 'POST', 'HEAD', 'PUT '].some(
    (text) => Buffer.from(text).readUInt32BE() === bytes,
  )
  return isHttp ? 'a request of HTTP, which is answered at http.listeners' : null
}

export class FrameCutter {
  readonly #lengthMin: number
  readonly #lengthMax: number
  readonly #buffers: Buffers
  /** Chunks not looked at yet, the first from `#at` on; all but the last are our own. */
  readonly #chunks: Buffer[] = []
  #at = 0
  /** The last chunk is the stream's, valid until `keep`. */
  #isLastBorrowed = false
  /** The length being read, and how many of its 4 bytes there are, where it spans chunks. */
  #length = 0
  #lengthBytes = 0
  #frame: Buffer | undefined
  #filled = 0
  /** Where the frame moves to, and how many of its bytes are there. */
  #larger: Buffer | undefined
  #movedBytes = 0

  /** Lengths outside [lengthMin, lengthMax] are refused; `lengthMin` is at least 1. */
  constructor(lengthMin: number, lengthMax: number, buffers: Buffers) {
    this.#lengthMin = lengthMin
    this.#lengthMax = lengthMax
    this.#buffers = buffers
  }

  /** Takes a chunk that is valid until `keep`, which has to follow. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#isLastBorrowed = true
  }

  /** Copies what was not looked at yet of the chunk pushed last. */
  keep(): void {
    if (!this.#isLastBorrowed) return
    this.#isLastBorrowed = false
    const last = this.#chunks.length - 1
    const chunk = this.#chunks[last] as Buffer
    const from = last === 0 ? this.#at : 0
    const kept = this.#buffers.take(chunk.length - from)
    chunk.copy(kept, 0, from)
    this.#chunks[last] = kept
    if (last === 0) this.#at = 0
  }

  /** Gives back all memory: the stream has ended. */
  close(): void {
    this.keep()
    for (const chunk of this.#chunks.splice(0)) this.#buffers.release(chunk)
    this.#at = 0
    if (this.#frame !== undefined) this.#buffers.release(this.#frame)
    if (this.#larger !== undefined) this.#buffers.release(this.#larger)
    this.#frame = undefined
    this.#larger = undefined
    this.#filled = 0
  }

  /** True while bytes wait that `next` has not looked at: there may be whole frames among them. */
  get hasUnread(): boolean {
    return this.#chunks.length > 0
  }

  /** Bytes that wait, of which `next` has not looked at all. */
  get unreadBytes(): number {
    let bytes = -this.#at
    for (const chunk of this.#chunks) bytes += chunk.length
    return bytes
  }

  /** What the frame that has not arrived whole says of its length; 0 where there is none. */
  get claimedBytes(): number {
    return this.#frame === undefined ? 0 : this.#length
  }

  /** Bytes held for a frame that has not arrived whole. */
  get gatheredBytes(): number {
    return this.#filled
  }

  /**
   * The next whole frame without its length. Undefined if more bytes are needed, or, while there are unread
   * ones, if there is more to do before they can be looked at: whoever has time calls again. The frame's
   * memory may be given back to `Buffers`. Throws `FrameError`.
   */
  next(): Buffer | undefined {
    for (;;) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) return undefined
      const left = chunk.length - this.#at
      if (this.#lengthBytes < 4) {
        this.#readLength(chunk, left)
      } else {
        const length = this.#length
        const firstBytes = left >= length ? length : Math.max(firstStepBytes, left)
        this.#frame ??= this.#buffers.take(Math.min(length, firstBytes))
        const bytes = Math.min(left, length - this.#filled)
        if (!this.#hasRoom(this.#frame, this.#filled + bytes)) return undefined
        const frame = this.#gather(chunk, this.#frame, bytes)
        if (frame !== undefined) return frame
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
      const other = otherProtocol(length)
      if (other !== null) throw new FrameError(other)
      throw new FrameError(
        `a frame of ${length} bytes where at most ${this.#lengthMax} are allowed`,
      )
    }
    if (length < this.#lengthMin) {
      throw new FrameError(`a frame of ${length} bytes, which is no request`)
    }
  }

  /** Whether the frame has room for so many bytes; it may have, after more calls. */
  #hasRoom(frame: Buffer, bytes: number): boolean {
    if (bytes <= frame.length) return true
    if (this.#larger === undefined) {
      const step = Math.max(frame.length * 8, bytes)
      // Not one more step, and one more copy, for a small rest.
      this.#larger = this.#buffers.take(this.#length <= step * 2 ? this.#length : step)
      this.#movedBytes = 0
    }
    const from = this.#movedBytes
    this.#movedBytes = Math.min(this.#filled, from + movedAtOnceBytes)
    frame.copy(this.#larger, from, from, this.#movedBytes)
    if (this.#movedBytes < this.#filled) return false
    this.#buffers.release(frame)
    this.#frame = this.#larger
    this.#larger = undefined
    return true
  }

  #gather(chunk: Buffer, frame: Buffer, bytes: number): Buffer | undefined {
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
    if (this.#isLastBorrowed && this.#chunks.length === 0) this.#isLastBorrowed = false
    else this.#buffers.release(chunk)
  }
}
