/**
 * Seeded randomness: xoshiro128** on four 32-bit words, filled from the seed by splitmix32. `fork` gives
 * an independent stream for a named purpose, so that one more draw in one place shifts no other.
 */
import type { Random } from '../../src/environment/environment.ts'

export class SeededRandom implements Random {
  readonly #state = new Uint32Array(4)

  constructor(seed: number) {
    let mixed = seed >>> 0
    for (let i = 0; i < 4; i++) {
      mixed = (mixed + 0x9e3779b9) >>> 0
      let word = mixed ^ (mixed >>> 16)
      word = Math.imul(word, 0x21f0aaad)
      word ^= word >>> 15
      word = Math.imul(word, 0x735a2d97)
      this.#state[i] = word ^ (word >>> 15)
    }
  }

  uint32(): number {
    const s = this.#state
    const s1 = s[1] as number
    const scaled = Math.imul(s1, 5)
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9) >>> 0
    const shifted = s1 << 9
    s[2] = (s[2] as number) ^ (s[0] as number)
    s[3] = (s[3] as number) ^ s1
    s[1] = s1 ^ (s[2] as number)
    s[0] = (s[0] as number) ^ (s[3] as number)
    s[2] = (s[2] as number) ^ shifted
    const s3 = s[3] as number
    s[3] = (s3 << 11) | (s3 >>> 21)
    return result
  }

  float(): number {
    return this.uint32() / 0x1_0000_0000
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) bytes[i] = this.uint32() >>> 24
    return bytes
  }

  /** Uniform integer in [min, max]. */
  between(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1))
  }

  chance(probability: number): boolean {
    return this.float() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length - 1)] as T
  }

  fork(purpose: string): SeededRandom {
    let seed = this.uint32()
    for (let i = 0; i < purpose.length; i++)
      seed = Math.imul(seed ^ purpose.charCodeAt(i), 0x01000193)
    return new SeededRandom(seed)
  }
}
