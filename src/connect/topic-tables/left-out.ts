/**
 * Records of a topic that have no row in its table, where its settings say that this is no reason to stop: counted, and
 * told in the log, but of a flood one a minute.
 */
import { nameOf } from '../../client/topic-partition.ts'
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import type { TopicPartition } from '../plugin.ts'

const toldMsMin = 60_000

export class LeftOut {
  readonly #environment: Pick<Environment, 'clock' | 'log'>
  readonly #deadLetters: string
  #count = 0
  #last: string | null = null
  #toldCount = 0
  #toldMs: Milliseconds = Number.NEGATIVE_INFINITY

  /** `deadLetters`: the topic to which they go; empty: nowhere. */
  constructor(environment: Pick<Environment, 'clock' | 'log'>, deadLetters: string) {
    this.#environment = environment
    this.#deadLetters = deadLetters
  }

  /** One that is read again, as after a crash, counts again. */
  get count(): number {
    return this.#count
  }

  /** Where the last of them was, and why it has no row; null: there was none. */
  get last(): string | null {
    return this.#last
  }

  add(record: TopicPartition & { readonly offset: number }, error: unknown): void {
    this.#count++
    const at = `${nameOf(record)} at offset ${record.offset}`
    const reason = error instanceof Error ? error.message : String(error)
    this.#last = reason.startsWith(at) ? reason : `${at}: ${reason}`
    const { clock, log } = this.#environment
    const now = clock.monotonic()
    if (now - this.#toldMs < toldMsMin) return
    const others = this.#count - this.#toldCount - 1
    this.#toldMs = now
    this.#toldCount = this.#count
    const where = this.#deadLetters === '' ? 'it is left out' : `it goes to ${this.#deadLetters}`
    log.warn(`A record of ${record.topic} has no row in its table: ${where}`, {
      reason: this.#last,
      ...(others === 0 ? {} : { othersSinceTheLastLine: others }),
    })
  }
}
