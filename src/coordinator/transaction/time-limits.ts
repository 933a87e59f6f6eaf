/**
 * How long the transactions of a partition may stay open. Time is counted from when this coordinator saw
 * them begin, by the clock that nobody sets: where the wall clock alone decides, one that is set back by
 * hours keeps for hours what readers of committed records wait for, and one that is set forward aborts what
 * has just begun. The time in the record counts for what passed before this coordinator was there, which
 * is at least nothing and at most all.
 */
import type { Clock, Milliseconds } from '../../environment/environment.ts'
import { type Transaction, unlimitedTimeoutMs } from './transaction.ts'

interface Limit {
  /** Of the transaction, as recorded: another one has another. */
  readonly startMs: Milliseconds
  /** Monotonic. */
  readonly endMs: number
}

export class TimeLimits {
  readonly #clock: Clock
  readonly #limits = new Map<string, Limit>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What became of a transactional id; null: it is forgotten. */
  note(transactionalId: string, transaction: Transaction | null): void {
    if (transaction !== null && isLimited(transaction)) this.#limitOf(transactionalId, transaction)
    else this.#limits.delete(transactionalId)
  }

  isOver(transactionalId: string, transaction: Transaction): boolean {
    if (!isLimited(transaction)) return false
    return this.#clock.monotonic() > this.#limitOf(transactionalId, transaction).endMs
  }

  /** A record that was taken back has left the limit of another transaction, or none. */
  #limitOf(transactionalId: string, { startMs, timeoutMs }: Transaction): Limit {
    const known = this.#limits.get(transactionalId)
    if (known?.startMs === startMs) return known
    const leftMs = startMs + timeoutMs - this.#clock.now()
    const endMs = this.#clock.monotonic() + Math.min(Math.max(leftMs, 0), timeoutMs)
    const limit = { startMs, endMs }
    this.#limits.set(transactionalId, limit)
    return limit
  }
}

/** Those of distributed commits never take too long. */
function isLimited({ state, timeoutMs }: Transaction): boolean {
  return state === 'Ongoing' && timeoutMs !== unlimitedTimeoutMs
}
