/** How far a long command has come: one line on stderr that renews itself, where a person looks at it. */
import { bytes, count } from './table.ts'

const renewMs = 250

export class Progress {
  readonly #startedMs = performance.now()
  readonly #isShown: boolean
  #shownMs = 0
  records = 0
  bytes = 0

  /** `isShown`: false where something else writes to the same terminal. */
  constructor(isShown: boolean) {
    this.#isShown = isShown && process.stderr.isTTY === true
  }

  /** Prints the line anew if it is old enough. */
  show(verb: string): void {
    if (!this.#isShown) return
    const now = performance.now()
    if (now - this.#shownMs < renewMs) return
    this.#shownMs = now
    process.stderr.write(`\r\x1b[K${verb} ${this.#amounts()}`)
  }

  /** Clears the line; `1,000 records, 12.3 MiB in 1.2 s (833 records/s, 10.2 MiB/s)`. */
  finish(): string {
    if (this.#isShown && this.#shownMs > 0) process.stderr.write('\r\x1b[K')
    return this.#amounts()
  }

  get elapsedMs(): number {
    return Math.round(performance.now() - this.#startedMs)
  }

  #amounts(): string {
    const seconds = Math.max(0.001, (performance.now() - this.#startedMs) / 1000)
    const rate = count(Math.round(this.records / seconds))
    const perSecond = bytes(Math.round(this.bytes / seconds))
    const noun = this.records === 1 ? 'record' : 'records'
    return `${count(this.records)} ${noun}, ${bytes(this.bytes)} in ${seconds.toFixed(1)} s (${rate} records/s, ${perSecond}/s)`
  }
}
