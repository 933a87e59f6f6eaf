/**
 * A bucket of tokens (KIP-599): it fills at a steady rate up to what all windows together bring, and may be
 * overdrawn once. Requests to change the cluster come rarely and in bursts; a rate would make the one
 * that follows a large burst wait for the whole of it.
 */
import type { Milliseconds } from '../../environment/environment.ts'
import type { Windows } from './rate.ts'

export class TokenBucket {
  /** Tokens per second. */
  limit: number
  readonly #windows: Windows
  /** Negative: overdrawn. */
  #tokens = Number.POSITIVE_INFINITY
  #filledMs = Number.NEGATIVE_INFINITY

  /** It is full. */
  constructor(windows: Windows, limit: number) {
    this.#windows = windows
    this.limit = limit
  }

  /** It is full again: a new one is no different. */
  isIdle(nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens >= this.#capacity
  }

  /** How long until it is no longer overdrawn; 0: it is not. */
  overdrawnMs(nowMs: number): Milliseconds {
    this.#fill(nowMs)
    return this.#tokens < 0 ? Math.round((-this.#tokens / this.limit) * 1000) : 0
  }

  /** More than there are, if need be. */
  take(tokens: number, nowMs: number): void {
    this.#fill(nowMs)
    this.#tokens -= tokens
  }

  get #capacity(): number {
    return (this.#windows.count * this.#windows.ms * this.limit) / 1000
  }

  #fill(nowMs: number): void {
    const earned = ((nowMs - this.#filledMs) / 1000) * this.limit
    this.#tokens = Math.min(this.#capacity, this.#tokens + earned)
    this.#filledMs = nowMs
  }
}
