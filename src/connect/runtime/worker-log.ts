/**
 * What a worker logs, as `/admin/loggers` tells and sets it: there is one logger, `root`.
 */
import type { Clock, LogThreshold } from '../../environment/environment.ts'
import { logLevelName, logLevelNamed } from '../../environment/log-levels.ts'

export const rootLogger = 'root'

export class WorkerLog {
  readonly #threshold: LogThreshold
  readonly #clock: Clock
  /** As it was asked for; null: nobody has. */
  #asked: { readonly level: string; readonly atMs: number } | null = null

  constructor(threshold: LogThreshold, clock: Clock) {
    this.#threshold = threshold
    this.#clock = clock
  }

  /** As Kafka Connect tells it. */
  get told(): { level: string; last_modified: number | null } {
    const name = logLevelName(this.#threshold.level)
    return { level: this.#asked?.level ?? name, last_modified: this.#asked?.atMs ?? null }
  }

  static isLevel(name: string): boolean {
    return logLevelNamed(name) !== undefined
  }

  /** A name that is none is left alone. */
  set(name: string): void {
    const level = logLevelNamed(name)
    if (level === undefined) return
    this.#threshold.level = level
    this.#asked = { level: name.toUpperCase(), atMs: this.#clock.now() }
  }
}
