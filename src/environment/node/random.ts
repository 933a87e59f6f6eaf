/** Randomness from the operating system, drawn by the page so that a single number costs no call. */
import { randomBytes, randomFillSync } from 'node:crypto'
import type { Random } from '../environment.ts'

export class NodeRandom implements Random {
  readonly #page = new Uint32Array(512)
  #next = this.#page.length

  float(): number {
    if (this.#next + 2 > this.#page.length) {
      randomFillSync(this.#page)
      this.#next = 0
    }
    const high = (this.#page[this.#next++] as number) >>> 5
    const low = (this.#page[this.#next++] as number) >>> 6
    return (high * 0x400_0000 + low) / 2 ** 53
  }

  bytes(length: number): Buffer {
    return randomBytes(length)
  }
}
