/** The levels of the log by the names that Kafka's tools know them by, which are log4j's; the log itself has fewer. */
import type { LogLevel } from './environment.ts'

/** Of several names for a level, the first is how it is told. */
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

/** In capitals or small letters; undefined: no level is called so. */
export function logLevelNamed(name: string): LogLevel | undefined {
  return levels.get(name.toUpperCase())
}

export function logLevelName(level: LogLevel): string {
  const [name = 'OFF'] = [...levels].find(([, each]) => each === level) ?? []
  return name
}
