/** The bytes of a column chunk as they are needed: a window that moves forward over the file. */
import type { RandomAccess } from '../random-access.ts'
import { readBytes } from './limits.ts'
import { corrupt } from './parquet-error.ts'

export class ChunkWindow {
  readonly #source: RandomAccess
  /** Where the chunk should end: reading ahead stops there. */
  readonly #expectedEnd: number
  /** Where the pages end for certain, with the file's footer. */
  readonly #end: number
  #window: Uint8Array = new Uint8Array(0)
  #windowAt: number
  position: number

  constructor(source: RandomAccess, range: { start: number; expectedEnd: number; end: number }) {
    this.#source = source
    this.#expectedEnd = Math.min(range.expectedEnd, range.end)
    this.#end = range.end
    this.position = range.start
    this.#windowAt = range.start
  }

  /** Bytes between here and the end of all pages. */
  get left(): number {
    return this.#end - this.position
  }

  leapTo(position: number): void {
    if (position < this.position || position > this.#end) throw corrupt(`a page at ${position}`)
    this.position = position
  }

  /** What is at hand from here on, after making sure that it is `length` bytes at least. */
  async ensure(length: number): Promise<Uint8Array> {
    const at = this.position - this.#windowAt
    const have = this.#window.length - at
    if (at >= 0 && have >= length) return this.#window.subarray(at)
    if (length > this.left) throw corrupt('a page beyond the end of the file')
    const ahead = Math.min(
      Math.max(readBytes, length),
      Math.max(this.#expectedEnd - this.position, length),
    )
    const fresh = await this.#source.read(this.position, ahead)
    if (fresh.length !== ahead) throw corrupt('the file is shorter than it was')
    this.#window = fresh
    this.#windowAt = this.position
    return fresh
  }
}
