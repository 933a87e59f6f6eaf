/**
 * What happened in a run, for whoever has to understand it: a line per thing that clients did and saw, per
 * fault, and per log line of the broker, with the virtual time; and the faults counted by kind.
 */
export class Trace {
  readonly faults = new Map<string, number>()
  readonly #now: () => number
  readonly #onLine: ((line: string) => void) | undefined

  constructor(now: () => number, onLine?: (line: string) => void) {
    this.#now = now
    this.#onLine = onLine
  }

  /** Whether anybody reads it: what is costly to say can be left unsaid. */
  get isOn(): boolean {
    return this.#onLine !== undefined
  }

  say(who: string, what: string): void {
    this.#onLine?.(`${this.#now().toFixed(3)} ${who} ${what}`)
  }

  fault(kind: string, where: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1)
    this.#onLine?.(`${this.#now().toFixed(3)} FAULT ${kind} ${where}`)
  }
}
