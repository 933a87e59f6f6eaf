/**
 * What happens where a budget of memory is used up: the connections are looked at, now and every so often
 * until there is memory again, and those that hold it without getting ahead are closed. Nobody is closed
 * for being slow while nobody else needs the memory.
 */
import type { Timers } from '../environment/environment.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { UnfinishedFrames } from './unfinished-frames.ts'

const lookEveryMs = 250

/** A connection, as far as it holds memory. */
export interface Holder {
  /** Bytes of its requests that wait for other clients. */
  readonly waitingBytes: number
  /** Bytes that it keeps because its peer does not read. */
  readonly unsentBytes: number
  /** Its peer sends a request so slowly that it may as well not. */
  isSlowSender(): boolean
  /** Its peer has not taken anything of its replies for a while. */
  isSlowReader(): boolean
  /** Closes at once, without answering anything more. */
  cutOff(reason: string): void
}

export interface Budgets {
  readonly unfinishedFrames: UnfinishedFrames
  readonly waitingBytes: ByteBudget
  readonly replyBytes: ByteBudget
}

export class MemoryPressure {
  readonly holders = new Set<Holder>()
  readonly #budgets: Budgets
  #isWatching = false

  constructor(budgets: Budgets) {
    this.#budgets = budgets
  }

  /** To be called by whoever finds a budget used up, in a turn of its own at the earliest. */
  watch(timers: Timers): void {
    if (this.#isWatching) return
    this.#isWatching = true
    timers.nextTurn(() => this.#look(timers))
  }

  #look(timers: Timers): void {
    const { unfinishedFrames, waitingBytes, replyBytes } = this.#budgets
    if (unfinishedFrames.isExhausted) this.#closeSlowSenders()
    while (waitingBytes.isExhausted && this.#closeLargest('waitingBytes'));
    if (replyBytes.isExhausted) this.#closeSlowReaders()
    while (replyBytes.isOverdrawn && this.#closeLargest('unsentBytes'));
    const isScarce = unfinishedFrames.isExhausted || replyBytes.isExhausted
    this.#isWatching = isScarce
    if (isScarce) timers.after(lookEveryMs, () => this.#look(timers))
  }

  #closeSlowSenders(): void {
    for (const holder of [...this.holders]) {
      if (holder.isSlowSender()) {
        holder.cutOff('its request arrives too slowly, and others wait for the memory')
      }
    }
  }

  #closeSlowReaders(): void {
    for (const holder of [...this.holders]) {
      if (holder.isSlowReader()) {
        holder.cutOff('it does not read its replies, and others wait for the memory')
      }
    }
  }

  /** False where nobody holds any. */
  #closeLargest(what: 'waitingBytes' | 'unsentBytes'): boolean {
    let largest: Holder | undefined
    for (const holder of this.holders) {
      if (holder[what] > (largest?.[what] ?? 0)) largest = holder
    }
    largest?.cutOff(
      what === 'waitingBytes'
        ? 'its requests that wait hold more memory than those of others, who need it'
        : 'its replies hold more memory than those of others, who need it',
    )
    return largest !== undefined
  }
}
