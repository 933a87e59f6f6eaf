/**
 * Log lines that peers cause: a peer may do wrong as often as it likes, and the log gets a line for it now
 * and then.
 */
import type { Logger, Milliseconds, Timer, Timers } from '../environment/environment.ts'

/** Most windows open at once; beyond it the oldest ends early. */
const windowsMax = 1000

/** The interval after a line in which further ones of its kind are only counted. */
interface Window {
  readonly timer: Timer
  readonly level: 'warn' | 'info'
  readonly message: string
  suppressed: number
  /** Of the line suppressed last. */
  fields: object
}

/**
 * Warnings that a peer can cause at will: one line per host, kind of reason and interval. What was left
 * out is told when the interval ends, by the last of the lines and their number.
 */
export class PeerWarnings {
  readonly #log: Logger
  readonly #timers: Timers
  readonly #intervalMs: Milliseconds
  readonly #windows = new Map<string, Window>()

  constructor(log: Logger, timers: Timers, intervalMs = 10_000) {
    this.#log = log
    this.#timers = timers
    this.#intervalMs = intervalMs
  }

  /** Reasons that differ in their numbers only are of one kind. */
  warn(host: string, message: string, fields: { peer: string; reason: string }): void {
    const kind = `${host} ${message} ${fields.reason.replace(/-?\d+/g, '#')}`
    this.#tell('warn', kind, message, fields)
  }

  /** What is worth knowing and no fault; lines of the same kind count as one. */
  info(kind: string, message: string, fields: object): void {
    this.#tell('info', kind, message, fields)
  }

  #tell(level: Window['level'], kind: string, message: string, fields: object): void {
    const open = this.#windows.get(kind)
    if (open !== undefined) {
      open.suppressed++
      open.fields = fields
      return
    }
    this.#log[level](message, fields)
    const timer = this.#timers.after(this.#intervalMs, () => this.#end(kind))
    this.#windows.set(kind, { timer, level, message, suppressed: 0, fields })
    if (this.#windows.size > windowsMax) this.#end(this.#windows.keys().next().value as string)
  }

  /** Tells what was left out until now. */
  close(): void {
    for (const kind of [...this.#windows.keys()]) this.#end(kind)
  }

  #end(kind: string): void {
    const { timer, level, message, suppressed, fields } = this.#windows.get(kind) as Window
    timer.cancel()
    this.#windows.delete(kind)
    if (suppressed > 0) this.#log[level](message, { ...fields, similar: suppressed })
  }
}
