/**
 * What a worker logs, as `/admin/loggers` tells and sets it: there is one logger, `root`, and levels have log4j's names,
 * of which the log has fewer.
 */
import type { Clock, LogLevel, LogThreshold } from '../../environment/environment.ts'

export const rootLogger = 'root'

/** From the least of them: the first of a level is how that is told. */
const levels: ReadonlyMap<string, LogLevel> = new Map([
  ['DEBUG', 'debug'],
  ['TRACE', 'debug'],
  ['ALL', 'debug'],
  ['INFO', 'info'],
  ['WARN', 'warn'],
  ['ERROR', 'error'],
  ['FATAL', 'error'],
  ['OFF', 'silent'],
])

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
    const { level } = this.#threshold
    const [name = 'OFF'] = [...levels].find(([, each]) => each === level) ?? []
    return { level: this.#asked?.level ?? name, last_modified: this.#asked?.atMs ?? null }
  }

  static isLevel(name: string): boolean {
    return levels.has(name.toUpperCase())
  }

  /** A name that is none is left alone. */
  set(name: string): void {
    const level = levels.get(name.toUpperCase())
    if (level === undefined) return
    this.#threshold.level = level
    this.#asked = { level: name.toUpperCase(), atMs: this.#clock.now() }
  }
}
